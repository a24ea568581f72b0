"""How the steps run on a cluster; a local run ignores all of it."""

from dataclasses import dataclass
from typing import Any

from kfp import kubernetes

from components.shared.failures import EXECUTION

STORE_SECRET = "object-store"  # noqa: S105 - a name, not a secret
STORE_KEYS = {"access-key": "AWS_ACCESS_KEY_ID", "secret-key": "AWS_SECRET_ACCESS_KEY"}
STORE_CONFIG = "object-store"
STORE_SETTINGS = {"endpoint": "S3_ENDPOINT"}


EXECUTION_LABEL = "metadata.labels['pipeline/runid']"
"""Where a pod finds the id of the run on Kubeflow Pipelines that it belongs to."""

RUN_MINUTES = 6 * 60
"""How long a whole run may take. A pod that no node has room for is not held to the limit of its step."""


@dataclass(frozen=True, slots=True)
class Size:
    """What a step may take. Without a time limit a pod that can never start keeps its run going for ever."""

    cpu: str
    memory: str
    minutes: int


LOOK = Size("1", "1Gi", 10)
SMALL = Size("1", "2Gi", 30)
LARGE = Size("4", "8Gi", 240)


def place(task: Any, size: Size, *, cached: bool = False) -> Any:
    """Give a task its size, its attempts and the keys of the object store, where at least its failures go.

    It is tried three times, but not again once its time is up: the first attempt that used all of it was the last.
    The keys are optional: without them the step says what is missing, where its pod would wait without a word.

    Only a step that computes may be `cached`, one whose inputs name all it depends on by content. Said here because a
    run of an uploaded version heeds nothing that its start says of it.
    """
    task.set_caching_options(enable_caching=cached)
    task.set_cpu_request("500m").set_cpu_limit(size.cpu).set_memory_request("1Gi").set_memory_limit(size.memory)
    task.set_retry(
        num_retries=2, backoff_duration="30s", backoff_factor=2.0, backoff_max_duration=f"{size.minutes * 60}s"
    )
    kubernetes.set_timeout(task, size.minutes * 60)
    kubernetes.set_security_context(task, run_as_non_root=True)
    kubernetes.use_field_path_as_env(task, EXECUTION, EXECUTION_LABEL)
    kubernetes.use_secret_as_env(task, STORE_SECRET, STORE_KEYS, optional=True)
    kubernetes.use_config_map_as_env(task, STORE_CONFIG, STORE_SETTINGS, optional=True)
    return task

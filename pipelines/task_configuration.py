"""Resources, time limits, retries and environment of tasks on Kubernetes; a local run ignores them."""

from dataclasses import dataclass
from typing import Any

from kfp import kubernetes

from components.shared.failures import EXECUTION

STORE_SECRET = "object-store"  # noqa: S105 - the name of a Secret
STORE_KEYS = {"access-key": "AWS_ACCESS_KEY_ID", "secret-key": "AWS_SECRET_ACCESS_KEY"}
STORE_CONFIG = "object-store"
STORE_SETTINGS = {"endpoint": "S3_ENDPOINT"}

RUN_ID_LABEL = "metadata.labels['pipeline/runid']"
"""Pod label with the run id of Kubeflow Pipelines."""

RUN_MINUTES = 6 * 60
"""Time limit of a whole run. The time limit of a task does not cover a pod that cannot be scheduled."""


@dataclass(frozen=True, slots=True)
class Resources:
    """CPU, memory and time limit of a task; without a time limit a pod that cannot start blocks its run."""

    cpu: str
    memory: str
    minutes: int


RECONCILE_RESOURCES = Resources("1", "1Gi", 10)
SMALL = Resources("1", "2Gi", 30)
LARGE = Resources("4", "8Gi", 240)


def configure_task(task: Any, resources: Resources, *, cached: bool = False) -> Any:
    """Set resources, time limit, retries and object store credentials of a task; return the task.

    A task is attempted three times, but not again after an attempt that used its whole time limit. The Secret is
    optional: without it the step reports the missing credentials, whereas its pod would stay pending.

    Args:
        task: A task of a pipeline under construction.
        resources: Its limits.
        cached: Whether Kubeflow Pipelines may reuse earlier outputs. Only for steps without side effects whose inputs
            identify all they depend on by content. Set here because a run of an uploaded version ignores the
            `enable_caching` argument of `run_pipeline`.
    """
    limit_s = resources.minutes * 60
    task.set_caching_options(enable_caching=cached)
    task.set_cpu_request("500m").set_cpu_limit(resources.cpu)
    task.set_memory_request("1Gi").set_memory_limit(resources.memory)
    task.set_retry(num_retries=2, backoff_duration="30s", backoff_factor=2.0, backoff_max_duration=f"{limit_s}s")
    kubernetes.set_timeout(task, limit_s)
    kubernetes.set_security_context(task, run_as_non_root=True)
    kubernetes.use_field_path_as_env(task, EXECUTION, RUN_ID_LABEL)
    kubernetes.use_secret_as_env(task, STORE_SECRET, STORE_KEYS, optional=True)
    kubernetes.use_config_map_as_env(task, STORE_CONFIG, STORE_SETTINGS, optional=True)
    return task

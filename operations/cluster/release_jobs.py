"""List releases, go back and run canaries on the cluster, as Jobs of the deployed trainer image.

A Job is made from the suspended CronJob `training`, which has the addresses, keys and permissions of the deployment:
neither port forwards nor variables are needed here, only the right to create Jobs in the namespace.
"""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from components.shared.pod_problems import pending_reason
from operations.cluster.command_runner import CommandFailed, CommandRunner
from operations.cluster.secrets import NAMESPACE

TEMPLATE = "training"
POLL_S = 1.0
ENDS = frozenset({"Complete", "Failed"})
KEPT_S = 3600
"""How long a finished Job and its log are kept if this program ends before it deletes it."""
COMMAND_HERE, COMMAND_IN_JOB = "python -m operations.cluster", "python -m pipelines"


def run_release_command(runner: CommandRunner, arguments: Sequence[str], timeout_s: float) -> str:
    """Run `python -m pipelines` with these arguments in a Job and return what it printed.

    The Job is not repeated: after a switch, a second `rollback` would go back further.

    Raises:
        CommandFailed: With the output, if the command fails; with the reason, if its pod does not start in time.
    """
    name = f"{arguments[0]}-{datetime.now(UTC):%Y%m%dt%H%M%S}"
    runner.kubectl("apply", "-f", "-", stdin=json.dumps(_job(runner, name, arguments, timeout_s)))
    try:
        succeeded = _wait(runner, name, timeout_s)
        output = runner.kubectl("logs", f"job/{name}", "--namespace", NAMESPACE, "--tail=-1").strip()
    finally:
        runner.kubectl("delete", "job", name, "--namespace", NAMESPACE, "--wait=false", "--ignore-not-found")
    output = output.replace(COMMAND_IN_JOB, COMMAND_HERE)
    if not succeeded:
        raise CommandFailed(output.removeprefix(f"{arguments[0]}: ") or f"job {name} failed without output")
    return output


def _job(runner: CommandRunner, name: str, arguments: Sequence[str], timeout_s: float) -> dict[str, Any]:
    source = f"--from=cronjob/{TEMPLATE}"
    output = ["--namespace", NAMESPACE, "--dry-run=client", "--output=json"]
    job: dict[str, Any] = json.loads(runner.kubectl("create", "job", name, source, *output))
    spec = job["spec"]
    spec |= {"backoffLimit": 0, "activeDeadlineSeconds": int(timeout_s), "ttlSecondsAfterFinished": KEPT_S}
    (container,) = spec["template"]["spec"]["containers"]
    container["args"] = ["pipelines", *arguments]
    # A release command trains nothing; with the requests of a training it could wait for a larger node.
    container["resources"]["requests"] |= {"cpu": "50m", "memory": "512Mi"}
    container["env"].append({"name": "LOG_LEVEL", "value": "WARNING"})
    return job


def _wait(runner: CommandRunner, name: str, timeout_s: float) -> bool:
    """Wait for the end of a Job; return whether it succeeded."""
    end_s, reported = time.monotonic() + timeout_s, ""
    while True:
        job = runner.get("job", name, "--namespace", NAMESPACE) or {}
        for condition in job.get("status", {}).get("conditions", []):
            if condition["status"] == "True" and condition["type"] in ENDS:
                return bool(condition["type"] == "Complete")
        pods = runner.get("pods", "--namespace", NAMESPACE, f"--selector=job-name={name}") or {"items": []}
        reason = pending_reason(pods["items"])
        if reason and reason != reported:
            runner.report(f"job {name} waits: {reason}")
            reported = reason
        if time.monotonic() > end_s:
            raise CommandFailed(f"job {name} did not end within {timeout_s:.0f} s{f': {reason}' if reason else ''}")
        time.sleep(POLL_S)

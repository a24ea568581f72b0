"""A fake of `kfp.Client` that records its arguments."""

import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import kfp_server_api


@dataclass
class FakeClient:
    """Pipelines, their versions, runs and recurring runs."""

    versions: dict[str, list[str]] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)
    recurring: list[dict[str, Any]] = field(default_factory=list)
    ends_as: str = "SUCCEEDED"

    def get_user_namespace(self) -> str:
        return ""

    def get_pipeline_id(self, name: str) -> str | None:
        return name if name in self.versions else None

    def upload_pipeline(self, package: str, name: str) -> Any:
        self.versions[name] = [name]
        return SimpleNamespace(pipeline_id=name)

    def list_pipeline_versions(self, pipeline_id: str, **_: Any) -> Any:
        return SimpleNamespace(pipeline_versions=[self._version(name) for name in self.versions[pipeline_id]])

    def upload_pipeline_version(self, package: str, name: str, pipeline_id: str) -> Any:
        self.versions[pipeline_id].append(name)
        return self._version(name)

    def create_experiment(self, name: str) -> Any:
        return SimpleNamespace(experiment_id=name)

    def run_pipeline(self, experiment: str, name: str, **options: Any) -> Any:
        self.runs.append({"experiment": experiment, "name": name, **options})
        return SimpleNamespace(run_id=f"run-{len(self.runs)}")

    def create_recurring_run(self, experiment: str, name: str, **options: Any) -> Any:
        if len(options["cron_expression"].split()) not in {5, 6}:
            refusal = kfp_server_api.ApiException(400, "Bad Request")
            refusal.body = json.dumps({"code": 3, "message": "Expected 5 to 6 fields"})
            raise refusal
        self.recurring.append({"id": f"recurring-{len(self.recurring)}", "name": name, **options})
        return SimpleNamespace(recurring_run_id=self.recurring[-1]["id"])

    def list_recurring_runs(self, filter: str, **_: Any) -> Any:  # noqa: A002 - the name of the parameter in kfp
        wanted = [one["stringValue"] for one in json.loads(filter)["predicates"]]
        found = [SimpleNamespace(recurring_run_id=one["id"]) for one in self.recurring if one["name"] in wanted]
        return SimpleNamespace(recurring_runs=found or None)

    def delete_recurring_run(self, recurring_run_id: str) -> None:
        self.recurring = [one for one in self.recurring if one["id"] != recurring_run_id]

    def wait_for_run_completion(self, run_id: str, timeout_s: float) -> Any:
        if not self.ends_as:
            raise TimeoutError("Run timeout")
        return SimpleNamespace(state=self.ends_as)

    @staticmethod
    def _version(name: str) -> Any:
        return SimpleNamespace(display_name=name, pipeline_version_id=f"id of {name}")

"""A fake of the Kubeflow Pipelines API over HTTP: run names are not unique, responses can be lost."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class FakeKfp:
    """State of the API; `fail` is the status of every response, `lose` counts lost responses."""

    runs: list[dict[str, Any]] = field(default_factory=list)
    experiments: list[dict[str, Any]] = field(default_factory=list)
    fail: int = 0
    failure: dict[str, Any] = field(default_factory=lambda: {"error": "injected failure"})
    lose: int = 0
    tokens: list[str] = field(default_factory=list)
    namespaces: list[str] = field(default_factory=list)
    """Namespaces that list requests and new experiments name; "" for none."""
    url: str = ""

    def create(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        given = set(body["runtime_config"]["parameters"])
        declared = _declared(body["pipeline_spec"])
        needed = {name for name, spec in declared.items() if not spec.get("isOptional")}
        for name in (given - declared.keys()) | (needed - given):
            return 400, {"error": f"parameter {name} is not defined, or missing"}
        run = {
            "run_id": f"run-{len(self.runs)}",
            "display_name": body["display_name"],
            "state": "PENDING",
            "parameters": body["runtime_config"]["parameters"],
        }
        self.runs.append(run)
        return 200, run

    def named(self, kind: list[dict[str, Any]], query: str) -> list[dict[str, Any]]:
        given = parse_qs(query).get("filter", ['{"predicates": []}'])[0]
        names = [predicate["stringValue"] for predicate in json.loads(given)["predicates"]]
        return [item for item in kind if item["display_name"] in names or not names]


def _declared(spec: dict[str, Any]) -> dict[str, Any]:
    root: dict[str, Any] = spec.get("pipeline_spec", spec)["root"]
    return root["inputDefinitions"].get("parameters", {})


@contextmanager
def fake_kfp() -> Iterator[FakeKfp]:
    """Serve the API on a free port."""
    api = FakeKfp()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self._failed():
                return
            url = urlsplit(self.path)
            if url.path.endswith(("/experiments", "/runs")):
                api.namespaces += parse_qs(url.query).get("namespace", [""])
            if url.path.endswith("/experiments"):
                self._respond(200, {"experiments": api.named(api.experiments, url.query)})
            elif url.path.endswith("/runs"):
                self._respond(200, {"runs": api.named(api.runs, url.query)})
            elif url.path.endswith("/healthz"):
                self._respond(200, {"multi_user": False})
            else:
                self._respond(404, {})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"] or 0)) or b"{}")
            if self._failed():
                return
            if self.path.endswith(":terminate"):
                name = self.path.rpartition("/")[2].removesuffix(":terminate")
                next(run for run in api.runs if run["run_id"] == name)["state"] = "CANCELING"
                self._respond(200, {})
            elif self.path.endswith("/experiments"):
                api.namespaces.append(body.get("namespace", ""))
                api.experiments.append({"experiment_id": "e-1", "display_name": body["display_name"]})
                self._respond(200, api.experiments[-1])
            else:
                status, response = api.create(body)
                if api.lose:
                    api.lose -= 1
                    self.close_connection = True
                    return
                self._respond(status, response)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

        def _failed(self) -> bool:
            api.tokens.append(self.headers.get("authorization", ""))
            if api.fail:
                self._respond(api.fail, api.failure)
            return bool(api.fail)

        def _respond(self, status: int, response: dict[str, Any]) -> None:
            data = json.dumps(response).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        api.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()

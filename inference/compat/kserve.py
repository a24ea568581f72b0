"""Internals of the KServe SDK, checked with kserve 0.21.0 by tests/inference/compat/test_kserve.py.

- `import_sdk` imports kserve without pandas (data frames as requests) and the Kubernetes client (managing
  InferenceServices), which `import kserve` loads unconditionally and a model server does not use. Without it a model
  server starts later and holds more memory (row P12 of `make bench`).
- `sdk_application` builds the SDK's routes from `kserve.model_server.app`, a module global, and overrides
  `RESTServer._add_middlewares`: its timing middleware prints a line per request.
- `predict_timer` and `explain_timer` are the SDK's own histograms of the time of each verb; `Model.__call__` would
  observe three more stages that are empty here.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from kserve import ModelServer
    from starlette.types import ASGIApp

PLACEHOLDERS = {"pandas": "DataFrame", "kserve.api": "", "kserve.api.kserve_client": "KServeClient"}
"""Modules that stay unloaded, each with the one name that the SDK imports from it."""


def import_sdk() -> None:
    """Import kserve, unless it is imported already; not thread-safe."""
    if "kserve" not in sys.modules:
        with _placeholders(PLACEHOLDERS):
            import kserve  # noqa: F401, PLC0415


def sdk_application(server: "ModelServer", http_port: int) -> "ASGIApp":
    """Return the SDK's HTTP application for the models of a server, without its middlewares."""
    from kserve.model_server import app  # noqa: PLC0415 - the SDK reads sys.argv when it is imported
    from kserve.protocol.rest.server import RESTServer  # noqa: PLC0415

    class Routes(RESTServer):
        def _add_middlewares(self, app: Any) -> None:
            """Add none."""

    Routes("", server.dataplane, server.model_repository_extension, http_port).create_application()
    return cast("ASGIApp", app)


def predict_timer(model_name: str) -> Any:
    """Return the SDK's histogram of prediction time of a model."""
    from kserve.metrics import PREDICT_HIST_TIME, get_labels  # noqa: PLC0415

    return PREDICT_HIST_TIME.labels(**get_labels(model_name))


def explain_timer(model_name: str) -> Any:
    """Return the SDK's histogram of explanation time of a model."""
    from kserve.metrics import EXPLAIN_HIST_TIME, get_labels  # noqa: PLC0415

    return EXPLAIN_HIST_TIME.labels(**get_labels(model_name))


@contextmanager
def _placeholders(modules: dict[str, str]) -> Iterator[None]:
    """Put modules with one empty class each into `sys.modules`, where they are not loaded yet."""
    absent = {name: member for name, member in modules.items() if name not in sys.modules}
    for name, member in absent.items():
        module = sys.modules[name] = ModuleType(name, "Placeholder while kserve is imported.")
        if member:
            setattr(module, member, type(member, (), {}))
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]

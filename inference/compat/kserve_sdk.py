"""Import the SDK without what only its other users need.

`import kserve` loads pandas (for data frames as requests) and the Kubernetes client (for managing services): most of
its start-up time and memory, and nothing a model server of ours touches. Stand-ins take their place meanwhile.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


def import_sdk() -> None:
    """Import kserve, if nobody has yet."""
    if "kserve" not in sys.modules:
        with _stand_ins({"pandas": "DataFrame", "kserve.api": "", "kserve.api.kserve_client": "KServeClient"}):
            import kserve  # noqa: F401, PLC0415


@contextmanager
def _stand_ins(modules: dict[str, str]) -> Iterator[None]:
    """Pretend that modules exist, each with one empty class."""
    absent = {name: member for name, member in modules.items() if name not in sys.modules}
    for name, member in absent.items():
        module = sys.modules[name] = ModuleType(name, "A stand-in while the SDK is imported.")
        if member:
            setattr(module, member, type(member, (), {}))
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]

"""The KServe SDK has the internals that inference/compat/kserve.py uses."""

import subprocess
import sys
from importlib.metadata import version

import pytest

from inference.compat.kserve import PLACEHOLDERS

LOADED = (
    "import sys; sys.argv[1:] = []\n"
    "from inference.compat.kserve import import_sdk\n"
    "import_sdk()\n"
    "from inference.model_server import kserve_server, grpc_server\n"
    "print(*(name for name in ('pandas', 'kubernetes', 'kserve') if name in sys.modules))"
)


def test_a_model_server_loads_neither_pandas_nor_the_kubernetes_client() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=False)

    assert (0, "kserve") == (done.returncode, done.stdout.strip()), (
        f"kserve {version('kserve')} imports more names of {', '.join(PLACEHOLDERS)} than inference/compat/kserve.py "
        f"has in PLACEHOLDERS: add them there\n{done.stderr}"
    )


@pytest.mark.parametrize(
    ("module", "name", "effect"),
    [
        ("kserve.model_server", "app", "the SDK's routes (`/`, `/metrics`, lists of models) cannot be served"),
        ("kserve.protocol.rest.server", "RESTServer._add_middlewares", "every request prints a timing line"),
        ("kserve.protocol.rest.server", "RESTServer.create_application", "the SDK's routes cannot be served"),
        ("kserve.metrics", "PREDICT_HIST_TIME", "the SDK's histogram of prediction time is missing"),
        ("kserve.metrics", "get_labels", "the SDK's histogram of prediction time is missing"),
    ],
)
def test_the_sdk_has_the_attributes_that_are_used(module: str, name: str, effect: str) -> None:
    code = (
        f"import sys; sys.argv[1:] = []; import {module} as found\n"
        f"for part in {name!r}.split('.'): found = getattr(found, part)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert 0 == done.returncode, f"kserve {version('kserve')} has no {module}.{name}: {effect}; {done.stderr[-200:]}"

"""What a host has ready; what it does with a step is tested with local runs."""

from importlib.util import find_spec

from components.__main__ import steps
from pipelines.local.step_host import PRELOADED
from tests.pipelines.test_compile import BEFORE_THE_PIPELINE


def test_every_step_of_the_pipeline_is_ready_to_run() -> None:
    ready = {name.split(".")[1] for name in PRELOADED if name.startswith("components.") and name.endswith(".step")}

    assert set(steps()) - BEFORE_THE_PIPELINE == ready


def test_every_module_that_is_imported_beforehand_exists() -> None:
    assert [] == [name for name in PRELOADED if find_spec(name) is None]

"""The model server of row P1."""

from pathlib import Path

import pytest

from benchmarks.noop import make
from inference.model_server.flags import parse_flags


@pytest.mark.parametrize(("name", "inputs"), [("text-predictor", 2), ("image-predictor", 1)])
def test_a_model_that_computes_nothing_has_the_inputs_of_a_predictor(release_dir: Path, name: str, inputs: int) -> None:
    [model] = make(parse_flags(name, ["--model_dir", str(release_dir / name.removesuffix("-predictor"))]))

    assert (name, inputs) == (model.name, len(model.signature.inputs))

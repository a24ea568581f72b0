"""Compile the pipelines, each into one file that runs everywhere, and read what it asks for."""

from pathlib import Path
from typing import Any

import yaml

KINDS = {"NUMBER_INTEGER": int, "NUMBER_DOUBLE": float, "STRING": str, "BOOLEAN": bool}
PACKAGE = Path("build/training.yaml")
LOOK_PACKAGE = Path("build/retrain-look.yaml")


def compile_training(package: Path = PACKAGE) -> Path:
    """Write the compiled pipeline; it names images and steps, and nothing of this machine."""
    from pipelines.training import training  # noqa: PLC0415 - imports kfp, which takes seconds

    return _compile(training, package)


def compile_look(package: Path = LOOK_PACKAGE) -> Path:
    """Write the pipeline of a recurring run, which looks whether a training is due."""
    from pipelines.retrain.reconcile import retrain_look  # noqa: PLC0415 - imports kfp, which takes seconds

    return _compile(retrain_look, package)


def declared(package: Path) -> dict[str, type]:
    """Return the parameters of a compiled pipeline and the type of each."""
    inputs = yaml.safe_load(package.read_text(encoding="utf-8").partition("\n---\n")[0])["root"]["inputDefinitions"]
    return {name: KINDS.get(spec["parameterType"], object) for name, spec in inputs.get("parameters", {}).items()}


def _compile(pipeline: Any, package: Path) -> Path:
    from kfp import compiler  # noqa: PLC0415 - takes seconds

    package.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(pipeline, str(package))
    return package

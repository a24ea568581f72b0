"""Compile a pipeline to a KFP YAML file, and read the parameters that such a file declares."""

from pathlib import Path
from typing import Any

import yaml

TYPES = {"NUMBER_INTEGER": int, "NUMBER_DOUBLE": float, "STRING": str, "BOOLEAN": bool}
"""Parameter type of the pipeline specification to Python type."""

PACKAGE = Path("build/training.yaml")


def compile_training(package: Path = PACKAGE) -> Path:
    """Compile the training pipeline to `package` and return that path.

    The file names images and steps but nothing of this machine, so every place runs the same one.
    """
    from pipelines.training import training  # noqa: PLC0415 - imports kfp, which takes seconds

    return compile_pipeline(training, package)


def compile_pipeline(pipeline: Any, package: Path) -> Path:
    """Compile a pipeline function to `package` and return that path."""
    from kfp import compiler  # noqa: PLC0415 - takes seconds

    package.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(pipeline, str(package))
    return package


def declared_parameters(package: Path) -> dict[str, type]:
    """Return the parameters of a compiled pipeline with their types."""
    inputs = yaml.safe_load(package.read_text(encoding="utf-8").partition("\n---\n")[0])["root"]["inputDefinitions"]
    return {name: TYPES.get(spec["parameterType"], object) for name, spec in inputs.get("parameters", {}).items()}

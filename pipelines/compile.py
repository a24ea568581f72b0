"""Compile the training pipeline into the one file that runs everywhere, and read what it asks for."""

from pathlib import Path

import yaml

KINDS = {"NUMBER_INTEGER": int, "NUMBER_DOUBLE": float, "STRING": str, "BOOLEAN": bool}
PACKAGE = Path("build/training.yaml")


def compile_training(package: Path = PACKAGE) -> Path:
    """Write the compiled pipeline; it names images and steps, and nothing of this machine."""
    from kfp import compiler  # noqa: PLC0415 - takes seconds

    from pipelines.training import training  # noqa: PLC0415 - imports kfp

    package.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(training, str(package))
    return package


def declared(package: Path) -> dict[str, type]:
    """Return the parameters of a compiled pipeline and the type of each."""
    inputs = yaml.safe_load(package.read_text(encoding="utf-8").partition("\n---\n")[0])["root"]["inputDefinitions"]
    return {name: KINDS.get(spec["parameterType"], object) for name, spec in inputs.get("parameters", {}).items()}

"""MLflow `pyfunc` models of a release: bundle, code, signature, input example and requirements."""

import base64
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import product_classifier
from product_classifier.bundles import bundle
from product_classifier.bundles.bundle import Kind
from product_classifier.releases.release import Release
from product_classifier.taxonomy.folder import FOLDER

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

LOADER = "product_classifier.releases.pyfunc_loader"
_TEXT = ("numpy", "onnxruntime", "pandas", "pydantic", "pydantic-settings", "structlog", "tokenizers")
_IMAGE = ("numpy", "onnxruntime", "opencv-python-headless", "pandas", "pillow", "pydantic", "simplejpeg", "structlog")
REQUIREMENTS: Mapping[Kind, tuple[str, ...]] = {
    "text": _TEXT,
    "image": _IMAGE,
    "fusion": tuple(sorted({*_TEXT, *_IMAGE})),
}
"""Distributions that each kind of model needs besides MLflow; a model pins the versions it was saved with."""


def save_pyfunc(release: Release, kind: Kind, folder: Path) -> None:
    """Write the model into `folder`, in the layout of MLflow.

    The code travels with the model, so that an environment with the declared requirements loads it.
    """
    from mlflow import pyfunc  # noqa: PLC0415 - takes seconds

    data = folder.with_name(f"{folder.name}-data") / "release"
    _copy_data(release, kind, data)
    try:
        pyfunc.save_model(
            str(folder),
            loader_module=LOADER,
            data_path=str(data),
            code_paths=[str(Path(product_classifier.__path__[0]))],
            signature=_signature(release, kind),
            input_example=_input_example(release, kind),
            pip_requirements=[f"{name}=={version(name)}" for name in ("mlflow", *REQUIREMENTS[kind])],
            metadata={"release": release.id, "kind": kind, "bundle": release.versions[kind]},
        )
    finally:
        shutil.rmtree(data.parent)


def _copy_data(release: Release, kind: Kind, data: Path) -> None:
    """Copy the bundle and the taxonomy; the fusion needs all three bundles."""
    if kind == "fusion":
        shutil.copytree(release.path, data)
        return
    for name in (kind, FOLDER):
        if (release.path / name).is_dir():
            shutil.copytree(release.path / name, data / name)


def _signature(release: Release, kind: Kind) -> "ModelSignature":
    from mlflow.models import ModelSignature  # noqa: PLC0415 - takes seconds
    from mlflow.types.schema import Array, ColSpec, DataType, Schema  # noqa: PLC0415

    texts = [
        ColSpec(DataType.string, "designation", required=kind == "text"),
        ColSpec(DataType.string, "description", required=False),
    ]
    photo = [ColSpec(DataType.binary, "image", required=kind == "image")]
    columns: Mapping[Kind, list[ColSpec]] = {"text": texts, "image": photo, "fusion": texts + photo}
    integer = isinstance(release.taxonomy.to_json_code(release.taxonomy.codes[0]), int)
    outputs = [
        ColSpec(DataType.long if integer else DataType.string, "code"),
        ColSpec(DataType.float, "probability"),
        ColSpec(Array(DataType.float), "probabilities"),
    ]
    return ModelSignature(Schema(columns[kind]), Schema(outputs))


def _input_example(release: Release, kind: Kind) -> Any:
    """Return a product of the bundles' self-checks, which contain none of a catalogue."""
    import pandas as pd  # noqa: PLC0415 - takes a second

    text, image = (bundle.verify(release.path / one).self_check for one in ("text", "image"))
    texts = {name: text.get(name, ["Livre"])[:1] for name in ("designation", "description")}
    photos = {"image": [base64.b64decode(photo) for photo in image.get("image", [""])[:1]]}
    columns: Mapping[Kind, Mapping[str, list[Any]]] = {"text": texts, "image": photos, "fusion": texts | photos}
    return pd.DataFrame(columns[kind])

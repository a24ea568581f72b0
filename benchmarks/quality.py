"""Model quality on a folder of raw files: `python -m benchmarks.quality RAW`, see --help.

The pipeline's steps train text, image and fusion models on the training split; they are evaluated on the test split.
The peer is a pipeline of word and character TF-IDF and LinearSVC, fitted and evaluated on the same rows. All are also
compared by repeated k-fold cross-validation over content groups, because one split of a hundred products cannot
separate two good models; there the measures that use all labelled products are left out one by one.

The expected calibration error (ECE) is positive on a finite sample even for perfect probabilities; the column "ECE if
calibrated" is its mean in that case. Coverage at 99 % is the largest share of items, most confident first, with a
precision of 99 %.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.svm import LinearSVC

from components.fit_fusion import step as fit_fusion
from components.prepare_catalogue import step as prepare_catalogue
from components.shared.predictions import predict
from components.split_catalogue import step as split_catalogue
from components.train_image import step as train_image
from components.train_text import step as train_text
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.catalogue.content_keys import content_keys
from product_classifier.catalogue.product_table import read_products
from product_classifier.catalogue.splits import SPLITS
from product_classifier.command_line import add_former_option, show_deprecations
from product_classifier.evaluation.folds import assign_folds
from product_classifier.evaluation.resampling import bootstrap_gains
from product_classifier.evaluation.scores import score, weighted_f1
from product_classifier.probabilities import softmax
from product_classifier.releases.release import load_fusion, load_text
from product_classifier.text.normalization import normalize

Floats = NDArray[np.floating]
Labels = NDArray[np.int64]
PEER = "TF-IDF + LinearSVC"
VALIDATION_PARTS = 8
"""One of this many parts of the products to learn from is the validation split."""
ABLATIONS = {
    "text_of_train": ", fitted without validation",
    "fusion_of_validation": ", fitted on validation only",
}
"""Suffix of the row in which a measure is left out, by bundle."""
HEADINGS = {"ece": "ECE", "ece_if_calibrated": "ECE if calibrated", "coverage_at_99": "coverage at 99 %"}


@dataclass(frozen=True)
class QualityRow:
    """One table row; None where a model has no such figure."""

    model: str
    items: int
    weighted_f1: float
    macro_f1: float
    standard_error: float | None = None
    """Of the weighted F1, over the folds."""
    ece: float | None = None
    ece_if_calibrated: float | None = None
    coverage_at_99: float | None = None


@dataclass(frozen=True)
class Texts:
    """Products with text: prepared for our model, raw for the peer, and labels."""

    ours: list[str]
    raw: list[str]
    labels: Labels

    def __len__(self) -> int:
        return len(self.ours)


def main(arguments: Sequence[str]) -> int:
    """Measure quality and print the tables."""
    show_deprecations()
    options = _parse(arguments)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        _prepare(options.raw, work, options.share_test)
        found = {"held out": by_split(work, options)}
        if options.repeats:
            found[f"{options.repeats} x {options.folds}-fold by content group"] = cross_validate(work, options)
    for title, lines in found.items():
        sys.stdout.write(f"\n{title}\n\n{_table(lines)}\n")
    if options.json:
        values = {title: [asdict(line) for line in lines] for title, lines in found.items()}
        options.json.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    return 0


def by_split(work: Path, options: argparse.Namespace) -> list[QualityRow]:
    """Train with the pipeline's steps and evaluate on the test split."""
    train, validation, test = (work / f"{side}.parquet" for side in ("train", "validation", "test"))
    predicted = work / "text.parquet", work / "image.parquet"
    train_text.run(train, validation, work / "text", predicted[0], CHALLENGE, C=options.C, encoder=options.text_encoder)
    train_texts, test_texts = read_texts(read_products(train)), read_texts(read_products(test))
    peer = _peer_scores(train_texts, test_texts)
    lines = [_line(PEER, peer, test_texts.labels, confident=False)]
    image = {"backbone": options.image_backbone, "size": options.image_size, "precision": options.image_precision}
    train_image.run(train, validation, options.raw, work / "image", predicted[1], CHALLENGE, **image)
    fit_fusion.run(train, validation, *predicted, work / "fusion", CHALLENGE)
    predictions = predict(test, options.raw, work / "text", work / "image")
    ours = predictions.text.dense()[predictions.has_text]
    mean, error = paired(ours, peer, test_texts.labels)
    sys.stderr.write(f"text - peer, weighted F1: {mean:+.4f} (standard error {error:.4f}, {len(test_texts)} items)\n")
    both = predictions.has_text & predictions.has_image
    fused = predictions.combine(load_fusion(work / "fusion")[0]).dense()
    of_text, of_image = predictions.text.dense(), predictions.image.dense()
    for name, probabilities, rows in (
        ("text", of_text, predictions.has_text),
        ("image", of_image, predictions.has_image),
        ("fusion", fused, predictions.has_text | predictions.has_image),
        ("text, where both", of_text, both),
        ("image, where both", of_image, both),
        ("fusion, where both", fused, both),
    ):
        lines.append(_line(name, probabilities[rows], predictions.labels[rows]))
    return lines


def cross_validate(work: Path, options: argparse.Namespace) -> list[QualityRow]:
    """Train with the pipeline's steps without each fold of content groups and evaluate on the fold.

    Weighted F1 has the standard error of its mean over the folds. The rows that end in `ABLATIONS` leave one measure
    out: text fitted without the validation split, and a fusion fitted on the validation split only.
    """
    products = pd.read_parquet(work / "catalogue")
    found: dict[str, list[tuple[Floats, Labels]]] = {}
    for number in range(options.repeats * options.folds):
        repeat, fold = divmod(number, options.folds)
        outer = _content_folds(products, options.folds, repeat)
        folder = work / f"fold-{number}"
        folder.mkdir()
        _write_fold(products[outer != fold], products[outer == fold], folder)
        for name, predicted in _fold_predictions(folder, options).items():
            found.setdefault(name, []).append(predicted)
        sys.stderr.write(f"\rfold {number + 1} of {options.repeats * options.folds}")
    lines = []
    for name, parts in found.items():
        pooled = [np.concatenate(one) for one in zip(*parts, strict=True)]
        by_fold = [weighted_f1(*part) for part in parts]
        error = float(np.std(by_fold, ddof=1) / np.sqrt(len(by_fold)))
        lines.append(replace(_line(name, pooled[0], pooled[1], confident=name != PEER), standard_error=error))
    return lines


def _content_folds(products: pd.DataFrame, folds: int, seed: int) -> Labels:
    content = zip(products["designation"], products["description"], products["image_sha256"], strict=True)
    return assign_folds([content_keys(*one) for one in content], products["code"].to_list(), folds, seed)


def _write_fold(learned: pd.DataFrame, test: pd.DataFrame, folder: Path) -> None:
    """Write the splits of a fold; an eighth of the products to learn from is the validation split."""
    held = _content_folds(learned, VALIDATION_PARTS, 0) == 0
    parts = {"train": learned[~held], "validation": learned[held], "nothing": learned.head(0), "test": test}
    for name, part in parts.items():
        part.reset_index(drop=True).to_parquet(folder / f"{name}.parquet")


def _fold_predictions(folder: Path, options: argparse.Namespace) -> dict[str, tuple[Floats, Labels]]:
    """Return probabilities and labels of the test products by table row."""
    train, validation, nothing, test, text, image = (
        folder / f"{name}.parquet"
        for name in ("train", "validation", "nothing", "test", "text_out_of_fold", "image_out_of_fold")
    )
    train_text.run(train, validation, folder / "text", text, CHALLENGE, C=options.C, encoder=options.text_encoder)
    train_text.run(train, nothing, folder / "text_of_train", folder / "unused.parquet", CHALLENGE, C=options.C)
    train_image.run(
        train,
        validation,
        options.raw,
        folder / "image",
        image,
        CHALLENGE,
        backbone=options.image_backbone,
        size=options.image_size,
        precision=options.image_precision,
    )
    fit_fusion.run(train, validation, text, image, folder / "fusion", CHALLENGE)
    fit_fusion.run(nothing, validation, text, image, folder / "fusion_of_validation", CHALLENGE)
    one = predict(test, options.raw, folder / "text", folder / "image")
    both, either = one.has_text & one.has_image, one.has_text | one.has_image
    of_text, of_image = one.text.dense(), one.image.dense()
    learned = read_texts(pd.concat([pd.read_parquet(train), pd.read_parquet(validation)], ignore_index=True))
    test_texts = read_texts(pd.read_parquet(test))
    rows = {
        PEER: (_peer_scores(learned, test_texts), test_texts.labels),
        "text": (of_text[one.has_text], one.labels[one.has_text]),
        "image": (of_image[one.has_image], one.labels[one.has_image]),
        "text, where both": (of_text[both], one.labels[both]),
    }
    for bundle, suffix in (("fusion", ""), ("fusion_of_validation", ABLATIONS["fusion_of_validation"])):
        fused = one.combine(load_fusion(folder / bundle)[0]).dense()
        rows[f"fusion, where both{suffix}"] = fused[both], one.labels[both]
        rows[f"fusion{suffix}"] = fused[either], one.labels[either]
    earlier = load_text(folder / "text_of_train")[0].classify(test_texts.ours)
    rows[f"text{ABLATIONS['text_of_train']}"] = earlier, test_texts.labels
    return rows


def read_texts(products: pd.DataFrame) -> Texts:
    """Return the products that have text and a known category."""
    fields = list(zip(products["designation"], products["description"], strict=True))
    ours = [normalize(*text) for text in fields]
    kept = [row for row, code in enumerate(products["code"]) if ours[row] and code in CHALLENGE]
    return Texts(
        [ours[row] for row in kept],
        ["\n".join(fields[row]) for row in kept],
        np.array([CHALLENGE.index_of(code) for code in products["code"].iloc[kept]], np.int64),
    )


def expected_error(probabilities: Floats, draws: int = 20) -> float:
    """Return the mean ECE of these probabilities on labels drawn from them."""
    random = np.random.default_rng(27)
    cumulative = probabilities.astype(np.float64).cumsum(axis=1)
    found = []
    for _ in range(draws):
        draws_at = random.random((len(cumulative), 1)) * cumulative[:, -1:]
        found.append(score(probabilities, (cumulative < draws_at).sum(axis=1)).ece)
    return float(np.mean(found))


def paired(ours: Floats, peer: Floats, labels: Labels) -> tuple[float, float]:
    """Return the difference in weighted F1 (ours minus peer) and its bootstrap standard error."""
    drawn = bootstrap_gains(peer.argmax(axis=1), ours.argmax(axis=1), labels, len(CHALLENGE))
    return weighted_f1(ours, labels) - weighted_f1(peer, labels), float(drawn.std())


def _line(model: str, probabilities: Floats, labels: Labels, *, confident: bool = True) -> QualityRow:
    found = score(probabilities, labels)
    line = QualityRow(model, found.items, found.weighted_f1, found.macro_f1)
    if not confident or not found.items:
        return line
    return replace(
        line, ece=found.ece, ece_if_calibrated=expected_error(probabilities), coverage_at_99=found.coverage_at_99
    )


def _peer_scores(train_texts: Texts, test_texts: Texts) -> Floats:
    peer = _peer().fit(train_texts.raw, train_texts.labels)
    unseen_margin = -9  # categories absent from training are never predicted
    margins = np.full((len(test_texts), len(CHALLENGE)), unseen_margin, np.float32)
    margins[:, peer[-1].classes_] = peer.decision_function(test_texts.raw)
    return softmax(margins)


def _peer() -> Pipeline:
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    return make_pipeline(make_union(words, characters), LinearSVC(random_state=27))


def _prepare(raw: Path, work: Path, share_test: float) -> None:
    prepare_catalogue.run(raw, work / "catalogue", work / "rejects", work / "report")
    rest = (1 - share_test) / 9
    sides = [work / f"{side}.parquet" for side in SPLITS]
    shares = (7 * rest, rest, share_test, rest)
    split_catalogue.run(work / "catalogue", sides[0], sides[1], sides[2], sides[3], work / "splits.json", *shares)


def _table(lines: Sequence[QualityRow]) -> str:
    shown = pd.DataFrame([asdict(line) for line in lines]).rename(columns=HEADINGS)
    return str(shown.to_string(index=False, float_format=lambda value: f"{value:.4f}", na_rep="-"))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("raw", type=Path, help="folder in the challenge's layout")
    parser.add_argument("--C", type=float, default=1.0, help="C of our text model")
    add_former_option(parser, "--penalty", dest="C", type=float)
    parser.add_argument("--text-encoder", default="", help="encoders beside the hashed n-grams; see train_text.encoder")
    parser.add_argument("--image-backbone", default=train_image.DEFAULT_BACKBONE)
    parser.add_argument("--image-size", type=int, default=176, help="side of the input of the image network in pixels")
    parser.add_argument("--image-precision", choices=train_image.PRECISIONS, default=train_image.PRECISIONS[0])
    parser.add_argument("--share-test", type=float, default=0.1, help="share of the test split")
    parser.add_argument("--repeats", type=int, default=1, help="repeats of the cross-validation; 0 disables it")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Model quality on a folder of raw files: `python -m benchmarks.quality RAW`, see --help.

The pipeline's steps train text, image and fusion models on the training split; they are evaluated on the test split.
The peer is a pipeline of word and character TF-IDF and LinearSVC, fitted and evaluated on the same rows. The text model
and the peer are also compared by repeated stratified group k-fold cross-validation (near duplicates form a group),
because one split of a hundred texts cannot separate two good models.

The expected calibration error (ECE) is positive on a finite sample even for perfect probabilities; the column "ECE if
calibrated" is its mean in that case. Coverage at 99 % is the largest share of items, most confident first, with a
precision of 99 %.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.svm import LinearSVC

from components.fit_fusion import step as fit_fusion
from components.prepare_catalogue import step as prepare_catalogue
from components.shared.out_of_fold import FOLDS
from components.shared.predictions import predict
from components.split_catalogue import step as split_catalogue
from components.train_image import step as train_image
from components.train_text import linear_training as linear
from components.train_text import step as train_text
from product_classifier.catalogue.splits import SPLITS, text_key
from product_classifier.command_line import add_former_option, show_deprecations
from product_classifier.evaluation.folds import assign_folds
from product_classifier.evaluation.resampling import bootstrap_gains
from product_classifier.evaluation.scores import score, weighted_f1
from product_classifier.probabilities import softmax
from product_classifier.releases.release import load_fusion
from product_classifier.taxonomy import CHALLENGE
from product_classifier.text.features import TextFeatures
from product_classifier.text.normalization import normalize

Floats = NDArray[np.floating]
Labels = NDArray[np.int64]
Rows = NDArray[np.intp]
PEER = "TF-IDF + LinearSVC"
HEADINGS = {"ece": "ECE", "ece_if_calibrated": "ECE if calibrated", "coverage_at_99": "coverage at 99 %"}


@dataclass(frozen=True)
class QualityRow:
    """One table row; None where a model has no such figure."""

    model: str
    items: int
    weighted_f1: float
    macro_f1: float
    ece: float | None = None
    ece_if_calibrated: float | None = None
    coverage_at_99: float | None = None


@dataclass(frozen=True)
class Texts:
    """Products with text: prepared for our model, raw for the peer, labels and near-duplicate groups."""

    ours: list[str]
    raw: list[str]
    labels: Labels
    groups: list[str]

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
            texts = read_texts(pd.read_parquet(work / "catalogue"))
            found[f"{options.repeats} x {options.folds}-fold over {len(texts)} texts"] = cross_validate(texts, options)
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
    train_text.run(train, validation, work / "text", predicted[0], CHALLENGE, C=options.C)
    train_texts, test_texts = read_texts(pd.read_parquet(train)), read_texts(pd.read_parquet(test))
    peer = _peer_scores(train_texts, test_texts)
    lines = [_line(PEER, peer, test_texts.labels, confident=False)]
    image_numbers = {"epochs": options.image_epochs, "budget_s": options.image_budget_s}
    train_image.run(train, validation, options.raw, work / "image", predicted[1], CHALLENGE, **image_numbers)
    fit_fusion.run(train, validation, *predicted, work / "fusion")
    predictions = predict(test, options.raw, work / "text", work / "image")
    ours = predictions.text[predictions.has_text]
    mean, error = paired(ours, peer, test_texts.labels)
    sys.stderr.write(f"text - peer, weighted F1: {mean:+.4f} (standard error {error:.4f}, {len(test_texts)} items)\n")
    both = predictions.has_text & predictions.has_image
    fused = load_fusion(work / "fusion")[0].combine(
        predictions.text, predictions.image, predictions.has_text, predictions.has_image
    )
    for name, probabilities, rows in (
        ("text", predictions.text, predictions.has_text),
        ("image", predictions.image, predictions.has_image),
        ("fusion", fused, predictions.has_text | predictions.has_image),
        ("text, where both", predictions.text, both),
        ("image, where both", predictions.image, both),
        ("fusion, where both", fused, both),
    ):
        lines.append(_line(name, probabilities[rows], predictions.labels[rows]))
    return lines


def cross_validate(texts: Texts, options: argparse.Namespace) -> list[QualityRow]:
    """Evaluate the text model and the peer out of fold on every text."""
    collected: dict[str, list[tuple[Floats, Labels]]] = {"text": [], PEER: []}
    better = []
    for train_texts, test_texts in _parts(texts, options.repeats, options.folds):
        own = _of(texts, train_texts)
        folds = assign_folds([[group] for group in own.groups], own.labels.tolist(), FOLDS, seed=27)
        model, _ = linear.fit_and_cross_predict(
            own.ours, own.labels, folds, CHALLENGE.codes, TextFeatures(), options.C, 27
        )
        labels = texts.labels[test_texts]
        ours = model.classify([texts.ours[row] for row in test_texts])
        peer = _peer_scores(own, _of(texts, test_texts))
        for name, probabilities in (("text", ours), (PEER, peer)):
            collected[name].append((probabilities, labels))
        better.append(weighted_f1(ours, labels) - weighted_f1(peer, labels))
        sys.stderr.write(f"\rfold {len(better)} of {options.repeats * options.folds}")
    mean, error = np.mean(better), np.std(better, ddof=1) / np.sqrt(len(better))
    sys.stderr.write(f"\ntext - peer, weighted F1 by fold: {mean:+.4f} (standard error {error:.4f})\n")
    pooled = {name: tuple(map(np.concatenate, zip(*parts, strict=True))) for name, parts in collected.items()}
    return [_line(name, *found, confident=name != PEER) for name, found in pooled.items()]


def read_texts(products: pd.DataFrame) -> Texts:
    """Return the products that have text and a known category."""
    fields = list(zip(products["designation"], products["description"], strict=True))
    ours = [normalize(*text) for text in fields]
    kept = [row for row, code in enumerate(products["code"]) if ours[row] and code in CHALLENGE]
    return Texts(
        [ours[row] for row in kept],
        ["\n".join(fields[row]) for row in kept],
        np.array([CHALLENGE.index_of(code) for code in products["code"].iloc[kept]], np.int64),
        [text_key(*fields[row]) for row in kept],
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


def _of(texts: Texts, rows: Rows) -> Texts:
    return Texts(
        [texts.ours[row] for row in rows],
        [texts.raw[row] for row in rows],
        texts.labels[rows],
        [texts.groups[row] for row in rows],
    )


def _parts(texts: Texts, repeats: int, folds: int) -> Iterator[tuple[Rows, Rows]]:
    for repeat in range(repeats):
        yield from _folds(texts, np.arange(len(texts)), folds, seed=repeat)


def _folds(texts: Texts, rows: Rows, folds: int, seed: int) -> Iterator[tuple[Rows, Rows]]:
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for most, part in splitter.split(rows, texts.labels[rows], [texts.groups[row] for row in rows]):
        yield rows[most], rows[part]


def _prepare(raw: Path, work: Path, share_test: float) -> None:
    prepare_catalogue.run(raw, work / "catalogue", work / "rejects", work / "report", CHALLENGE)
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
    parser.add_argument("--image-epochs", type=int, default=30)
    parser.add_argument(
        "--image-budget-s", type=float, default=20.0, help="time budget of the image training in seconds"
    )
    parser.add_argument("--share-test", type=float, default=0.1, help="share of the test split")
    parser.add_argument("--repeats", type=int, default=3, help="repeats of the cross-validation; 0 disables it")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""P7: one product text to probabilities, and equality of labels with the sparse matrix of training."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline

from benchmarks import materials
from benchmarks.compare import alternate, median_and_range, median_of
from benchmarks.outcome import Check, Outcome
from benchmarks.timing import ms_per_item
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.text.hashed_linear import HashedLinear
from product_classifier.text.loading import load_text_model
from product_classifier.text.normalization import normalize

GOAL_MS = 0.4
TEXTS = 5000
TIMED = 500
ROUNDS = 3


def measure(_folder: Path) -> Outcome:
    """Compare single predictions with a scikit-learn pipeline and with the sparse matrix of training."""
    model = load_text_model(materials.release() / "text")
    assert isinstance(model, HashedLinear)  # noqa: S101 - trained by the benchmark
    products = materials.products(TEXTS, first=100_000)
    titles, bodies = [one.title for one in products], [one.description for one in products]
    pipeline = _pipeline(materials.products(materials.TRAINED_ON))
    joined = [f"{title} {body}" for title, body in zip(titles, bodies, strict=True)]
    found = alternate(
        {
            "ours": lambda: ms_per_item(
                lambda: [model.probabilities([titles[i]], [bodies[i]]) for i in range(TIMED)], TIMED
            ),
            "scikit-learn": lambda: ms_per_item(
                lambda: [pipeline.predict_proba([joined[i]]) for i in range(TIMED)], TIMED
            ),
        },
        ROUNDS,
    )
    ours, peer = median_of(found["ours"]), median_of(found["scikit-learn"])
    same = int((_one_by_one(model, titles, bodies) == _sparse(model, titles, bodies)).sum())
    return Outcome(
        ours=f"{ours:.2f} ms, same label on {same} of {TEXTS}",
        peer=f"scikit-learn TF-IDF and SGD: {peer:.1f} ms",
        ratio=peer / ours,
        checks=[
            Check("CPU per product", ours, "ms", "≤", GOAL_MS),
            Check(f"same labels as the sparse matrix of training, of {TEXTS}", same, "", "≥", TEXTS),
        ],
        details=[{"what": name, "CPU ms per product": median_and_range(rounds)} for name, rounds in found.items()],
        note=f"Title and description, {np.mean([len(text) for text in joined]):.0f} characters on average.",
    )


def _one_by_one(model: HashedLinear, titles: list[str], bodies: list[str]) -> NDArray[np.int64]:
    probabilities = [model.probabilities([title], [body])[0] for title, body in zip(titles, bodies, strict=True)]
    labels: NDArray[np.int64] = np.argmax(probabilities, axis=1)
    return labels


def _sparse(model: HashedLinear, titles: list[str], bodies: list[str]) -> NDArray[np.int64]:
    """Return labels from a sparse TF-IDF matrix, each view L2-normalized, times the coefficients."""
    texts = [normalize(title, body) for title, body in zip(titles, bodies, strict=True)]
    matrix = model.features.matrix(texts).tocsc()
    margins = np.tile(model.bias.astype(np.float64), (len(texts), 1))
    for start, end in zip(model.features.views[:-1], model.features.views[1:], strict=True):
        view = matrix[:, start:end]
        weighted = view.multiply(model.idf[start:end][None, :]).tocsr()
        lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
        margins += (view.tocsr() @ model.table[start:end].astype(np.float64)) / np.maximum(lengths, 1e-6)[:, None]
    labels: NDArray[np.int64] = margins.argmax(axis=1)
    return labels


def _pipeline(products: list[materials.LabeledProduct]) -> Any:
    features = FeatureUnion(
        [
            ("words", TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)),
            ("characters", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=2, sublinear_tf=True)),
        ]
    )
    texts = [f"{one.title} {one.description}" for one in products]
    return make_pipeline(features, SGDClassifier(loss="log_loss", random_state=27)).fit(
        texts, [CHALLENGE.index_of(one.label) for one in products]
    )

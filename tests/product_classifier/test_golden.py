"""Content keys, splits and probabilities that must not change."""

import numpy as np
import pytest

from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.catalogue.content_keys import content_keys
from product_classifier.catalogue.splits import split_of_key
from product_classifier.fusion.calibration import fit_logit_scale, fit_margin_calibration
from product_classifier.fusion.fit import fit_fusion
from product_classifier.text.features import TextFeatures
from product_classifier.text.hashed_linear import HashedLinear
from product_classifier.text.normalization import normalize, strip_markup
from product_classifier.top_probabilities import TopProbabilities

TEXTS = [
    ("Été à la MER — lot de 3", "<p>Idéal pour l&#39;été</p>"),
    ("Puzzle", ""),
    ("", "<b>Réf. 20394857</b> chaise longue de jardin"),
    ("Œuvre d'art", "x²"),
    ("ﬁn Ⅳ_a", ""),
]
CLASSES, BUCKETS = len(CHALLENGE), 2**10


def test_content_keys_and_splits_are_stable() -> None:
    keys = [content_keys(*text)[0] for text in TEXTS]

    assert [
        "text:dc4996df4b639df281887ba650dca2afb887d9564b375f111c277b0c51dabe34",
        "text:d4fba09b856cc0aa0f2b643f7d9ca20d309dc89b5e562f1229809c51f1e20dcc",
        "text:7da7fd556f0e21a6852df22742324dad54a4277dc2e018ba0d1c099b6df6366b",
        "text:6d6bb4bc9a4f3ffc76a90f45cff93328e809e8aa5365ea0f619473fac48f28ed",
        "text:78248a7d08cddcf628726ca62f25d3b0831dda1f33aba826c1c2e94a75e5ca5a",
    ] == keys
    assert ["validation", "train", "train", "train", "train"] == [split_of_key(key) for key in keys]


def test_prepared_text_is_stable() -> None:
    assert [
        "ete a la mer lot de 3\nideal pour l ete",
        "puzzle",
        "\nref 20394857 chaise longue de jardin",
        "œuvre d art\nx2",
        "fin iv a",
    ] == [normalize(*text) for text in TEXTS]
    assert ["Été à la MER — lot de 3\nIdéal pour l'été", "Puzzle\n"] == [strip_markup(*text) for text in TEXTS[:2]]


def test_probabilities_of_a_text_model_are_stable() -> None:
    rng = np.random.default_rng(5)
    table = rng.normal(0, 1, (BUCKETS, CLASSES)).astype(np.float32)
    idf = rng.uniform(1, 5, BUCKETS).astype(np.float32)
    bias = rng.normal(0, 1, CLASSES).astype(np.float32)
    prior = np.full(CLASSES, 1 / CLASSES, np.float32)
    model = HashedLinear(TextFeatures(BUCKETS), table, idf, bias, prior, CHALLENGE.codes)

    rows = model.probabilities([title for title, _ in TEXTS], [body for _, body in TEXTS])
    assert [15, 25, 15, 15, 18] == rows.argmax(axis=1).tolist()
    assert [0.101336, 0.117712, 0.12114, 0.111875, 0.104031] == pytest.approx(rows.max(axis=1).tolist(), abs=1e-5)


def test_the_fit_of_fusion_and_calibration_is_stable() -> None:
    rng = np.random.default_rng(5)
    for shape in ((BUCKETS, CLASSES), (BUCKETS,), (CLASSES,)):  # the draws of the text model precede
        rng.uniform(1, 5, shape) if shape == (BUCKETS,) else rng.normal(0, 1, shape)
    text, image = (rng.dirichlet(np.full(CLASSES, 0.3), 80).astype(np.float32) for _ in range(2))
    labels = np.array([1, 2, 3, 4] * 20)
    has_text, has_image = np.arange(80) % 5 > 0, np.ones(80, bool)

    folds = np.arange(80) % 5
    fusion = fit_fusion(
        TopProbabilities.of(text), TopProbabilities.of(image), has_text, has_image, labels, folds, CHALLENGE.codes
    ).model
    fused = fusion.combine(text[:4], image[:4], has_text[:4], has_image[:4])
    assert [4, 3, 1, 1] == fused.argmax(axis=1).tolist()
    assert [0.28198, 0.26573, 0.27525, 0.26719] == pytest.approx(fused.max(axis=1).tolist(), abs=2e-4)
    assert [0.00882, 0.00877, 0.0078] == pytest.approx(fusion.uniform_mixture.tolist(), abs=2e-4)
    assert pytest.approx(2.18528, abs=1e-3) == fit_logit_scale(text, labels)
    assert (6.2447, 8.8262) == pytest.approx(fit_margin_calibration(text * 2 - 1, labels), abs=1e-3)

"""Wrong labels are found by out-of-fold probabilities, each product once."""

import numpy as np
import pytest
from sklearn.naive_bayes import MultinomialNB

from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.catalogue.challenge.sample.offers import offer
from product_classifier.catalogue.content_keys import content_keys
from product_classifier.evaluation.folds import assign_folds
from product_classifier.evaluation.near_copies import NearCopies
from product_classifier.evaluation.suspects import find_suspects
from product_classifier.text.features import TextFeatures
from product_classifier.text.normalization import normalize
from product_classifier.top_probabilities import TopProbabilities

NO_WORDS: frozenset[str] = frozenset()


def test_planted_errors_are_found_with_a_precision_above_one_half() -> None:
    """5 % of the labels are replaced; as many suspects are listed. The sample has other errors too."""
    codes, random = list(CHALLENGE.codes), np.random.default_rng(5)
    offers = [made for made in (offer(7, number, 1500) for number in range(1500)) if normalize(made.title, "")]
    truth = np.array([codes.index(str(made.code)) for made in offers])
    labels = np.array([codes.index(str(made.label)) for made in offers])
    planted = random.choice(len(offers), round(0.05 * len(offers)), replace=False)
    labels[planted] = (labels[planted] + 1 + random.integers(len(codes) - 1, size=len(planted))) % len(codes)
    texts = [normalize(made.title, made.description) for made in offers]
    keys = [content_keys(made.title, made.description) for made in offers]
    counts, folds = TextFeatures(2**14).matrix(texts), assign_folds(keys, labels.tolist(), 5, 1)
    probabilities = np.zeros((len(offers), len(codes)), np.float32)
    for fold in range(5):
        model = MultinomialNB(alpha=0.1).fit(counts[folds != fold], labels[folds != fold])
        probabilities[np.ix_(folds == fold, model.classes_)] = model.predict_proba(counts[folds == fold])

    found = find_suspects(
        TopProbabilities.of(probabilities), labels, keys, [frozenset(text.split()) for text in texts], len(planted)
    )

    assert len(planted) == len(found)
    assert np.mean([labels[one.row] != truth[one.row] for one in found]) >= 0.5


def test_suspects_are_ordered_by_the_probability_of_their_label() -> None:
    probabilities = np.array([[0.9, 0.1], [0.3, 0.7], [0.1, 0.9], [0.2, 0.8]], np.float32)
    labels = np.array([0, 0, 0, 1])
    found = find_suspects(TopProbabilities.of(probabilities), labels, [()] * 4, [NO_WORDS] * 4, 10)

    assert [(2, 0, 1), (1, 0, 1)] == [(one.row, one.label, one.suggested) for one in found]
    assert (pytest.approx(0.1), pytest.approx(0.9)) == (found[0].label_probability, found[0].suggested_probability)


def test_a_right_label_is_no_suspect_however_improbable() -> None:
    probabilities = np.array([[0.4, 0.3, 0.3], [0.9, 0.05, 0.05]], np.float32)

    assert [] == find_suspects(TopProbabilities.of(probabilities), np.array([0, 0]), [()] * 2, [NO_WORDS] * 2, 10)


def test_near_copies_are_listed_once() -> None:
    probabilities = np.array([[0.1, 0.9], [0.05, 0.95], [0.2, 0.8], [0.3, 0.7]], np.float32)
    labels = np.array([0, 0, 0, 1])
    words = [frozenset(["piscine", "gonflable", "ronde", "bleue", "3m"])] * 2 + [frozenset({"livre"})] * 2
    found = find_suspects(TopProbabilities.of(probabilities), labels, [("a",), ("b",), ("b",), ("c",)], words, 10)

    assert [(1, [0, 2])] == [(one.row, one.copies) for one in found]


def test_no_labels_give_no_suspects() -> None:
    assert [] == find_suspects(TopProbabilities.uniform(0, 3), np.zeros(0, np.int64), [], [], 5)


@pytest.mark.parametrize(
    ("keys", "words", "copied"),
    [
        (("a",), "livre", 0),
        (("x", "a"), "", 0),
        (("x",), "grand livre ancien solide bleu", 0),
        (("x",), "grand livre ancien solide rouge neuf", None),
        (("x",), "livre", None),
        ((), "", None),
    ],
)
def test_near_copies_share_a_key_or_most_words(keys: tuple[str, ...], words: str, copied: int | None) -> None:
    seen = NearCopies()
    assert seen.add(("a", "b"), frozenset(["grand", "livre", "ancien", "solide"])) is None

    assert copied == seen.add(keys, frozenset(words.split()))

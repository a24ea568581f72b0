import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_classifier.text.features import TextFeatures
from product_classifier.text.normalization import (
    DESCRIPTION_CHARACTERS_READ,
    DESIGNATION_CHARACTERS_READ,
    normalize,
)

FEATURES = TextFeatures()
WORDS = st.lists(st.text("abcdeéàz09 ", min_size=1, max_size=12), max_size=12).map(" ".join)


def indices_and_counts(features: TextFeatures, text: str) -> tuple[np.ndarray, np.ndarray]:
    return features.count([text])


@given(st.text(max_size=80), st.text(max_size=80))
def test_every_text_has_features_in_range(designation: str, description: str) -> None:
    indices, counts = indices_and_counts(FEATURES, normalize(designation, description))

    assert np.all(np.diff(indices) > 0)
    assert np.all((indices >= 0) & (indices < FEATURES.buckets))
    assert np.all(counts >= 1)


@given(WORDS, WORDS)
def test_counts_add_up_to_those_without_hashing(title: str, body: str) -> None:
    text = normalize(title, body)
    _, counts = indices_and_counts(FEATURES, text)

    assert sum(count_slowly(text).values()) == counts.sum()


def count_slowly(text: str) -> Counter[str]:
    """Count n-grams, words and pairs without hashing."""
    found: Counter[str] = Counter()
    fields = text.split("\n")
    for number, field in enumerate(fields):
        words = field.split()
        for word in words:
            found.update({f"word {word}": len(word) > 1})
            for n in range(2, 6):
                padded = f" {word} "
                for at in range(len(padded) - n + 1):
                    found[padded[at : at + n]] += 1 if number or not text else 2
        found.update(f"pair {a} {b}" for a, b in pairwise(words))
    return found


@given(WORDS)
def test_the_hash_of_a_word_does_not_depend_on_its_position(text: str) -> None:
    words = TextFeatures(shortest=5, longest=5, pairs=False)
    alone, _ = indices_and_counts(words, normalize("chaise longue", ""))
    inside, _ = indices_and_counts(words, normalize(f"{text} chaise {text} longue", ""))

    assert set(alone) <= set(inside)


def test_word_order_affects_only_pairs() -> None:
    def buckets_of(text: str, *, pairs: bool) -> list[int]:
        return indices_and_counts(TextFeatures(pairs=pairs), text)[0].tolist()

    assert buckets_of("table basse", pairs=False) == buckets_of("basse table", pairs=False)
    assert buckets_of("table basse", pairs=True) != buckets_of("basse table", pairs=True)


def test_designation_and_description_have_different_features() -> None:
    title, body = (
        indices_and_counts(FEATURES, normalize(*product))[0] for product in (("bleu", "mer"), ("mer", "bleu"))
    )

    assert set(title) != set(body)


@given(st.lists(st.tuples(WORDS, WORDS), max_size=8), st.sampled_from([2**12, 2**24]))
def test_the_training_matrix_equals_the_serving_counts(products: list[tuple[str, str]], buckets: int) -> None:
    features = TextFeatures(buckets)
    texts = [normalize(*product) for product in products]

    assert_rows_equal_counts(features, texts)


def test_texts_of_many_pages_keep_their_rows() -> None:
    longest = normalize("mot " * DESIGNATION_CHARACTERS_READ, "phrase " * DESCRIPTION_CHARACTERS_READ)

    assert_rows_equal_counts(FEATURES, [f"numero {number}" for number in range(40)] + [longest] * 20 + ["", "fin"])


def assert_rows_equal_counts(features: TextFeatures, texts: list[str]) -> None:
    matrix = features.matrix(texts)
    assert (len(texts), features.buckets) == matrix.shape
    for row, text in enumerate(texts):
        indices, counts = indices_and_counts(features, text)
        assert indices.tolist() == matrix[row].indices.tolist()
        assert np.allclose(1 + np.log(counts), matrix[row].data)


def test_no_texts_make_an_empty_matrix() -> None:
    assert (0, FEATURES.buckets) == FEATURES.matrix([]).shape


def test_hash_collisions_are_as_rare_as_expected() -> None:
    words = [f"mot{number}" for number in range(3000)]
    features = TextFeatures(shortest=8, longest=8, pairs=False)
    taken = {
        int(index) for word in words for index in indices_and_counts(features, word)[0] if index < features.views[2]
    }

    expected = (features.buckets // 4) * (1 - math.exp(-3000 / (features.buckets // 4)))
    assert len(taken) > 0.97 * expected


@pytest.mark.parametrize("buckets", [0, 3, 4, 1000, 2**25])
def test_an_unsupported_number_of_buckets_is_refused(buckets: int) -> None:
    with pytest.raises(ValueError, match=str(buckets)):
        TextFeatures(buckets)


def test_settings_round_trip_through_json() -> None:
    features = TextFeatures(2**12, 3, 4, pairs=False)

    assert features == TextFeatures.from_json(features.to_json())

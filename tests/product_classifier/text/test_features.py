import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_classifier.text.features import TextFeatures
from product_classifier.text.normalization import MAX_DESCRIPTION, MAX_DESIGNATION, normalize

FEATURES = TextFeatures()
WORDS = st.lists(st.text("abcdeéàz09 ", min_size=1, max_size=12), max_size=12).map(" ".join)


@given(st.text(max_size=80), st.text(max_size=80))
def test_every_text_has_features_in_range(designation: str, description: str) -> None:
    indices, counts = FEATURES.indices_counts(normalize(designation, description))

    assert np.all(np.diff(indices) > 0)
    assert np.all((indices >= 0) & (indices < FEATURES.buckets))
    assert np.all(counts >= 1)


@given(WORDS, WORDS)
def test_as_many_features_as_a_plain_count_finds(title: str, body: str) -> None:
    text = normalize(title, body)
    _, counts = FEATURES.indices_counts(text)

    assert sum(grams_of(text).values()) == counts.sum()


def grams_of(text: str) -> Counter[str]:
    """Count what should be counted, the slow way."""
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
def test_a_word_counts_the_same_wherever_it_stands(text: str) -> None:
    words = TextFeatures(shortest=5, longest=5, pairs=False)
    alone, _ = words.indices_counts(normalize("chaise longue", ""))
    inside, _ = words.indices_counts(normalize(f"{text} chaise {text} longue", ""))

    assert set(alone) <= set(inside)


def test_order_of_words_matters_only_to_pairs() -> None:
    def found(text: str, *, pairs: bool) -> list[int]:
        return TextFeatures(pairs=pairs).indices_counts(text)[0].tolist()

    assert found("table basse", pairs=False) == found("basse table", pairs=False)
    assert found("table basse", pairs=True) != found("basse table", pairs=True)


def test_title_and_description_are_told_apart() -> None:
    title, body = (FEATURES.indices_counts(normalize(*product))[0] for product in (("bleu", "mer"), ("mer", "bleu")))

    assert set(title) != set(body)


@given(st.lists(st.tuples(WORDS, WORDS), max_size=8), st.sampled_from([2**12, 2**24]))
def test_the_training_matrix_holds_what_serving_sees(products: list[tuple[str, str]], buckets: int) -> None:
    features = TextFeatures(buckets)
    texts = [normalize(*product) for product in products]

    check_rows(features, texts)


def test_texts_of_many_pages_become_rows_of_their_own() -> None:
    longest = normalize("mot " * MAX_DESIGNATION, "phrase " * MAX_DESCRIPTION)

    check_rows(FEATURES, [f"numero {number}" for number in range(40)] + [longest] * 20 + ["", "fin"])


def check_rows(features: TextFeatures, texts: list[str]) -> None:
    matrix = features.matrix(texts)
    assert (len(texts), features.buckets) == matrix.shape
    for row, text in enumerate(texts):
        indices, counts = features.indices_counts(text)
        assert indices.tolist() == matrix[row].indices.tolist()
        assert np.allclose(1 + np.log(counts), matrix[row].data)


def test_no_texts_make_an_empty_matrix() -> None:
    assert (0, FEATURES.buckets) == FEATURES.matrix([]).shape


def test_few_different_words_share_a_bucket() -> None:
    words = [f"mot{number}" for number in range(3000)]
    features = TextFeatures(shortest=8, longest=8, pairs=False)
    taken = {int(index) for word in words for index in features.indices_counts(word)[0] if index < features.views[2]}

    expected = (features.buckets // 4) * (1 - math.exp(-3000 / (features.buckets // 4)))
    assert len(taken) > 0.97 * expected


@pytest.mark.parametrize("buckets", [0, 3, 4, 1000, 2**25])
def test_only_sensible_numbers_of_buckets_are_taken(buckets: int) -> None:
    with pytest.raises(ValueError, match=str(buckets)):
        TextFeatures(buckets)


def test_settings_survive_json() -> None:
    features = TextFeatures(2**12, 3, 4, pairs=False)

    assert features == TextFeatures.from_json(features.to_json())

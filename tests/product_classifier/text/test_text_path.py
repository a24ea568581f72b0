"""Every function that reads text of users accepts any string, in time linear in its length.

A longer search: TEXT_EXAMPLES=2000 .venv/bin/python -m pytest tests/product_classifier/text/test_text_path.py
"""

import os
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from product_classifier.catalogue.content_keys import content_keys
from product_classifier.feedback.records import ProductContent
from product_classifier.feedback.trust import agreement_key, product_key
from product_classifier.limits import DESCRIPTION_CHARACTERS
from product_classifier.text.mojibake import repair
from product_classifier.text.normalization import has_words, normalize, strip_markup
from tests.support.adversarial_texts import ADVERSARIAL_TEXTS, UNITS
from tests.support.tiny_release import text_model

EXAMPLES = int(os.environ.get("TEXT_EXAMPLES", "10"))
SECONDS_PER_CHARACTER = 30e-6
"""Ten times the cost of the dearest character. Sorting 25,000 combining marks takes 70e-6 per character."""
MODEL = text_model(1)

READERS: dict[str, Callable[[str], object]] = {
    "normalize": lambda text: normalize(text, text),
    "strip_markup": lambda text: strip_markup(text, text),
    "has_words": lambda text: has_words(text, text),
    "repair": repair,
    "product_key": lambda text: product_key(content(text)),
    "agreement_key": lambda text: agreement_key(content(text)),
    "content_keys": lambda text: content_keys(text, text),
    "probabilities": lambda text: MODEL.probabilities([text], [text]),
}


def content(text: str) -> ProductContent:
    """Return a product as an older version may have stored it, without any check."""
    return ProductContent.model_construct(designation=text, description=text, image_sha256=None)


@pytest.mark.parametrize("reader", READERS)
def test_a_character_costs_the_same_in_any_text(reader: str) -> None:
    READERS[reader]("warm up é\u0301" * 10)
    for unit in UNITS:
        text = unit * (DESCRIPTION_CHARACTERS // 2 // len(unit))
        start = time.process_time()
        READERS[reader](text)
        assert time.process_time() - start <= SECONDS_PER_CHARACTER * len(text), ascii(unit)


@pytest.mark.parametrize("reader", READERS)
def test_a_text_beyond_all_limits_costs_no_more_than_the_longest_accepted_one(reader: str) -> None:
    start = time.process_time()
    READERS[reader]("é\u0301<&#9" * 500_000)

    assert time.process_time() - start <= SECONDS_PER_CHARACTER * 2 * DESCRIPTION_CHARACTERS


@settings(max_examples=EXAMPLES)
@given(st.lists(st.tuples(st.sampled_from(UNITS) | st.text(max_size=5), st.integers(1, 3000)), max_size=6))
def test_any_text_is_read_in_linear_time(parts: list[tuple[str, int]]) -> None:
    text = "".join(unit * count for unit, count in parts)[:DESCRIPTION_CHARACTERS]
    for reader, read in READERS.items():
        start = time.process_time()
        read(text)
        assert time.process_time() - start <= SECONDS_PER_CHARACTER * (len(text) + 2_000), reader


@settings(max_examples=10 * EXAMPLES)
@given(ADVERSARIAL_TEXTS)
def test_any_text_is_read_the_same_by_every_reader(text: str) -> None:
    words = normalize(text, "")

    assert has_words(text, "") == (words != "") == (strip_markup(text, "") != "")
    assert has_words("", text) == (normalize("", text) != "")
    assert words == "" or any(map(str.isalnum, words))
    assert np.isfinite(MODEL.probabilities([text], [""])).all()

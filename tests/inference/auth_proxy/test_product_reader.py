"""The hand-written reader accepts what the published model accepts."""

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from inference.auth_proxy.predictions.product_reader import product_from
from inference.http.api_models import ProductInput
from inference.http.problems import Problem
from product_classifier.limits import DESCRIPTION_CHARACTERS, DESIGNATION_CHARACTERS

TEXTS = st.one_of(
    st.none(),
    st.text(max_size=5),
    st.sampled_from(
        ["", " ", "\n", "a\0b", "\ud800", "x" * (DESIGNATION_CHARACTERS + 1), "x" * (DESCRIPTION_CHARACTERS + 1)]
    ),
    st.integers(),
    st.booleans(),
    st.lists(st.text(max_size=2), max_size=2),
)
PRODUCTS = st.one_of(
    st.dictionaries(st.sampled_from(["designation", "description", "price"]), TEXTS, max_size=3),
    st.lists(TEXTS, max_size=2),
    TEXTS,
)


def reader_accepts(value: object) -> bool:
    try:
        product_from(value, "product")
    except Problem:
        return False
    return True


def model_accepts(value: object) -> bool:
    try:
        ProductInput.model_validate(value)
    except ValidationError:
        return False
    return True


@settings(max_examples=500, deadline=None, derandomize=True)
@given(PRODUCTS)
def test_reader_and_published_model_accept_the_same_products(value: object) -> None:
    assert reader_accepts(value) == model_accepts(value)

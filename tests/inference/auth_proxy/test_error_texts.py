"""No error that a client reads is in the words of pydantic, whatever a request contains."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core.core_schema import ErrorType

from inference.auth_proxy.media_types import FORM, JSON
from inference.auth_proxy.routes import ROUTES
from inference.http.problems import Problem
from product_classifier.validation_messages import described

TEXTS = st.sampled_from(["", "a", "1", "true", "2026-01-01", "é\0", "x" * 300, "1e999"]) | st.text(max_size=20)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=True) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def inputs() -> Iterator[tuple[str, Any]]:
    """Yield each type that a route parses, by the operation it belongs to."""
    for route in ROUTES:
        name = route.operation_id or route.path
        for media_type, kind in route.request.items():
            if kind is not bytes and media_type in {JSON, FORM}:
                yield f"{name} {media_type}", kind
        if route.query is not None:
            yield f"{name} query", route.query
        for header, kind in route.headers.items():
            yield f"{name} {header}", kind


INPUTS = dict(inputs())
PYDANTIC_TYPES = frozenset(get_args(ErrorType))
"""Types of errors whose message is pydantic's own."""


def values_of(name: str) -> st.SearchStrategy[Any]:
    """Return anything, and for an object also anything in each of its fields; a form has texts."""
    kind = INPUTS[name]
    if name.endswith(FORM):
        return st.fixed_dictionaries({}, optional=dict.fromkeys(kind.model_fields, TEXTS) | {"more": TEXTS})
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return VALUES | st.lists(VALUES, max_size=3)
    names = {field.alias or name for name, field in kind.model_fields.items()}
    return VALUES | st.fixed_dictionaries({}, optional=dict.fromkeys(names, VALUES)).flatmap(
        lambda fields: st.dictionaries(TEXTS, VALUES, max_size=1).map(lambda more: more | fields)
    )


@pytest.mark.parametrize("name", sorted(INPUTS))
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_message_is_one_of_pydantic(name: str, data: st.DataObject) -> None:
    value = data.draw(values_of(name))
    try:
        TypeAdapter(INPUTS[name]).validate_python(value)
    except Problem as problem:  # of a form, whose kind decides which fields it has
        text = str(problem)
        if "pydantic" in text:
            pytest.fail(text)
    except ValidationError as error:
        for (field, message), found in zip(described(error), error.errors(), strict=False):
            assert found["type"] not in PYDANTIC_TYPES or found["msg"] not in message, field
            assert "pydantic" not in message
            assert len(message) < 2000

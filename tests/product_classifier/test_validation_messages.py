"""Messages about invalid input name the field and what is accepted, without pydantic's own texts."""

import re
from enum import Enum
from typing import Annotated, Any, Literal, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator
from pydantic_core import ValidationError as CoreError
from pydantic_core.core_schema import ErrorType

from product_classifier.validation_messages import MAX_ERRORS, described

FOREIGN = re.compile(
    r"Value error|Assertion|[Ii]nput should|should |https?://|pydantic|\[type=|Extra inputs|Field required"
)


NUMBERS = """gt ge lt le min_length max_length actual_length multiple_of max_digits decimal_places whole_digits
    tz_expected tz_actual expected_version"""
TEXTS = """error expected pattern name field_type class method_name attribute encoding encoding_error function_name
    discriminator tag expected_tags expected_schemes class_name mapping_error error_type property ref"""
"""Members of the contexts of pydantic's errors."""


class Level(Enum):
    LOW = "low"
    HIGH = "high"


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=2, max_length=5, pattern="^[a-z]+$")]
    password: Annotated[str, Field(min_length=12)] = "x" * 12
    count: Annotated[int, Field(ge=1, le=9)] = 1
    share: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.5
    level: Annotated[Level, Field(strict=False)] = Level.LOW
    kind: Literal["a", "b"] = "a"
    tags: Annotated[list[str], Field(min_length=1, max_length=2)] = Field(default=["x"])
    flag: bool = False
    absent: None = None

    @field_validator("flag")
    @classmethod
    def _is_unset(cls, value: bool) -> bool:
        if value:
            raise ValueError("must be false; leave it out")
        return value


def messages(value: object) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Order).validate_python(value)
    return dict(described(caught.value))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", 3, "must be text, not 3"),
        ("name", "a", "has 1 characters; at least 2 are required"),
        ("name", "abcdef", "has 6 characters; at most 5 are accepted"),
        ("name", "AB", "must match ^[a-z]+$, not 'AB'"),
        ("password", "hunter2", "has 7 characters; at least 12 are required"),
        ("password", 1234567890123, "must be text"),
        ("count", "many", "must be an integer, not 'many'"),
        ("count", 0, "must be at least 1, not 0"),
        ("share", 1.0, "must be below 1, not 1.0"),
        ("share", float("nan"), "must be a finite number, not nan"),
        ("level", "medium", "must be 'low' or 'high', not 'medium'"),
        ("kind", None, "must be 'a' or 'b', not None"),
        ("tags", [], "has 0 entries; at least 1 are required"),
        ("tags", "x", "must be a list, not 'x'"),
        ("flag", True, "must be false; leave it out"),
        ("flag", 2, "must be true or false, not 2"),
        ("absent", 1, "cannot be given here; leave it out"),
        ("colour", "red", "is not a known field; leave it out"),
    ],
)
def test_a_message_says_what_is_accepted(field: str, value: object, message: str) -> None:
    assert {field: message} == messages({"name": "abc"} | {field: value})


def test_every_invalid_field_is_described() -> None:
    assert {"name", "count", "kind"} == set(messages({"name": "", "count": 99, "kind": "c"}))
    assert {"name": "is missing; give it"} == messages({})
    assert {"": "must be an object, not 3"} == messages(3)


def test_the_number_of_described_fields_is_limited() -> None:
    assert MAX_ERRORS == len(messages({f"field{number}": 1 for number in range(100)}))


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*Order.model_fields, "other"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=80)
        | st.lists(st.text(), max_size=3),
    )
)
def test_no_text_of_the_library_and_no_password_is_in_any_message(value: dict[str, Any]) -> None:
    try:
        Order.model_validate(value)
    except ValidationError as error:
        for field, message in described(error):
            assert not FOREIGN.search(re.sub(r"'.*'", "", message)), message
            assert message.isprintable()
            assert field != "password" or ", not " not in message


@pytest.mark.parametrize("kind", get_args(ErrorType))
def test_no_type_of_error_has_a_text_of_the_library(kind: str) -> None:
    context: dict[str, Any] = dict.fromkeys(NUMBERS.split(), 3) | dict.fromkeys(TEXTS.split(), "x")
    if kind in {"value_error", "assertion_error"}:
        context["error"] = ValueError("must be even; add one")
    found = CoreError.from_exception_data(
        "Order", [{"type": kind, "loc": ("field",), "input": "given", "ctx": context}]
    )

    ((field, message),) = described(found)

    assert "field" == field
    assert message
    assert not FOREIGN.search(message), message

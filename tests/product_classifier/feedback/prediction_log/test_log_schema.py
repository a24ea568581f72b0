"""Records as rows of the prediction log, and back."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_classifier.errors import InvalidInput
from product_classifier.feedback.prediction_log.log_schema import (
    SCHEMA,
    from_row,
    read_table,
    table_to_parquet,
    to_parquet,
    to_row,
)
from product_classifier.feedback.records import (
    CategoryProbability,
    Correction,
    Modalities,
    PredictionRecord,
    ProductContent,
    Record,
    Review,
    Revision,
    new_id,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
CODES = st.sampled_from(["10", "0870", "Livres > BD", "-5", "1e5"])
IDS = st.builds(new_id, TIMES)
PROBABILITIES = st.floats(0, 1)
HASHES = st.none() | st.just("0a" * 32)
PRODUCTS = st.builds(
    ProductContent, designation=st.just("x") | st.just("Lampe ☀"), description=TEXTS, image_sha256=HASHES
)
TOP = st.builds(CategoryProbability, code=CODES, probability=PROBABILITIES)
VERSIONS = st.none() | st.integers(1, 9)
RECORDS = st.one_of(
    st.builds(
        PredictionRecord,
        prediction_id=IDS,
        created=TIMES,
        user=TEXTS,
        product=PRODUCTS,
        code=CODES,
        confidence=PROBABILITIES,
        decision=st.sampled_from([None, "accept", "review"]),
        top=st.lists(TOP, max_size=3).map(tuple),
        modalities=st.builds(Modalities, text=st.none() | TOP, image=st.none() | TOP),
        degraded=st.booleans(),
        release=TEXTS,
        taxonomy_version=VERSIONS,
    ),
    st.builds(
        Correction,
        feedback_id=IDS,
        created=TIMES,
        user=TEXTS,
        role=st.sampled_from(["user", "reviewer", "admin"]),
        prediction_id=IDS,
        product=st.none() | PRODUCTS,
        code=CODES,
        predicted=st.none() | CODES,
        release=st.none() | TEXTS,
        comment=TEXTS,
        taxonomy_version=VERSIONS,
        predicted_version=VERSIONS,
    ),
    st.builds(
        Review,
        feedback_id=IDS,
        created=TIMES,
        reviewer=TEXTS,
        decision=st.sampled_from(["approved", "rejected"]),
        comment=TEXTS,
    ),
    st.builds(
        Revision,
        revision_id=IDS,
        feedback_id=IDS,
        created=TIMES,
        user=TEXTS,
        action=st.sampled_from(["reopened", "withdrawn"]),
        replacement=st.none(),
        comment=TEXTS,
    ),
)


@given(st.lists(RECORDS, max_size=5))
def test_every_record_is_read_back_as_it_was_written(records: list[Any]) -> None:
    table = read_table(to_parquet([to_row(record) for record in records]))

    found = [from_row(row) for row in table.to_pylist()]

    assert sorted(map(Record.to_json, records)) == sorted(map(Record.to_json, found))
    assert SCHEMA == table.schema


def test_a_part_of_a_later_version_with_more_columns_is_read() -> None:
    review = Review(feedback_id=new_id(), created=datetime(2026, 1, 1, tzinfo=UTC), reviewer="r", decision="approved")
    table = read_table(to_parquet([to_row(review)]))
    later = table.append_column("weight", pa.array([1.0]))

    found = read_table(table_to_parquet(later))

    assert table == found


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "cannot be read", id="empty"),
        pytest.param(b"PAR1", "cannot be read", id="cut off"),
        pytest.param(table_to_parquet(pa.table({"kind": ["review"]})), "prediction_log", id="another table"),
        pytest.param(
            table_to_parquet(pa.table({"id": ["a"]}).replace_schema_metadata({b"prediction_log": b'{"version": 0}'})),
            "version 0",
            id="no version",
        ),
    ],
)
def test_what_is_no_part_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        read_table(data)


def test_a_row_that_is_no_record_is_refused_with_its_id() -> None:
    row = to_row(
        Review(feedback_id=new_id(), created=datetime(2026, 1, 1, tzinfo=UTC), reviewer="r", decision="rejected")
    )

    with pytest.raises(InvalidInput, match=f"review '{row['id']}': decision"):
        from_row(dict.fromkeys(SCHEMA.names) | row | {"decision": "later"})
    with pytest.raises(InvalidInput, match="kind is 'note'"):
        from_row(dict.fromkeys(SCHEMA.names) | row | {"kind": "note"})

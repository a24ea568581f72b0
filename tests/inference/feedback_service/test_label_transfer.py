"""Corrections are exported with whole texts, and files of labels imported row by row, once."""

import csv
import io
import json
from typing import Any

import pytest

from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import (
    RIGHT,
    WRONG,
    FeedbackHarness,
    correction_keys,
    photo_correction,
    product_correction,
)

FORMATS = ("csv", "jsonl", "label-studio")


def export(harness: FeedbackHarness, role: str = "reviewer", **query: object) -> Any:
    return harness.client.get("/feedback/export", params=query, headers=harness.headers("rita", role))


def send(
    harness: FeedbackHarness, content: bytes, form: str = "csv", user: str = "rolf", role: str = "reviewer"
) -> Any:
    headers = harness.headers(user, role) | {"Content-Type": "text/csv"}
    return harness.client.post("/feedback/import", params={"format": form}, content=content, headers=headers)


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_is_imported_once(harness: FeedbackHarness, store: FakeStore, form: str) -> None:
    harness.submit(product_correction("Chemise " + "b" * 600))
    harness.submit(product_correction("Robe", code=WRONG, comment="à vérifier"))
    harness.submit(photo_correction())
    content = export(harness, format=form).content

    first, second = send(harness, content, form), send(harness, content, form)

    assert {"rows": 3, "created": 3, "repeated": 0, "refused": 0, "problems": []} == first.json()
    assert {"rows": 3, "created": 0, "repeated": 3, "refused": 0, "problems": []} == second.json()
    assert 6 == len(correction_keys(store))
    mine = [one for one in harness.list().json()["items"] if one["user"] == "rolf"]
    assert {"trusted"} == {one["state"] for one in mine}
    assert {RIGHT, WRONG} == {one["code"] for one in mine}


def test_an_export_has_whole_texts_and_is_filtered(harness: FeedbackHarness) -> None:
    identifier = harness.submit(product_correction("Chemise " + "b" * 600)).json()["feedback_id"]
    harness.submit(product_correction("Robe", code=WRONG))
    harness.review(identifier)

    rows = list(csv.DictReader(io.StringIO(export(harness, state="approved").text)))
    tasks = json.loads(export(harness, format="label-studio").content)

    assert [(identifier, "Chemise " + "b" * 600, str(RIGHT))] == [
        (row["feedback_id"], row["designation"], row["code"]) for row in rows
    ]
    assert 2 == len(tasks)
    assert [] == json.loads(export(harness, format="label-studio", state="rejected").content)
    assert 403 == export(harness, role="user").status_code
    assert 422 == export(harness, format="xml").status_code


def test_each_row_has_its_problem_with_its_line(harness: FeedbackHarness) -> None:
    rows = [
        "code;designation;image_sha256;prediction_id",
        f"{RIGHT};Théière;;",
        f"{RIGHT};!!!;;",
        "nope;Théière;;",
        ";Théière;;",
        f"{RIGHT};;{'a' * 64};",
        f"{RIGHT};;xyz;",
        f"{RIGHT};;;019ab0f2-7d1e-7c3a-9d55-0c8f6a4be111",
        f"{RIGHT};a;b",
    ]

    report = send(harness, "\n".join(rows).encode("cp1252")).json()

    assert (8, 1, 7) == (report["rows"], report["created"], report["refused"])
    assert [3, 4, 5, 6, 7, 8, 9] == [one["row"] for one in report["problems"]]
    for problem, start in zip(
        report["problems"],
        (
            "designation: has no",
            "code: ",
            "code: is missing",
            "image_sha256: no photo",
            "image_sha256: ",
            "prediction_id",
            "3 fields",
        ),
        strict=True,
    ):
        assert problem["detail"].startswith(start), problem


def test_a_file_that_is_not_readable_is_a_problem(harness: FeedbackHarness) -> None:
    for content, status in ((b"", 422), (b"label\nx\n", 422)):
        response = send(harness, content)
        assert status == response.status_code, response.text
        assert "application/problem+json" == response.headers["content-type"]
    assert 403 == send(harness, b"code\n1\n", role="user").status_code

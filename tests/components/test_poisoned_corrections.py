"""Attacks on the training data through corrections, by one user and by two."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from components.compare import step as compare
from components.fit_fusion import step as fit_fusion
from components.merge_corrections import step as merge_corrections
from components.shared.published_releases import publish
from components.shared.rollout.rollout import LocalRollout
from components.train_text import step as train_text
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.records import Correction, ProductContent, Review, new_id
from product_classifier.feedback.trust import Label
from product_classifier.releases.release import ReleaseMeta, open_release, write_release
from product_classifier.retraining import write_snapshot
from product_classifier.store import ObjectStore, open_store
from tests.support.fakes import FakeStore

START = datetime(2030, 1, 1, tzinfo=UTC)
CODES = CHALLENGE.codes
WRONG = CODES[0]


def submit(store: ObjectStore, user: str, title: str, code: str, number: int) -> Correction:
    created = START + timedelta(seconds=number)
    correction = Correction(
        feedback_id=new_id(created),
        created=created,
        user=user,
        role="user",
        product=ProductContent(designation=title),
        code=code,
    )
    store.put(correction.key, correction.to_json(), only_if_absent=True)
    return correction


def review(store: ObjectStore, correction: Correction, decision: str) -> None:
    made = Review.model_validate(
        {"feedback_id": correction.feedback_id, "created": START, "reviewer": "rita", "decision": decision}
    )
    store.put(made.key, made.to_json(), only_if_absent=True)


def trusted(store: ObjectStore) -> tuple[Label, ...]:
    book = FeedbackIndex(store)
    book.refresh()
    assert {} == book.damaged
    return book.labels()


def honest(store: ObjectStore) -> dict[str, int]:
    """Two users agree on three products; return the trusted categories."""
    truth = {f"un produit honnête {number}": CODES[5 + number] for number in range(3)}
    for number, (title, code) in enumerate(truth.items()):
        submit(store, "ann", title, code, number)
        submit(store, "bob", title, code, number)
    return truth


Campaign = Callable[[ObjectStore, list[str]], object]
CAMPAIGNS: dict[str, Campaign] = {
    "one wrong label for every product": lambda store, known: [
        submit(store, "eve", title, WRONG, 100 + n) for n, title in enumerate(known * 20)
    ],
    "thousands of unknown products": lambda store, _: [
        submit(store, "eve", f"faux produit {n}", WRONG, 100 + n) for n in range(2000)
    ],
    "the same product again and again": lambda store, known: [
        submit(store, "eve", known[0], WRONG, 100 + n) for n in range(500)
    ],
    "a label that changes each time": lambda store, known: [
        submit(store, "eve", known[n % 3], CODES[n % len(CODES)], 100 + n) for n in range(500)
    ],
    "other spellings of a title": lambda store, known: [
        submit(store, "eve", variant, WRONG, 100 + n)
        for n, variant in enumerate([known[0].upper(), f" {known[0]} ", known[0].replace(" ", "  "), known[0]])
    ],
    "dated before all others": lambda store, known: [submit(store, "eve", title, WRONG, -100) for title in known],
    "dated into the future": lambda store, known: [submit(store, "eve", title, WRONG, 10**8) for title in known],
    "alternating with the correct label": lambda store, known: [
        submit(store, "eve", known[0], code, 100 + n) for n, code in enumerate([WRONG, CODES[5]] * 50)
    ],
    "what a reviewer rejected, again": lambda store, known: [
        review(store, submit(store, "eve", title, WRONG, 100), "rejected") or submit(store, "eve", title, WRONG, 200)
        for title in known
    ],
    "one label per category": lambda store, known: [
        submit(store, "eve", title, code, 100 + n) for n, code in enumerate(CODES) for title in known
    ],
    "new products in every category": lambda store, _: [
        submit(store, "eve", f"appât {code} {n}", code, 100 + n) for code in CODES for n in range(10)
    ],
}


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_one_user_changes_no_trusted_correction(name: str) -> None:
    store = FakeStore()
    truth = honest(store)

    CAMPAIGNS[name](store, list(truth))

    assert truth == {label.product.designation: label.code for label in trusted(store)}


def test_corrections_of_two_colluding_users_are_trusted_and_the_gate_rejects_the_release(
    tmp_path: Path, release_dir: Path, splits_dir: Path
) -> None:
    """They agree on one wrong category for most products to train on."""
    store = open_store(f"file://{tmp_path}/store", create=True)
    champion = open_release(release_dir)
    publish(store, champion)
    LocalRollout(tmp_path / "releases", store).switch(champion.id)
    train = pd.read_parquet(splits_dir / "train.parquet")
    for number, title in enumerate(train["designation"][train["designation"] != ""].drop_duplicates()):
        if number % 4:
            for user in ("eve", "mallory"):
                submit(store, user, title, WRONG, number)
    labels = trusted(store)

    train.head(0).to_parquet(tmp_path / "empty.parquet")  # the titles of these splits repeat, which is no leak here
    merge_corrections.run(
        splits_dir / "train.parquet",
        *[tmp_path / "empty.parquet"] * 3,
        merged=tmp_path / "train.parquet",
        calibration=tmp_path / "calibration.parquet",
        answerable=tmp_path / "answerable",
        report=tmp_path / "report.json",
        taxonomy=CHALLENGE,
        store=f"file://{tmp_path}/store",
        snapshot=write_snapshot(store, labels),
    )
    counts = json.loads((tmp_path / "report.json").read_text())["corrections"]
    text, fusion, predictions = tmp_path / "text", tmp_path / "fusion", tmp_path / "text_out_of_fold.parquet"
    validation = splits_dir / "validation.parquet"
    train_text.run(tmp_path / "train.parquet", validation, text, predictions, CHALLENGE, buckets=2**13)
    by_image = splits_dir / "image_out_of_fold.parquet"
    fit_fusion.run(tmp_path / "train.parquet", validation, predictions, by_image, fusion, CHALLENGE)
    poisoned = write_release(
        tmp_path / "poisoned", text, splits_dir / "image", fusion, ReleaseMeta("made-up"), CHALLENGE
    )
    publish(store, poisoned)
    promoted = compare.run(
        poisoned.id,
        splits_dir / "test.parquet",
        splits_dir,
        tmp_path / "decision.json",
        tmp_path / "report.html",
        f"file://{tmp_path}/store",
        f"file://{tmp_path}/releases",
    )

    assert len(labels) > 100
    assert counts["relabelled"] > 100
    assert not promoted

"""`python -m pipelines backtest` on logged predictions of a small release."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from components.shared.published_releases import publish
from pipelines.__main__ import main
from product_classifier.feedback.records import (
    Correction,
    Modalities,
    PredictionRecord,
    ProductContent,
    image_key,
    new_id,
)
from product_classifier.monitoring.backtest import PREFIX, Backtest
from product_classifier.releases.product_models import ProductModels
from product_classifier.store import ObjectStore, open_store
from tests.support.tiny_release import make_release, photo

PHOTO = "ab" * 32


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    url = (tmp_path / "store").as_uri()
    monkeypatch.setenv("STORE_URL", url)
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
    return open_store(url, create=True)


def write(store: ObjectStore, product: ProductContent, code: str, minutes: int) -> PredictionRecord:
    created = datetime.now(UTC) - timedelta(minutes=minutes)
    record = PredictionRecord(
        prediction_id=new_id(created),
        created=created,
        user="ann",
        product=product,
        code=code,
        confidence=0.5,
        decision="review",
        top=(),
        modalities=Modalities(),
        degraded=False,
        release="r-champion",
    )
    store.put(record.key, record.to_json())
    return record


def test_a_challenger_is_compared_with_what_was_returned(
    store: ObjectStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release = make_release(tmp_path, 1)
    publish(store, release)
    store.put(image_key(PHOTO), photo())
    codes = release.taxonomy.codes
    scores = ProductModels(release.path).score(["Lampe", "Vase"], ["", ""], [b"", photo()])
    predicted = [codes[int(row.argmax())] for row in scores.probabilities]
    other = next(code for code in codes if code != predicted[1])
    write(store, ProductContent(designation="Lampe"), predicted[0], 5)
    changed = write(store, ProductContent(designation="Vase", image_sha256=PHOTO), other, 6)
    now = datetime.now(UTC)
    correction = Correction(
        feedback_id=new_id(now),
        created=now,
        user="eve",
        role="reviewer",
        prediction_id=changed.prediction_id,
        code=predicted[1],
    )
    store.put(correction.key, correction.to_json())

    status = main(["backtest", release.id])
    key = f"{PREFIX}{release.id}.json"
    report = Backtest.from_json(store.get(key), key)

    assert 0 == status
    assert (2, 0.5, 0.0) == (report.products, report.agreement, report.champion_accepted)
    assert (1, 0.0, 1.0) == (report.corrected, report.champion_correct, report.challenger_correct)
    assert [(other, predicted[1], 1)] == [(one.champion, one.challenger, one.products) for one in report.changes]
    assert "on 2 logged products" in capsys.readouterr().out


def test_without_logged_products_the_command_says_what_to_do(
    store: ObjectStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release = make_release(tmp_path, 1)
    publish(store, release)

    assert 1 == main(["backtest", release.id])
    assert "give an earlier time" in capsys.readouterr().err

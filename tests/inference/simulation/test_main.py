"""A simulation as it is called, against the real gateway and the real feedback service; only the models are fakes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from inference.feedback_service.app import create_app
from inference.feedback_service.settings import Settings as FeedbackSettings
from inference.simulation.__main__ import main
from inference.simulation.unseen import Unseen
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.taxonomy import CHALLENGE
from tests.inference.auth_proxy.conftest import INTERNAL, PASSWORD, PEOPLE, Gateway, start
from tests.support.fake_models import served
from tests.support.fakes import FakeStore
from tests.support.servers import free_port


@dataclass
class Shop:
    """A gateway, the accounts it knows, and unseen products."""

    gateway: Gateway
    folder: Path
    data: Path

    def simulate(self, **options: object) -> int:
        given = {"url": self.gateway.url, "accounts": self.folder / "accounts.json", "data_dir": self.data}
        given |= {"reports_dir": self.folder / "reports", "rate": 1000, "n": 60} | options
        return main([f"--{name.replace('_', '-')}={value}" for name, value in given.items()])

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(max((self.folder / "reports/simulation").glob("*.json")).read_text())
        return found


@pytest.fixture(scope="module")
def shop(splits: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder, store = tmp_path_factory.mktemp("shop"), FakeStore()
    accounts = {name: {"password": PASSWORD, "role": role.value} for name, role in PEOPLE.items()}
    (folder / "accounts.json").write_text(json.dumps(accounts))
    app = create_app(store, None, FeedbackSettings(internal_token=SecretStr(INTERNAL)), CHALLENGE)
    with served(app, lifespan="on") as feedback:
        for gateway in start(folder, {"feedback-service": feedback}, store):
            yield Shop(gateway, folder, splits.parent)


@pytest.fixture(autouse=True)
def _healthy(shop: Shop, tmp_path: Path) -> Iterator[None]:
    shop.folder = tmp_path.joinpath()
    (tmp_path / "accounts.json").write_bytes((shop.gateway.state / "accounts.json").read_bytes())
    yield
    shop.gateway.models.away = False
    shop.gateway.models.silent = set()


def test_products_are_answered_and_wrong_answers_corrected_so_that_they_count(shop: Shop) -> None:
    assert 0 == shop.simulate(correct=1, half="a")
    report = shop.report()
    book = FeedbackIndex(shop.gateway.store)
    book.refresh()
    rows = {row["product_id"]: row for row in report["products"]}
    wrong = {number for number, row in rows.items() if row["answer"] != row["code"]}
    labels = {(label.product.designation, label.product.image_sha256 or ""): label.code for label in book.labels()}
    products = {product.product_id: product for product in Unseen(str(shop.data)).products()}

    assert (60, {}) == (report["requests"]["answered"], report["corrections"]["refused"])
    assert {"a"} == {row["half"] for row in rows.values()}
    assert len(wrong) == report["corrections"]["wrong_answers_corrected"]
    assert labels == {
        (product.designation, product.image_sha256): product.code for product in map(products.__getitem__, wrong)
    }
    assert len(labels) == report["corrections"]["products_that_count"]
    assert report["scores"]["weighted_f1"] < 0.5  # the fakes guess by hash


def test_its_users_are_gone_afterwards(shop: Shop) -> None:
    assert 0 == shop.simulate(n=3)
    with shop.gateway.client("ada") as client:
        assert sorted(PEOPLE) == [user["name"] for user in client.get("/users").json()]


def test_a_model_that_is_away_shows_as_degraded_or_not_answered_and_ends_nothing(shop: Shop) -> None:
    shop.gateway.models.silent = {"image"}
    assert 0 == shop.simulate(n=20)
    assert 0 < shop.report()["requests"]["degraded"]

    shop.gateway.models.away = True
    assert 1 == shop.simulate(n=20)
    found = max((shop.folder / "reports/simulation").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    requests = json.loads(found.read_text())["requests"]
    assert (20, 20) == (requests["unanswered"], sum(requests["reasons"].values()))
    assert {"503"} == {reason[:3] for reason in requests["reasons"]}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param({"url": f"http://127.0.0.1:{free_port()}"}, "cannot be reached", id="nobody there"),
        pytest.param({"url": "localhost:8080"}, "URL='localhost:8080': ", id="no address"),
        pytest.param({"rate": 0}, "RATE='0': ", id="no rate"),
        pytest.param({"correct": 1.5}, "CORRECT='1.5': ", id="more than all"),
        pytest.param({"half": "c"}, "HALF='c': ", id="no half"),
        pytest.param({"accounts": "nowhere.json"}, "accounts 'nowhere.json' cannot be read", id="no accounts"),
        pytest.param({"data_dir": "nowhere"}, "there is no splits/unseen.parquet in 'nowhere'", id="no data"),
        pytest.param({"offline": "nowhere"}, "nowhere: has no release.json", id="no release"),
        pytest.param({"offline": "x", "correct": 1}, "offline and correct exclude each other", id="nobody to correct"),
        pytest.param({"store_url": "ftp://x"}, "STORE_URL='ftp://x': ", id="no store"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    shop: Shop, options: dict[str, object], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 1 == shop.simulate(**options)
    error = capsys.readouterr().err

    assert said in error
    assert 1 == error.count("\n")


def test_forged_accounts_are_refused_by_the_gateway(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    forged = {"ursula": {"password": PASSWORD, "role": "admin"}}
    (shop.folder / "accounts.json").write_text(json.dumps(forged))
    assert 1 == shop.simulate()
    assert "POST /users: the gateway answers 403" in capsys.readouterr().err

    (shop.folder / "accounts.json").write_text(json.dumps({"ada": {"password": "guessed it", "role": "admin"}}))
    assert 1 == shop.simulate()
    error = capsys.readouterr().err
    assert "login of 'ada': the gateway answers 401" in error
    assert "guessed it" not in error


def test_the_models_of_a_release_answer_without_a_gateway(shop: Shop, release_dir: Path) -> None:
    assert 0 == shop.simulate(offline=release_dir, url="http://127.0.0.1:1")
    report = shop.report()

    assert (60, {}) == (report["requests"]["answered"], report["latency_ms"])
    assert 0 < report["products_per_s"]

"""The command against the real gateway and the real feedback service, with fake models."""

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
from inference.simulation.unseen import UnseenCatalogue
from product_classifier.feedback.index import FeedbackIndex
from tests.inference.auth_proxy.conftest import INTERNAL, PASSWORD, USER_ROLES, Gateway, start
from tests.support.fake_models import served
from tests.support.fakes import FakeStore
from tests.support.servers import free_port


@dataclass
class Environment:
    """A gateway, its accounts, and unseen products."""

    gateway: Gateway
    folder: Path
    data: Path

    def simulate(self, **options: object) -> int:
        values = {"url": self.gateway.url, "accounts": self.folder / "accounts.json", "data_dir": self.data}
        values |= {"reports_dir": self.folder / "reports", "rate": 1000, "n": 60} | options
        return main([f"--{name.replace('_', '-')}={value}" for name, value in values.items()])

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(max((self.folder / "reports/simulation").glob("*.json")).read_text())
        return found


@pytest.fixture(scope="module")
def environment(splits: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    folder, store = tmp_path_factory.mktemp("environment"), FakeStore()
    accounts = {name: {"password": PASSWORD, "role": role.value} for name, role in USER_ROLES.items()}
    (folder / "accounts.json").write_text(json.dumps(accounts))
    app = create_app(store, None, FeedbackSettings(internal_token=SecretStr(INTERNAL)))
    with served(app, lifespan="on") as feedback:
        # All products are sent within 60 ms: the gateway must not refuse them on a machine that is slower.
        for gateway in start(folder, {"feedback-service": feedback}, store, max_in_flight=100):
            yield Environment(gateway, folder, splits.parent)


@pytest.fixture(autouse=True)
def _healthy(environment: Environment, tmp_path: Path) -> Iterator[None]:
    environment.folder = tmp_path.joinpath()
    (tmp_path / "accounts.json").write_bytes((environment.gateway.state / "accounts.json").read_bytes())
    yield
    environment.gateway.models.away = False
    environment.gateway.models.silent = set()


def test_wrong_predictions_are_corrected_and_the_corrections_become_trusted(environment: Environment) -> None:
    assert 0 == environment.simulate(correct=1, half="a")
    report = environment.report()
    index = FeedbackIndex(environment.gateway.store)
    index.refresh()
    rows = {row["product_id"]: row for row in report["products"]}
    wrong = {number for number, row in rows.items() if row["answer"] != row["code"]}
    labels = {(label.product.designation, label.product.image_sha256 or ""): label.code for label in index.labels()}
    products = {product.product_id: product for product in UnseenCatalogue(str(environment.data)).products()}

    assert (60, {}) == (report["requests"]["answered"], report["corrections"]["refused"])
    assert {"a"} == {row["half"] for row in rows.values()}
    assert len(wrong) == report["corrections"]["wrong_answers_corrected"]
    assert labels == {
        (product.designation, product.image_sha256): product.code for product in map(products.__getitem__, wrong)
    }
    assert len(labels) == report["corrections"]["products_that_count"]
    assert report["scores"]["weighted_f1"] < 0.5  # the fake models predict a hash


def test_temporary_users_are_deleted_afterwards(environment: Environment) -> None:
    assert 0 == environment.simulate(n=3)
    with environment.gateway.client("ada") as client:
        assert sorted(USER_ROLES) == [user["name"] for user in client.get("/users").json()]


def test_unavailable_models_are_counted_as_degraded_or_unanswered(environment: Environment) -> None:
    environment.gateway.models.silent = {"image"}
    assert 0 == environment.simulate(n=20)
    assert 0 < environment.report()["requests"]["degraded"]

    environment.gateway.models.away = True
    assert 1 == environment.simulate(n=20)
    found = max((environment.folder / "reports/simulation").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    requests = json.loads(found.read_text())["requests"]
    assert (20, 20) == (requests["unanswered"], sum(requests["reasons"].values()))
    assert {"503"} == {reason[:3] for reason in requests["reasons"]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"url": f"http://127.0.0.1:{free_port()}"}, "cannot be reached", id="unreachable"),
        pytest.param(
            {"url": "localhost:8080"},
            "URL: must be http://host[:port] or https://host[:port], not 'localhost:8080'",
            id="no address",
        ),
        pytest.param({"rate": 0}, "RATE: must be above 0, not '0'", id="no rate"),
        pytest.param({"correct": 1.5}, "CORRECT: must be at most 1, not '1.5'", id="more than all"),
        pytest.param({"half": "c"}, "HALF: must be ", id="no half"),
        pytest.param({"accounts": "nowhere.json"}, "accounts 'nowhere.json': cannot be read", id="no accounts"),
        pytest.param({"data_dir": "nowhere"}, "splits/unseen.parquet: missing in 'nowhere'", id="no data"),
        pytest.param({"offline": "nowhere"}, "nowhere: has no release.json", id="no release"),
        pytest.param(
            {"offline": "x", "correct": 1}, "offline and correct exclude each other", id="no gateway to correct"
        ),
        pytest.param(
            {"store_url": "ftp://x"}, "STORE_URL: must be file:///folder or s3://bucket, not 'ftp://x'", id="no store"
        ),
    ],
)
def test_an_invalid_option_is_one_line_on_standard_error(
    environment: Environment, options: dict[str, object], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 1 == environment.simulate(**options)
    error = capsys.readouterr().err

    assert message in error
    assert 1 == error.count("\n")


def test_accounts_with_a_wrong_role_or_password_are_refused_by_the_gateway(
    environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = {"ursula": {"password": PASSWORD, "role": "admin"}}
    (environment.folder / "accounts.json").write_text(json.dumps(forged))
    assert 1 == environment.simulate()
    assert "POST /users: the gateway responded with 403" in capsys.readouterr().err

    (environment.folder / "accounts.json").write_text(json.dumps({"ada": {"password": "guessed it", "role": "admin"}}))
    assert 1 == environment.simulate()
    error = capsys.readouterr().err
    assert "login of 'ada': the gateway responded with 401" in error
    assert "guessed it" not in error


def test_a_release_predicts_without_a_gateway(environment: Environment, release_dir: Path) -> None:
    assert 0 == environment.simulate(offline=release_dir, url="http://127.0.0.1:1")
    report = environment.report()

    assert (60, {}) == (report["requests"]["answered"], report["latency_ms"])
    assert 0 < report["products_per_s"]

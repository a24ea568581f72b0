"""Tests that releases, records, journals, users, keys and settings of version 0.1 are read and served.

The state in `tests/fixtures/version_0_1` was written by the code of that version (commit 465d588) with its `make.py`.
"""

import base64
import importlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from pydantic_settings import BaseSettings

from inference.simulation.unseen import UnseenCatalogue
from pipelines.compile import compile_training, declared_parameters
from pipelines.parameters import cast_arguments, read_params, replace_former_names
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.releases import release as releases
from tests.support.make_run import REPOSITORY, MakeRun
from tests.support.servers import free_ports

FIXTURE = Path(__file__).parent / "fixtures/version_0_1"
PASSWORDS = {"ursula": "correct horse battery", "remy": "staple paperclip stamp", "ada": "ink blotter and paper"}
SETTINGS = {
    "auth_proxy": "inference.auth_proxy.settings:Settings",
    "feedback_service": "inference.feedback_service.settings:Settings",
    "fusion_transformer": "inference.fusion_transformer.settings:Settings",
    "bootstrap": "pipelines.bootstrap:BootstrapSettings",
    "retrain_trigger": "pipelines.retrain.settings:TriggerSettings",
    "retraining": "product_classifier.retraining.settings:RetrainSettings",
    "pipelines": "pipelines.settings:PipelineSettings",
    "store": "product_classifier.store:StoreSettings",
    "simulation": "inference.simulation.settings:Settings",
    "local": "operations.local.settings:Settings",
    "demo": "operations.demo.settings:Settings",
    "cluster": "operations.cluster.settings:Settings",
}
"""The class that reads each group of variables today."""

pytestmark = pytest.mark.xdist_group("previous version")


def photos() -> list[bytes]:
    """Return the photos of the first two unseen products that have one."""
    unseen = pd.read_parquet(FIXTURE / "data/splits/unseen.parquet")
    paths = unseen[unseen.image_path != ""].image_path.head(2)
    return [Path(path.replace("@ROOT@", str(FIXTURE))).read_bytes() for path in paths]


def read_expected() -> dict[str, Any]:
    text = (FIXTURE / "expected.json").read_text(encoding="utf-8")
    for number, photo in enumerate(photos()):
        text = text.replace(f"@PHOTO_{number}@", base64.b64encode(photo).decode())
    found: dict[str, Any] = json.loads(text)
    return found


EXPECTED = read_expected()


def restore(folder: Path) -> Path:
    """Copy the state folder; the releases of the rollout are copies of those in the store."""
    state = folder / "state"
    shutil.copytree(FIXTURE / "state", state)
    for release in (EXPECTED["before"], EXPECTED["champion"]):
        shutil.copytree(state / "store/product-classifier/models" / release, state / "releases" / release)
    for name in ("accounts.json", "issuer-keys.json", "users.sqlite"):
        (state / name).chmod(0o600)
    return state


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeRun]:
    """`make run` on the state of version 0.1, with its accounts, journals and champion."""
    run = MakeRun(restore(tmp_path_factory.mktemp("upgrade")), free_ports(), COLLOCATED="1")
    run.wait_for("Ready after")
    yield run
    run.press_ctrl_c()
    run.wait()


def client(run: MakeRun, user: str) -> httpx.Client:
    """Log in with the password that was set with version 0.1."""
    password = PASSWORDS.get(user) or json.loads((FIXTURE / "state/accounts.json").read_text())[user]["password"]
    reply = httpx.post(f"{run.url}/token", data={"username": user, "password": password})
    assert reply.status_code == 200, reply.text
    return httpx.Client(base_url=run.url, headers={"Authorization": f"Bearer {reply.json()['access_token']}"})


def claims(state: Path) -> list[str]:
    """Return the names of the runs that were claimed."""
    return sorted(path.name for path in (state / "store/product-classifier/retrain/claims").iterdir())


@pytest.mark.parametrize("which", ["before", "champion"])
def test_a_release_gives_the_probabilities_it_gave(which: str) -> None:
    name = EXPECTED[which]
    folder = FIXTURE / "state/store/product-classifier/models" / name
    (text, _), (image, _), (fusion, _) = (
        releases.load_text(folder), releases.load_image(folder), releases.load_fusion(folder)
    )  # fmt: skip
    products = EXPECTED["products"]
    expected = EXPECTED["probabilities"][name]

    found = text.probabilities(
        [product["designation"] for product in products[:2]], [product["description"] for product in products[:2]]
    )
    of_photos = image.probabilities([base64.b64decode(product["image"]) for product in products[1:]])
    missing = np.full_like(found[:1], np.nan)
    fused = fusion.combine(
        np.vstack([found, missing]),
        np.vstack([missing, of_photos]),
        np.array([True, True, False]),
        np.array([False, True, True]),
    )

    np.testing.assert_allclose(found, expected["text"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(of_photos, expected["image"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(fused, expected["fusion"], rtol=0, atol=1e-6)


@pytest.mark.slow
def test_the_champion_is_served_with_its_probabilities(run: MakeRun) -> None:
    expected = np.array(EXPECTED["probabilities"][EXPECTED["champion"]]["fusion"])
    with client(run, "ursula") as gateway:
        found = [gateway.post("/predict", json=product).json() for product in EXPECTED["products"]]

    assert [EXPECTED["champion"]] * 3 == [one["release"] for one in found]
    assert [False] * 3 == [one["degraded"] for one in found]
    for one, row in zip(found, expected, strict=True):
        best = sorted(row, reverse=True)[:5]
        assert best == pytest.approx([candidate["probability"] for candidate in one["top"]], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("user", [*PASSWORDS, "demo-user", "demo-reviewer", "demo-admin"])
def test_users_log_in_with_their_passwords(run: MakeRun, user: str) -> None:
    roles = {"ursula": "user", "remy": "reviewer", "ada": "admin"} | {
        f"demo-{role}": role for role in ("user", "reviewer", "admin")
    }
    allowed = {"user": 403, "reviewer": 403, "admin": 200}[roles[user]]

    with client(run, user) as gateway:
        assert 200 == gateway.get("/categories").status_code
        assert allowed == gateway.get("/users").status_code
    assert EXPECTED["kid"] in {key["kid"] for key in httpx.get(f"{run.url}/.well-known/jwks.json").json()["keys"]}


@pytest.mark.slow
def test_the_journal_of_predictions_is_replayed(run: MakeRun) -> None:
    journaled = EXPECTED["journaled_prediction"]
    wait_until(lambda: not any((run.state_dir / "prediction-journal").iterdir()))
    [record] = (run.state_dir / "store").rglob(f"{journaled['prediction_id']}.json")

    assert journaled["category"]["code"] == json.loads(record.read_text())["code"]


@pytest.mark.slow
def test_acknowledged_corrections_are_counted_once(run: MakeRun) -> None:
    acknowledged = EXPECTED["feedback"] + EXPECTED["journaled_feedback"][:2]  # the third repeats one of the first
    wait_until(lambda: not any((run.state_dir / "feedback-journal").iterdir()))
    stored = [path for path in (run.state_dir / "store").rglob("feedback/*/*.json") if ".review" not in path.name]
    with client(run, "remy") as gateway:
        listed = {item["feedback_id"]: item["state"] for item in gateway.get("/feedback").json()["items"]}

    expected = {one["feedback_id"]: one.get("state") for one in acknowledged}
    expected |= {one["feedback_id"]: ("trusted", "pending")[number] for number, one in enumerate(acknowledged[-2:])}
    assert expected == listed
    assert sorted(expected) == sorted(path.stem for path in stored)


@pytest.mark.slow
def test_a_correction_that_is_sent_again_is_recognized(run: MakeRun) -> None:
    sent = [one for one in EXPECTED["feedback"] + EXPECTED["journaled_feedback"] if one["user"] in PASSWORDS]
    for one in sent:
        with client(run, one["user"]) as gateway:
            reply = gateway.post("/feedback", json=one["body"], headers={"Idempotency-Key": one["key"]})
        assert (200, one["feedback_id"]) == (reply.status_code, reply.json()["feedback_id"])


@pytest.mark.slow
def test_a_prediction_of_the_previous_version_can_be_corrected(run: MakeRun) -> None:
    body = {"prediction_id": EXPECTED["answers"][2]["prediction_id"], "code": 1280}
    with client(run, "ursula") as gateway:
        assert 201 == gateway.post("/feedback", json=body).status_code


@pytest.mark.slow
def test_its_runs_are_listed_with_their_verdict_and_new_corrections_are_those_it_has_not_used(run: MakeRun) -> None:
    """Three trusted corrections are in the snapshot of its run; one more was in the journal."""
    wait_until(lambda: not any((run.state_dir / "feedback-journal").iterdir()))
    with client(run, "ada") as gateway:
        page = gateway.get("/retrain").json()

    [found] = page["runs"]
    assert (EXPECTED["run_id"], "succeeded", EXPECTED["snapshot"]) == (
        found["run_id"], found["state"], found["snapshot"],
    )  # fmt: skip
    assert (True, EXPECTED["champion"]) == (found["verdict"]["promoted"], found["verdict"]["release"])
    assert (3, 1) == (found["corrections"], page["progress"]["corrections"])
    assert ["000001.json"] == claims(run.state_dir)


ANY_CORRECTION = {
    "RETRAIN_MIN_CORRECTIONS": "1",
    "RETRAIN_COOLDOWN": "0",
    "RETRAIN_LAUNCHER": "kfp",
    "KF_PIPELINES_ENDPOINT": "http://127.0.0.1:9",
}
"""A trigger that claims a run for one new correction; the run cannot be started, because nothing listens there."""


def test_the_watermark_starts_no_run(tmp_path: Path) -> None:
    state = restore(tmp_path)
    command("pipelines.retrain", "--once", STATE_DIR=str(state), **ANY_CORRECTION)

    assert ["000001.json"] == claims(state)


def test_a_correction_that_is_approved_now_starts_a_run(tmp_path: Path) -> None:
    """The same trigger on the same state, so that the test above can fail."""
    state, pending = restore(tmp_path), EXPECTED["feedback"][5]["feedback_id"]
    [correction] = (state / "store").rglob(f"{pending}.json")
    review = {"feedback_id": pending, "created": "2026-11-27T00:00:00Z", "reviewer": "remy", "decision": "approved"}
    correction.with_suffix(".review.json").write_text(json.dumps(review))
    command("pipelines.retrain", "--once", STATE_DIR=str(state), **ANY_CORRECTION)

    assert ["000001.json", "000002.json"] == claims(state)


@pytest.mark.slow
def test_releases_are_listed_registered_and_rolled_back(tmp_path: Path) -> None:
    """The database of MLflow is not part of the fixture, so the release is registered first."""
    state = restore(tmp_path)
    listed = command("pipelines", "releases", STATE_DIR=str(state))
    command("pipelines", "register", EXPECTED["before"], STATE_DIR=str(state))
    command("pipelines", "rollback", STATE_DIR=str(state))

    assert EXPECTED["before"] in listed
    assert EXPECTED["champion"] in listed
    assert EXPECTED["before"] == (state / "releases/champion").read_text().strip()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_its_params_yaml_is_accepted(tmp_path: Path) -> None:
    """Parameters that were renamed are read under their former name."""
    parameters = read_params(FIXTURE / "params.yaml")
    declared = declared_parameters(compile_training(tmp_path / "training.yaml"))

    arguments = cast_arguments(replace_former_names(parameters, "params.yaml"), declared)
    assert sorted(map(str, parameters.values())) == sorted(map(str, arguments.values()))


@pytest.mark.parametrize("group", SETTINGS)
def test_its_environment_variables_are_read_as_before(group: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name = SETTINGS[group].split(":")
    kind = getattr(importlib.import_module(module), name)
    for variable, one in EXPECTED["settings"][group].items():
        monkeypatch.setenv(variable, one["value"])
    read = kind().model_dump(mode="json")

    fields = {variable: field for field in kind.model_fields for variable in variables(kind, field)}
    assert {variable: one["read"] for variable, one in EXPECTED["settings"][group].items()} == {
        variable: read[fields[variable]] for variable in EXPECTED["settings"][group] if variable in fields
    }


@pytest.fixture
def splits(tmp_path: Path) -> Path:
    """The data folder with the paths of its photos, which are absolute, as they are here."""
    shutil.copytree(FIXTURE / "data", tmp_path / "data")
    for path in (tmp_path / "data/splits").iterdir():
        frame = pd.read_parquet(path)
        frame["image_path"] = [photo.replace("@ROOT@", str(tmp_path)) for photo in frame.image_path]
        frame.to_parquet(path)
    return tmp_path / "data/splits"


def test_a_text_model_is_trained_on_its_splits(splits: Path, tmp_path: Path) -> None:
    from components.train_text import step

    outputs = tmp_path / "text", tmp_path / "out_of_fold.parquet"
    step.run(splits / "train.parquet", splits / "validation.parquet", *outputs, CHALLENGE, buckets=64)

    assert releases.load_text(tmp_path / "text")


def test_its_unseen_products_are_read_with_their_photos(splits: Path) -> None:
    frame = pd.read_parquet(splits / "unseen.parquet")
    unseen = UnseenCatalogue(str(splits.parent))
    products = unseen.products()

    assert list(frame.product_id) == [product.product_id for product in products]
    assert sum(frame.image_path != "") == len(unseen.photos(products))


def variables(kind: type[BaseSettings], field: str) -> set[str]:
    """Return the environment variables of a field."""
    alias = kind.model_fields[field].validation_alias
    if alias is None:
        return {f"{kind.model_config.get('env_prefix', '')}{field}".upper()}
    return {alias} if isinstance(alias, str) else {str(choice) for choice in alias.choices}  # type: ignore[union-attr]


def command(module: str, *arguments: str, **environment: str) -> str:
    """Run `python -m MODULE`; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=REPOSITORY,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wait_until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)

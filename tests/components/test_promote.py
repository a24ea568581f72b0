"""Promotion and rollback with real model servers."""

import json
import pickle
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.promote import step
from components.shared.rollout import releases
from components.shared.rollout.rollout import KEPT_ON_DISK, LocalRollout, open_rollout
from components.shared.rollout.smoke import SmokeTest
from components.shared.rollout.switch import Switch
from components.shared.tracking import RegistryRefused, TrackingUnavailable
from product_classifier.audit.audit_entries import AuditFilter, read_entries
from product_classifier.bundles import bundle
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import (
    BundleRefused,
    ObjectNotFound,
    ProductClassifierError,
    RolloutFailed,
    RunSuperseded,
)
from product_classifier.evaluation.gate import GateLimits
from product_classifier.releases import self_check
from product_classifier.releases.release import Release, open_release
from product_classifier.retraining import RunStore, request_run
from tests.support.model_servers import served
from tests.support.promotions import LIMITS, FakeTracking, Stage, slow_release
from tests.support.tiny_release import make_release

CHAMPION = 1


@pytest.fixture
def tracking(monkeypatch: pytest.MonkeyPatch) -> FakeTracking:
    fake = FakeTracking()
    monkeypatch.setattr(step, "Tracking", fake)
    return fake


@pytest.fixture
def stage(tmp_path: Path, tracking: FakeTracking) -> Stage:
    return Stage(tmp_path)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Three model servers; the champion is deployed before and after every test."""
    stage = Stage(tmp_path_factory.mktemp("live"))
    stage.rollout.switch(stage.publish(CHAMPION))
    logs = stage.root / "logs"
    logs.mkdir()
    names = ["text-predictor", "image-predictor", "fusion-transformer"]
    with served(names, stage.root / "releases", logs) as running:
        stage.service = running["fusion-transformer"].url
        yield stage


def switch(stage: Stage, **limits: Any) -> Switch:
    return Switch(
        stage.store,
        stage.rollout,
        SmokeTest(stage.service, GateLimits(**(LIMITS | limits)), deadline_s=20),
    )


def serving(stage: Stage) -> str:
    from components.shared.serving_check import ReleaseModels

    smoke = SmokeTest(stage.service, GateLimits(**LIMITS), deadline_s=20)
    products = ReleaseModels(stage.root / "releases" / str(stage.rollout.current())).known_products
    replies = [smoke.predict(product) for product in products]
    (release,) = {reply.release for reply in replies}
    assert not any(reply.degraded for reply in replies)
    return release


def test_a_release_that_fails_the_gate_is_not_deployed(stage: Stage, tracking: FakeTracking) -> None:
    champion, worse = stage.publish(1), stage.publish(2)
    stage.rollout.switch(champion)

    assert not stage.promote(worse, champion, decision=stage.decide(worse, champion, promote=False))
    assert (champion, []) == (stage.rollout.current(), tracking.champions)
    kept = json.loads(stage.store.get(f"reports/promotions/{worse}.json"))
    assert (False, ["worse"], champion) == (kept["promoted"], kept["reasons"], kept["champion"])
    assert kept == stage.verdict(worse)


def test_the_outcome_of_a_promotion_is_in_the_audit_log_once(stage: Stage, tracking: FakeTracking) -> None:
    champion, worse = stage.publish(1), stage.publish(2)
    stage.rollout.switch(champion)
    decision = stage.decide(worse, champion, promote=False)
    for _ in range(2):  # a step that is repeated after an interruption
        stage.promote(worse, champion, decision=decision)

    (entry,) = read_entries(stage.store, AuditFilter(), limit=10, now=datetime.now(UTC)).items
    event = entry.event
    assert event is not None
    assert ("release_refused", "pipeline", "pipeline", worse) == (
        event.action,
        event.actor,
        event.actor_kind,
        event.target,
    )
    assert {"run_id": "", "champion_before": champion, "reasons": ["worse"]} == event.details


def test_a_release_that_passes_the_gate_is_deployed_and_gets_the_alias(stage: Stage, tracking: FakeTracking) -> None:
    release = stage.publish(1)

    assert [True, True] == [stage.promote(release, None) for _ in range(2)]
    assert (release, [release, release]) == (stage.rollout.current(), tracking.champions)
    assert release == open_release(stage.root / "releases" / release).id


OLD = "r-20200101T000000-00000000"


@pytest.mark.parametrize(("kept", "stays"), [(0, True), (1, False)])
def test_a_promotion_deletes_old_releases_if_configured(
    stage: Stage, tracking: FakeTracking, kept: int, stays: bool
) -> None:
    stage.store.put(f"models/{OLD}/release.json", b"{}")
    release = stage.publish(1)

    assert stage.promote(release, None, releases_kept=kept)
    assert (True, stays) == tuple(stage.store.exists(f"models/{one}/release.json") for one in (release, OLD))


def test_a_promotion_stands_if_old_releases_cannot_be_deleted(
    stage: Stage, tracking: FakeTracking, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def away() -> set[str]:
        raise TrackingUnavailable("MLflow is away")

    monkeypatch.setattr(tracking, "aliased", away)
    stage.store.put(f"models/{OLD}/release.json", b"{}")

    assert stage.promote(stage.publish(1), None, releases_kept=1)
    assert stage.store.exists(f"models/{OLD}/release.json")
    assert "old releases were not deleted: MLflow is away\n" == capsys.readouterr().err


def test_a_run_gets_its_verdict_with_reasons_and_scores(stage: Stage) -> None:
    run_store, release = RunStore(stage.store), stage.publish(1)
    run_id = request_run(run_store, (), "ada", datetime.now(UTC)).run_id

    stage.promote(release, None, run_id=run_id)

    verdict = run_store.verdict(run_id)
    assert verdict
    assert (True, release, ("better",)) == (verdict.promoted, verdict.release, verdict.reasons)
    assert 0.8 == verdict.metrics["after"]["weighted_f1"]


def test_a_finished_run_deploys_nothing(stage: Stage) -> None:
    run_store, release = RunStore(stage.store), stage.publish(1)
    run_id = request_run(run_store, (), "ada", datetime.now(UTC)).run_id
    run_store.finish(1, run_id, "failed", "killed", datetime.now(UTC))

    with pytest.raises(RunSuperseded):
        stage.promote(release, None, run_id=run_id)
    assert stage.rollout.current() is None


def test_an_outdated_comparison_promotes_nothing(stage: Stage) -> None:
    old, current, new = (stage.publish(seed) for seed in (1, 2, 3))
    stage.rollout.switch(current)

    assert not stage.promote(new, old)
    assert f"the champion changed from {old} to {current}" in stage.verdict(new)["reasons"][0]
    assert current == stage.rollout.current()


def test_an_mlflow_outage_delays_only_the_alias(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(uri: str, experiment: str) -> FakeTracking:
        raise TrackingUnavailable("MLflow is away")

    release, tracking = stage.publish(1), FakeTracking()
    monkeypatch.setattr(step, "Tracking", away)
    with pytest.raises(TrackingUnavailable):
        stage.promote(release, None)
    monkeypatch.setattr(step, "Tracking", tracking)

    assert (True, [release]) == (stage.promote(release, None), tracking.champions)


def test_a_registry_that_refuses_costs_the_alias_and_not_the_promotion(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refusing(uri: str, experiment: str) -> FakeTracking:
        raise RegistryRefused("MLflow: refused: 403")

    release = stage.publish(1)
    monkeypatch.setattr(step, "Tracking", refusing)

    assert stage.promote(release, None)
    assert release == stage.rollout.current()
    assert f"{release} is deployed; the alias champion was not moved: MLflow: refused: 403\n" == capsys.readouterr().err


def test_old_folders_are_deleted_but_never_the_deployed_release_or_the_one_before(stage: Stage) -> None:
    made = [stage.publish(seed) for seed in range(KEPT_ON_DISK + 2)]
    for release in made:
        stage.rollout.switch(release)
    oldest, newest = min(made), max(made)
    stage.rollout.switch(oldest)

    kept = {path.name for path in (stage.root / "releases").glob("r-*")}
    assert {oldest, made[-1]} <= kept
    assert KEPT_ON_DISK == len(kept)
    assert (oldest, True) == (stage.rollout.current(), newest in kept)


@pytest.mark.parametrize("url", ["releases", "http://localhost/x", "file:x", ""])
def test_a_rollout_url_of_another_kind_is_rejected(stage: Stage, url: str) -> None:
    with pytest.raises(ValueError, match="file:///folder"):
        open_rollout(url, stage.store)


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def changed(name: str, value: Any) -> Callable[[bytes], bytes]:
    return lambda data: json.dumps(json.loads(data) | {name: value}).encode()


TAMPERED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "truncated weights": ("text/weights.npz", lambda data: data[:-9]),
    "truncated graph": ("image/model.onnx", lambda data: data[:-9]),
    "emptied": ("fusion/bundle.json", lambda _: b""),
    "flipped bit of the weights": ("text/weights.npz", flipped),
    "flipped bit of the graph": ("image/model.onnx", flipped),
    "flipped bit of a setting": ("fusion/bundle.json", flipped),
    "wrong hash": ("release.json", changed("files", {"text/bundle.json": {"sha256": "0" * 64, "size": 1}})),
    "wrong classes": ("text/bundle.json", changed("codes", [10, 40])),
    "name of another release": ("image/bundle.json", changed("release", "r-20200101T000000-00000000")),
    "pickle for weights": ("text/weights.npz", lambda _: pickle.dumps([1.0])),
    "zip of something else": ("text/weights.npz", lambda _: zipped("evil.py", b"import os")),
    "no release.json any more": ("release.json", lambda _: b"{}"),
}


def zipped(name: str, content: bytes) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize("name", TAMPERED)
def test_a_release_altered_in_the_store_is_refused_and_the_old_one_serves(live: Stage, name: str) -> None:
    champion = str(live.rollout.current())
    release = live.publish(100 + list(TAMPERED).index(name))
    live.tamper(release, *TAMPERED[name])

    with pytest.raises(BundleRefused):
        live.promote(release, champion)
    assert (champion, champion) == (live.rollout.current(), serving(live))


def nan_release(folder: Path, seed: int) -> Release:
    """Make a release with valid hashes and a text model with NaN weights."""
    from tests.support.tiny_release import text_model

    made = make_release(folder, seed)
    model, good = text_model(seed), text_model(seed)
    model.bias[:] = np.nan
    model.save(made.path / "text")
    bundle.write_manifest(
        made.path / "text", "text", None, self_check.record_text(good, CHALLENGE), good.codes, release=made.id
    )
    values = json.loads((made.path / "release.json").read_text())
    for path in (made.path / "text").iterdir():
        entry = bundle.file_entry(path)
        values["files"][f"text/{path.name}"] = {"sha256": entry.sha256, "size": entry.size}
    values["versions"]["text"] = bundle.verify(made.path / "text").version
    (made.path / "release.json").write_text(json.dumps(values))
    return open_release(made.path)


def test_a_release_of_nan_weights_is_refused(live: Stage) -> None:
    champion = str(live.rollout.current())

    with pytest.raises(BundleRefused, match="not finite"):
        live.promote(live.publish(200, nan_release), champion)
    assert (champion, champion) == (live.rollout.current(), serving(live))


def test_an_unpublished_release_is_named(live: Stage) -> None:
    with pytest.raises(ObjectNotFound, match="r-20200101T000000-00000000"):
        switch(live).deploy("r-20200101T000000-00000000", live.rollout.current())


def test_a_slow_release_is_rolled_back(live: Stage) -> None:
    champion, release = live.rollout.current(), live.publish(201, partial(slow_release, detour=600))

    switched = switch(live, slow_ms=2.0, max_slowdown=2.0).deploy(release, champion)

    assert not switched.done
    assert "instead of" in switched.reasons[0]
    assert f"{champion} is deployed again" == switched.reasons[1]
    assert champion == live.rollout.current()


def test_servers_that_do_not_switch_lead_to_a_rollback(live: Stage) -> None:
    champion, elsewhere = live.rollout.current(), LocalRollout(live.root / "elsewhere", live.store)
    elsewhere.switch(str(champion))
    smoke = SmokeTest(live.service, GateLimits(**LIMITS), deadline_s=0.5)

    switched = Switch(live.store, elsewhere, smoke).deploy(live.publish(202), champion)

    assert not switched.done
    assert f"the servers still respond with {champion}" in switched.reasons[0]
    assert champion == elsewhere.current()


def test_an_absent_server_fails_the_smoke_test(live: Stage) -> None:
    champion = live.rollout.current()
    smoke = SmokeTest("http://127.0.0.1:9", GateLimits(**LIMITS), deadline_s=0.5)

    switched = Switch(live.store, live.rollout, smoke).deploy(live.publish(203), champion)

    assert (False, champion) == (switched.done, live.rollout.current())
    assert "does not respond" in switched.reasons[0]


def test_a_partial_rollout_is_undone(live: Stage) -> None:
    class Half(LocalRollout):
        def switch(self, release_id: str) -> None:
            super().switch(release_id)
            if release_id != champion:
                raise RolloutFailed("the image predictor did not come up")

    champion = live.rollout.current()
    half = Half(live.root / "releases", live.store)

    with pytest.raises(RolloutFailed, match="did not come up"):
        Switch(live.store, half, SmokeTest("", GateLimits(**LIMITS), deadline_s=20)).deploy(live.publish(204), champion)
    assert champion == live.rollout.current()


def test_a_good_release_is_deployed_and_can_be_rolled_back(live: Stage, tracking: FakeTracking) -> None:
    champion, release = str(live.rollout.current()), live.publish(205)

    assert live.promote(release, champion)
    assert release == serving(live)
    states = {kept.release: kept.state for kept in releases.stored_releases(live.store, live.rollout)}
    assert ("champion", "not compared") == (states[release], states[champion])

    back = releases.roll_back(switch(live))
    rolled_back = read_entries(
        live.store, AuditFilter(action="release_rolled_back"), limit=1, now=datetime.now(UTC)
    ).items[0]

    assert (True, champion) == (back.done, serving(live))
    assert rolled_back.event is not None
    assert rolled_back.outcome is not None
    assert ("operator", champion, {"champion_before": release}, "done") == (
        rolled_back.event.actor_kind,
        rolled_back.event.target,
        rolled_back.event.details,
        rolled_back.outcome.outcome,
    )
    assert [release] == tracking.champions
    with pytest.raises(releases.NoRelease, match="no release is known"):
        releases.roll_back(switch(live))
    with pytest.raises(releases.NoRelease, match="already"):
        releases.roll_back(switch(live), champion)
    with pytest.raises(ProductClassifierError):
        releases.roll_back(switch(live), "r-20200101T000000-00000000")


def test_the_deployed_release_is_deployed_again_if_servers_name_a_deleted_one(live: Stage) -> None:
    deleted, published = "r-20200101T000000-00000000", live.publish(206)
    switched: list[str] = []

    class Naming(LocalRollout):
        def in_use(self) -> frozenset[str]:
            return super().in_use() | {deleted, published}

        def switch(self, release_id: str) -> None:
            switched.append(release_id)
            super().switch(release_id)

    champion, records = str(live.rollout.current()), list(live.store.list(releases.ROLLBACKS))
    smoke = SmokeTest("", GateLimits(**LIMITS), deadline_s=20)
    naming = Switch(live.store, Naming(live.root / "releases", live.store), smoke)

    repaired = releases.roll_back(naming, champion)

    assert (True, [champion], champion) == (repaired.done, switched, live.rollout.current())
    assert deleted in repaired.reasons[0]
    assert published not in repaired.reasons[0]
    assert records == list(live.store.list(releases.ROLLBACKS))

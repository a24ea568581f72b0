"""Canaries: start, end, and what is refused; rollbacks without parameters."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from components.shared.kubernetes_api import ClusterApi
from components.shared.rollout.kserve_rollout import FUSION, KServeRollout
from components.shared.rollout.placement import CANARY, SHADOW, SHARE
from components.shared.rollout.releases import NoRelease
from components.shared.rollout.switch import Switch, SwitchResult
from components.shared.tracking import RegistryRefused
from pipelines import __main__, action_command, release_commands
from product_classifier.feedback.records import new_id
from product_classifier.release_history.release_actions import (
    ActionKind,
    ReleaseAction,
    find_result,
    request_action,
)
from tests.support.fake_kubernetes import FakeKubernetes, fake_kubernetes
from tests.support.fakes import FakeStore

FIRST, SECOND = (f"r-2026010{day}T000000-0000000{day}" for day in (1, 2))


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubernetes]:
    store = FakeStore()
    store.put(f"models/{SECOND}/release.json", b"{}")
    with fake_kubernetes() as cluster:
        cluster.add_services()
        rollout = KServeRollout(ClusterApi("shop", cluster.client()), "s3://shop/models", poll_interval_s=0.02)
        rollout.switch(FIRST)
        monkeypatch.setattr(release_commands, "open_store", lambda _: store)
        monkeypatch.setattr(release_commands, "open_rollout", lambda *_: rollout)
        yield cluster


@pytest.mark.parametrize(
    ("options", "effect", "annotations"),
    [
        (["--share", "0.25"], "responds to 25% of the requests", {CANARY: SECOND, SHARE: "0.25"}),
        (["--shadow"], "gets a copy of each request for comparison", {SHADOW: SECOND}),
    ],
)
def test_a_published_release_is_a_canary_until_it_is_stopped(
    cluster: FakeKubernetes,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    effect: str,
    annotations: dict[str, str],
) -> None:
    assert 0 == __main__.main(["canary", SECOND, *options])
    assert f"{SECOND} {effect}; the champion is {FIRST}\n" == capsys.readouterr().out
    assert annotations == cluster.placement(FUSION).challenger

    assert 0 == __main__.main(["canary", "--stop"])
    assert f"the champion {FIRST} responds to all requests\n" == capsys.readouterr().out
    assert {} == cluster.placement(FUSION).challenger


def test_an_unpublished_release_is_refused(cluster: FakeKubernetes, capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == __main__.main(["canary", "r-20260103T000000-00000003"])
    assert "'r-20260103T000000-00000003' was never published" in capsys.readouterr().err


@pytest.mark.parametrize("share", ["0", "1.5", "-0.1"])
def test_a_share_that_is_not_above_0_and_at_most_1_is_refused(share: str) -> None:
    with pytest.raises(SystemExit):
        __main__.main(["canary", SECOND, "--share", share])


def test_a_canary_without_release_and_without_stop_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == __main__.main(["canary"])
    assert "canary: neither a release nor --stop is given; name one of them\n" == capsys.readouterr().err


def test_servers_on_one_machine_refuse_a_canary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    (tmp_path / "store" / "product-classifier").mkdir(parents=True)

    assert 1 == __main__.main(["canary", "--stop"])
    error = capsys.readouterr().err
    assert "file://" in error
    assert "a canary needs kserve://namespace" in error


def test_a_rollback_that_cannot_reach_mlflow_says_what_is_done_and_repeats_the_rest(
    cluster: FakeKubernetes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    moved: list[str] = []

    class Alias:
        def __init__(self, uri: str, experiment: str) -> None:
            if not moved and uri.startswith("sqlite"):
                raise RegistryRefused("MLflow: has no version of the release; register it")

        def set_champion_alias(self, release: str) -> None:
            moved.append(release)

    def roll_back(switch: Switch, release: str) -> SwitchResult:
        if release == switch.rollout.current():
            raise NoRelease(f"{release}: is deployed already; name another release")
        switch.rollout.switch(release)
        return SwitchResult(done=True, reasons=(f"{release} is deployed instead of {FIRST}",))

    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(release_commands, "Tracking", Alias)
    monkeypatch.setattr(release_commands, "roll_back", roll_back)

    assert 1 == __main__.main(["rollback", SECOND])
    first = capsys.readouterr()
    assert f"{SECOND} is deployed instead of {FIRST}\n" == first.out
    assert f"{SECOND} is deployed; only the alias champion in MLflow did not move: MLflow: has no version" in first.err
    assert f"`python -m pipelines rollback {SECOND}` again, with MLFLOW_TRACKING_URI set" in first.err

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow")
    assert 0 == __main__.main(["rollback", SECOND])
    assert f"{SECOND} is deployed already\n" == capsys.readouterr().out
    assert [SECOND] == moved


def test_the_list_of_releases_marks_scores_of_different_hold_outs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = FakeStore()
    for release, hold_out in ((FIRST, "aaaaaaaa11"), (SECOND, "bbbbbbbb22")):
        metrics = {"fusion": {"weighted_f1": 0.8}, "test_set": hold_out}
        manifest = {"created": "2026-01-01T00:00:00", "metrics": metrics, "corrections": None}
        store.put(f"models/{release}/release.json", json.dumps(manifest).encode())
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    monkeypatch.setattr(release_commands, "open_store", lambda _: store)

    assert 0 == __main__.main(["releases"])
    listed = capsys.readouterr().out
    assert "aaaaaaaa" in listed
    assert "bbbbbbbb" in listed
    assert "F1 compares only releases that were measured on the same hold-out" in listed

    store.delete(f"models/{SECOND}/release.json")
    assert 0 == __main__.main(["releases"])
    assert "F1 compares" not in capsys.readouterr().out


@pytest.mark.parametrize("params", [None, "seed: 1\n", "compare: {min_gain: 0.5}\npromote: {releases_kept: 3}\n"])
def test_a_rollback_takes_missing_parameters_from_the_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, params: str | None
) -> None:
    switches: list[Switch] = []

    def roll_back(switch: Switch, _: str) -> SwitchResult:
        switches.append(switch)
        return SwitchResult(done=False, reasons=("the test ends here",))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    monkeypatch.setattr(release_commands, "roll_back", roll_back)
    (tmp_path / "store" / "product-classifier").mkdir(parents=True)
    if params is not None:
        (tmp_path / "params.yaml").write_text(params)

    assert 1 == __main__.main(["rollback"])
    (smoke,) = [switch.smoke for switch in switches]
    assert (180.0, 3.0, 50.0) == (smoke.deadline_s, smoke.limits.max_slowdown, smoke.limits.slow_ms)
    assert (0.5 if params and "min_gain" in params else 0.002) == smoke.limits.min_gain


@pytest.mark.parametrize(
    ("kind", "release", "code", "reason"),
    [
        ("canary", SECOND, 0, f"{SECOND} responds to 25% of the requests; the champion is {FIRST}"),
        ("stop_canary", "", 0, f"the champion {FIRST} responds to all requests"),
        ("canary", "r-20260103T000000-00000003", 1, "was never published"),
    ],
)
def test_a_requested_action_is_carried_out_once_and_its_result_is_stored(
    cluster: FakeKubernetes, monkeypatch: pytest.MonkeyPatch, kind: ActionKind, release: str, code: int, reason: str
) -> None:
    store = FakeStore()
    monkeypatch.setattr(action_command, "open_store", lambda _: store)
    action = ReleaseAction(
        action_id=new_id(), kind=kind, release=release, share=0.25, requested_by="ada", created=datetime.now(UTC)
    )
    request_action(store, action)
    codes = [__main__.main(["release-action", action.action_id]) for _ in range(2)]

    result = find_result(store, action.action_id)
    assert result
    assert ([code] * 2, code == 0, True) == (codes, result.done, reason in result.reason)


def test_an_action_that_was_not_requested_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(action_command, "open_store", lambda _: FakeStore())

    assert 1 == __main__.main(["release-action", new_id()])
    assert "no release action has this id" in capsys.readouterr().err

"""Canaries: start, end, and what is refused; rollbacks without parameters."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from components.shared.kubernetes_api import ClusterApi
from components.shared.rollout.kserve_rollout import FUSION, KServeRollout
from components.shared.rollout.placement import CANARY, SHADOW, SHARE
from components.shared.rollout.switch import Switch, SwitchResult
from pipelines import __main__, release_commands
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

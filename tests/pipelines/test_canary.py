"""A person starts and ends a canary."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from components.shared.kubernetes_api import ClusterApi
from components.shared.rollout.kserve_rollout import FUSION, KServeRollout
from components.shared.rollout.placement import CANARY, SHADOW, SHARE
from pipelines import __main__, canary
from tests.support.fake_kubernetes import FakeKubernetes, fake_kubernetes
from tests.support.fakes import FakeStore

FIRST, SECOND = (f"r-2026010{day}T000000-0000000{day}" for day in (1, 2))


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubernetes]:
    store = FakeStore()
    store.put(f"models/{SECOND}/release.json", b"{}")
    with fake_kubernetes() as cluster:
        cluster.add_services()
        rollout = KServeRollout(ClusterApi("shop", cluster.client()), "s3://shop/models", look_every_s=0.02)
        rollout.switch(FIRST)
        monkeypatch.setattr(canary, "open_store", lambda _: store)
        monkeypatch.setattr(canary, "open_rollout", lambda *_: rollout)
        yield cluster


@pytest.mark.parametrize(
    ("options", "said", "told"),
    [
        (["--share", "0.25"], "answers 25% of the products", {CANARY: SECOND, SHARE: "0.25"}),
        (["--shadow"], "is asked too and compared", {SHADOW: SECOND}),
    ],
)
def test_a_published_release_challenges_until_it_is_stopped(
    cluster: FakeKubernetes, capsys: pytest.CaptureFixture[str], options: list[str], said: str, told: dict[str, str]
) -> None:
    assert 0 == __main__.main(["canary", SECOND, *options])
    assert f"{SECOND} {said}; {FIRST} is in service\n" == capsys.readouterr().out
    assert told == cluster.placement(FUSION).challenge

    assert 0 == __main__.main(["canary", "--stop"])
    assert f"{FIRST} answers alone\n" == capsys.readouterr().out
    assert {} == cluster.placement(FUSION).challenge


def test_a_release_that_was_never_published_does_not_challenge(
    cluster: FakeKubernetes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 1 == __main__.main(["canary", "r-20260103T000000-00000003"])
    assert "'r-20260103T000000-00000003' was never published" in capsys.readouterr().err


@pytest.mark.parametrize("share", ["0", "1.5", "-0.1"])
def test_a_share_is_above_nothing_and_at_most_all(share: str) -> None:
    with pytest.raises(SystemExit):
        __main__.main(["canary", SECOND, "--share", share])


def test_neither_a_release_nor_an_end_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == __main__.main(["canary"])
    assert "canary: canary needs a release, or --stop\n" == capsys.readouterr().err


def test_servers_on_one_machine_take_no_challenger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    (tmp_path / "store" / "product-classifier").mkdir(parents=True)

    assert 1 == __main__.main(["canary", "--stop"])
    assert "kserve://…, not file://" in capsys.readouterr().err

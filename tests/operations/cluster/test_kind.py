"""The platform is installed in an order that works, and a cluster that is not ours is left alone."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from operations.cluster import machine
from operations.cluster.commands import CommandFailed
from operations.cluster.kind import NAME, PARTS, PLATFORM, Part, down, exists, up
from tests.support.fake_commands import FakeCluster, NoPrograms

REPOSITORY = Path(__file__).parents[3]
VERSIONS = {
    "docker info": "28.3.1",
    "kind version": "kind v0.32.0 go1.26.1 linux/amd64",
    "kubectl version": '{"clientVersion": {"gitVersion": "v1.33.4"}}',
}


@pytest.fixture
def laptop(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    monkeypatch.setattr(machine, "room", lambda: machine.Room(8, 16, 100))
    commands = FakeCluster()
    commands.answers.update(VERSIONS)
    return commands


def asked(commands: FakeCluster, begin: str) -> list[str]:
    return [line for line in (" ".join(command) for command in commands.ran) if line.startswith(begin)]


def test_an_empty_laptop_gets_a_cluster_and_the_platform_in_order(laptop: FakeCluster) -> None:
    up(laptop, existing=False)

    applied = [line.rpartition("manifests/platform/")[2] for line in asked(laptop, "kubectl apply")]
    assert 1 == len(asked(laptop, f"kind create cluster --name {NAME}"))
    assert ["cert-manager", "kserve", "kubeflow-pipelines/cluster-scoped", "kubeflow-pipelines"] == applied


def test_each_part_is_waited_for_before_the_next(laptop: FakeCluster) -> None:
    up(laptop, existing=False)

    steps = [command[1] for command in laptop.ran if command[0] == "kubectl" and command[1] in {"apply", "wait"}]
    assert ["apply", "wait"] * len(PARTS) == steps


def test_a_cluster_that_is_there_is_kept(laptop: FakeCluster) -> None:
    laptop.answers["kind get clusters"] = f"other\n{NAME}\n"
    up(laptop, existing=False)

    assert [] == asked(laptop, "kind create")


def test_objects_whose_kind_is_not_served_yet_are_applied_again(laptop: FakeCluster) -> None:
    class Young(FakeCluster):
        failed = False

        def run(self, command: Sequence[str], *, given: str | None = None) -> str:
            printed = super().run(command, given=given)
            if "manifests/platform/kserve" in command and not self.failed:
                self.failed = True
                raise CommandFailed("no matches for kind ClusterStorageContainer")
            return printed

    young = Young()
    young.answers.update(VERSIONS)
    up(young, existing=False)

    assert 2 == len([line for line in asked(young, "kubectl apply") if line.endswith("/kserve")])


def test_nothing_is_started_on_a_machine_without_programs() -> None:
    with pytest.raises(machine.NotEnough, match="docker is needed"):
        up(NoPrograms(), existing=False)


def test_an_existing_cluster_is_neither_made_nor_changed_nor_removed(laptop: FakeCluster) -> None:
    up(laptop, existing=True)
    down(laptop, existing=True)

    assert [] == [*asked(laptop, "kind"), *asked(laptop, "kubectl apply"), *asked(laptop, "kubectl delete")]


def test_only_our_own_cluster_is_removed(laptop: FakeCluster) -> None:
    laptop.answers["kind get clusters"] = "somebody-elses\n"
    down(laptop, existing=False)
    assert [] == asked(laptop, "kind delete")

    laptop.answers["kind get clusters"] = f"somebody-elses\n{NAME}\n"
    down(laptop, existing=False)
    assert [f"kind delete cluster --name {NAME}"] == asked(laptop, "kind delete")


def test_without_kind_there_is_no_cluster() -> None:
    assert not exists(NoPrograms())


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.folder)
def test_a_part_is_a_kustomization_with_a_version(part: Part) -> None:
    folder = REPOSITORY / PLATFORM / part.folder
    (resource,) = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]

    assert any(version in resource for version in ("/v1.20.2/", "/v0.20.0/", "?ref=2.17.0"))


def test_the_node_is_pinned_by_digest() -> None:
    (node,) = yaml.safe_load((REPOSITORY / PLATFORM / "kind.yaml").read_text(encoding="utf-8"))["nodes"]

    assert "@sha256:" in node["image"]

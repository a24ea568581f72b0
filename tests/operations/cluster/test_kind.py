"""Tests that the platform is installed in order and an existing cluster is not changed."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from operations.cluster import requirements
from operations.cluster.command_runner import CommandFailed
from operations.cluster.kind import NAME, PARTS, PLATFORM, PlatformPart, down, exists, up
from tests.support.fake_cluster import FakeCluster, NoPrograms

REPOSITORY = Path(__file__).parents[3]
VERSIONS = {
    "docker info": "28.3.1",
    "kind version": "kind v0.32.0 go1.26.1 linux/amd64",
    "kubectl version": '{"clientVersion": {"gitVersion": "v1.33.4"}}',
}


@pytest.fixture
def laptop(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    monkeypatch.setattr(requirements, "measure", lambda: requirements.Capacity(8, 16, 100))
    cluster = FakeCluster()
    cluster.outputs.update(VERSIONS)
    return cluster


def commands(cluster: FakeCluster, begin: str) -> list[str]:
    return [line for line in (" ".join(command) for command in cluster.commands) if line.startswith(begin)]


def test_up_creates_the_cluster_and_installs_the_platform_in_order(laptop: FakeCluster) -> None:
    up(laptop, existing=False)

    applied = [line.rpartition("manifests/platform/")[2] for line in commands(laptop, "kubectl apply")]
    assert 1 == len(commands(laptop, f"kind create cluster --name {NAME}"))
    assert ["cert-manager", "kserve", "kubeflow-pipelines/cluster-scoped", "kubeflow-pipelines"] == applied


def test_up_waits_for_each_part_before_the_next(laptop: FakeCluster) -> None:
    up(laptop, existing=False)

    steps = [command[1] for command in laptop.commands if command[0] == "kubectl" and command[1] in {"apply", "wait"}]
    assert ["apply", "wait"] * len(PARTS) == steps


def test_up_does_not_create_a_cluster_that_exists(laptop: FakeCluster) -> None:
    laptop.outputs["kind get clusters"] = f"other\n{NAME}\n"
    up(laptop, existing=False)

    assert [] == commands(laptop, "kind create")


def test_objects_whose_kind_is_not_served_yet_are_applied_again(laptop: FakeCluster) -> None:
    class NewCluster(FakeCluster):
        failed = False

        def run(self, command: Sequence[str], *, stdin: str | None = None) -> str:
            printed = super().run(command, stdin=stdin)
            if "manifests/platform/kserve" in command and not self.failed:
                self.failed = True
                raise CommandFailed("no matches for kind ClusterStorageContainer")
            return printed

    new = NewCluster()
    new.outputs.update(VERSIONS)
    up(new, existing=False)

    assert 2 == len([line for line in commands(new, "kubectl apply") if line.endswith("/kserve")])


def test_up_starts_nothing_on_a_machine_without_programs() -> None:
    with pytest.raises(requirements.RequirementsNotMet, match="docker is required"):
        up(NoPrograms(), existing=False)


def test_an_existing_cluster_is_neither_created_nor_changed_nor_removed(laptop: FakeCluster) -> None:
    up(laptop, existing=True)
    down(laptop, existing=True)

    assert [] == [*commands(laptop, "kind"), *commands(laptop, "kubectl apply"), *commands(laptop, "kubectl delete")]


def test_down_removes_only_the_cluster_of_the_project(laptop: FakeCluster) -> None:
    laptop.outputs["kind get clusters"] = "unrelated\n"
    down(laptop, existing=False)
    assert [] == commands(laptop, "kind delete")

    laptop.outputs["kind get clusters"] = f"unrelated\n{NAME}\n"
    down(laptop, existing=False)
    assert [f"kind delete cluster --name {NAME}"] == commands(laptop, "kind delete")


def test_exists_is_false_if_kind_is_not_installed() -> None:
    assert not exists(NoPrograms())


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.folder)
def test_a_part_is_a_kustomization_with_a_pinned_version(part: PlatformPart) -> None:
    folder = REPOSITORY / PLATFORM / part.folder
    (resource,) = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]

    assert any(version in resource for version in ("/v1.20.2/", "/v0.20.0/", "?ref=2.17.0"))


def test_the_node_image_is_pinned_by_digest() -> None:
    (node,) = yaml.safe_load((REPOSITORY / PLATFORM / "kind.yaml").read_text(encoding="utf-8"))["nodes"]

    assert "@sha256:" in node["image"]

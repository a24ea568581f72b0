"""Which releases a model pod downloads: the storage initializer's command, run as a process."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

MANIFEST = Path("manifests/base/object-store/storage-container.yaml")


def initialize(folder: Path, *releases: str) -> tuple[subprocess.CompletedProcess[str], dict[str, bool]]:
    """Run the command for releases below a folder; return which of them are in the pod afterwards."""
    interpreter, *command = yaml.safe_load(MANIFEST.read_text())["spec"]["container"]["command"]
    assert interpreter == "python3"
    pod = folder / "pod"
    pairs = [[f"file://{folder / 'store' / one}", str(pod / one)] for one in releases]
    done = subprocess.run(
        [sys.executable, *command, *(argument for pair in pairs for argument in pair)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done, {one: (pod / one / "bundle.json").is_file() for one in releases}


def publish(folder: Path, *releases: str) -> None:
    for one in releases:
        bundle = folder / "store" / one / "bundle.json"
        bundle.parent.mkdir(parents=True)
        bundle.write_text("{}")


def test_a_pod_downloads_every_release_it_names(tmp_path: Path) -> None:
    publish(tmp_path, "r-current", "r-kept", "r-next")

    done, found = initialize(tmp_path, "r-current", "r-kept", "r-next")

    assert (0, {"r-current": True, "r-kept": True, "r-next": True}) == (done.returncode, found)
    assert "release_skipped" not in done.stdout


def test_a_pod_starts_without_a_deleted_release_that_is_not_in_service(tmp_path: Path) -> None:
    publish(tmp_path, "r-current", "r-next")

    done, found = initialize(tmp_path, "r-current", "r-deleted", "r-next")

    assert (0, {"r-current": True, "r-deleted": False, "r-next": True}) == (done.returncode, found), done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("release_skipped")]
    assert "r-deleted" in line
    assert [] == list((tmp_path / "pod/r-deleted").iterdir())


@pytest.mark.parametrize("others", [(), ("r-kept",)], ids=["alone", "beside another"])
def test_a_pod_does_not_start_without_the_release_in_service(tmp_path: Path, others: tuple[str, ...]) -> None:
    publish(tmp_path, *others)

    done, _ = initialize(tmp_path, "r-current", *others)

    assert done.returncode != 0
    assert "r-current" in done.stderr

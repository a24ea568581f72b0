"""Tests of .ci/run with fake programs in an empty repository."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci/run"
SUMMARY = "3 passed in 0.01s"
PROGRAM = f"""#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
case "$*" in
    "$FAILING") exit 3 ;;
    test) echo "{SUMMARY}" ;;
    env) echo "export KUBECONFIG=/kubeconfig-of-the-tool" ;;
esac
"""


class Repository:
    """A folder with a copy of the script and fakes of `make`, the interpreter and a cluster tool."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tool = folder / "bin/cluster-tool"
        (folder / ".ci").mkdir()
        shutil.copy(SCRIPT, folder / ".ci/run")
        for program in ("bin/make", "bin/cluster-tool", ".venv/bin/python"):
            (folder / program).parent.mkdir(parents=True, exist_ok=True)
            (folder / program).write_text(PROGRAM, encoding="utf-8")
            (folder / program).chmod(0o755)

    def run(self, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder),
            "CALLS": str(self.folder / "calls"),
            "FAILING": "nothing",
        }
        return subprocess.run(
            [self.folder / ".ci/run"], env=environment | variables, capture_output=True, text=True, check=False
        )

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text(encoding="utf-8").splitlines()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    (tmp_path / "repository").mkdir()
    return Repository(tmp_path / "repository")


def test_every_part_is_run_and_the_output_ends_with_the_summary_of_the_tests(repository: Repository) -> None:
    done = repository.run()

    assert 0 == done.returncode, done.stdout + done.stderr
    assert SUMMARY == done.stdout.splitlines()[-1]
    assert ["make encoders", "make check"] == repository.calls[:2]
    assert ["python -m operations.demo", "make test SLOW=1", "make test"] == repository.calls[-3:]
    assert repository.calls[2].startswith("python -m tests.support.first_prediction ")


def test_a_missing_cluster_tool_is_reported_as_skipped(repository: Repository) -> None:
    done = repository.run()

    assert "=== skipped: cluster: there is no program" in done.stdout
    assert "CLUSTER_TOOL" in done.stdout


@pytest.mark.parametrize("part", ["check", "-m operations.demo", "test SLOW=1", "test"])
def test_a_failed_part_is_reported_and_the_others_are_run(repository: Repository, part: str) -> None:
    done = repository.run(FAILING=part)

    assert 1 == done.returncode
    assert "exit status 3" in done.stdout
    assert 6 == len(repository.calls)


def test_the_cluster_tool_creates_a_cluster_on_which_the_product_is_tested(repository: Repository) -> None:
    done = repository.run(CLUSTER_TOOL=str(repository.tool))

    tool = repository.tool
    assert 0 == done.returncode, done.stdout + done.stderr
    assert [
        "cluster-tool up",
        "cluster-tool env",
        f"make images BUILD={tool} image LOAD={tool} load",
        "make deploy e2e CLUSTER=existing",
        "make test SLOW=1",
        "make test",
    ] == repository.calls[-6:]


def test_a_cluster_tool_that_does_not_exist_is_an_error_if_it_is_set(repository: Repository) -> None:
    assert 1 == repository.run(CLUSTER_TOOL="/no/such/tool").returncode


def test_a_part_that_exceeds_its_limit_is_terminated_and_reported(repository: Repository) -> None:
    script = repository.folder / ".ci/run"
    script.write_text(script.read_text(encoding="utf-8").replace("part check 3 ", "part check 0.01 "), encoding="utf-8")
    make = repository.folder / "bin/make"
    make.write_text(PROGRAM.replace('case "$*" in', 'case "$*" in\n    check) sleep 60 ;;'), encoding="utf-8")

    done = repository.run()

    assert 1 == done.returncode
    assert "=== failed: check exceeded 0.01 minutes" in done.stdout


@pytest.mark.parametrize(("with_cluster", "minutes"), [(False, 45), (True, 90)])
def test_the_limits_of_all_parts_add_up_to_the_promised_time(*, with_cluster: bool, minutes: int) -> None:
    limits = dict(re.findall(r'part ("[\w ]+"|\w+) ([0-9]+) ', SCRIPT.read_text(encoding="utf-8")))

    assert sum(int(limit) for name, limit in limits.items() if with_cluster or name != "cluster") <= minutes

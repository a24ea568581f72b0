"""Tests of the demo with fake services; .ci/run runs the demo itself."""

import io
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from inference.simulation.correction_simulator import CorrectionCounts
from inference.simulation.gateway_client import UserAccount
from inference.simulation.open_loop import RequestOutcome, SimulatedPrediction
from inference.simulation.report import Simulation
from inference.simulation.unseen import UnseenProduct
from operations.demo import loop as module
from operations.demo import results
from operations.demo.__main__ import main
from operations.demo.loop import DemoLoop
from operations.demo.processes import DemoStepFailed, ProcessRunner, RunningServices, reset_folder
from operations.demo.results import DemoResult
from operations.demo.run_monitor import RunMonitor
from operations.demo.settings import EXCLUDED_VARIABLES, Settings
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.catalogue.challenge.sample import make_sample
from tests.support.fake_models import served

PHASES = ["replay", "correct", "run starts", "retrain", "promote", "new release serves", "replay again"]
OLD, NEW = "r-20300101T000000-00000001", "r-20300102T000000-00000002"
VERDICT = {"promoted": True, "release": NEW, "champion": OLD, "reasons": ["0.9 is better than 0.8"]}
RUN = {"run_id": "retrain-000001-0a1b2c3d4e5f", "state": "succeeded", "cause": "threshold", "corrections": 50}
DECIDED = RUN | {"verdict": VERDICT, "reason": None}


class FakeGateway:
    """The routes of a gateway that the monitor polls; the last response of a list repeats."""

    def __init__(self) -> None:
        self.pages: list[list[dict[str, Any]]] = [[]]
        self.run: list[dict[str, Any]] = [DECIDED]
        self.releases = [OLD]

    def app(self) -> Starlette:
        async def token(_: Request) -> Response:
            return JSONResponse({"access_token": "t", "expires_in": 3600})

        async def page(_: Request) -> Response:
            return JSONResponse({"runs": _next(self.pages)})

        async def run(_: Request) -> Response:
            return JSONResponse(_next(self.run))

        async def predict(_: Request) -> Response:
            return JSONResponse({"release": _next(self.releases)})

        return Starlette(
            routes=[
                Route("/token", token, methods=["POST"]),
                Route("/retrain", page),
                Route("/retrain/{run_id}", run),
                Route("/predict", predict, methods=["POST"]),
            ]
        )


def _next(responses: list[Any]) -> Any:
    return responses.pop(0) if len(responses) > 1 else responses[0]


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def monitor(gateway: FakeGateway) -> Iterator[RunMonitor]:
    with served(gateway.app()) as url, subprocess.Popen(["sleep", "60"]) as process:
        yield RunMonitor(url, UserAccount("ada", "admin", "p"), RunningServices(process))
        process.kill()


def test_wait_for_run_returns_the_first_run_that_has_started(monitor: RunMonitor, gateway: FakeGateway) -> None:
    gateway.pages = [[], [RUN | {"state": "waiting"}], [RUN | {"state": "running"}]]

    assert "running" == monitor.wait_for_run(30, 50)["state"]


def test_wait_for_verdict_returns_the_finished_run(monitor: RunMonitor, gateway: FakeGateway) -> None:
    gateway.run = [RUN | {"state": "running", "verdict": None}, DECIDED]

    assert VERDICT == monitor.wait_for_verdict(RUN["run_id"], 30)["verdict"]


def test_wait_for_release_returns_when_the_release_serves(monitor: RunMonitor, gateway: FakeGateway) -> None:
    gateway.releases = [OLD, OLD, NEW]
    monitor.wait_for_release(NEW, 30)

    assert [NEW] == gateway.releases


def test_a_timeout_names_what_did_not_happen(monitor: RunMonitor, gateway: FakeGateway) -> None:
    gateway.run = [RUN | {"state": "running", "verdict": None}]

    with pytest.raises(DemoStepFailed, match="50 corrections are trusted, but no run has started within 0 s"):
        monitor.wait_for_run(0.2, 50)
    with pytest.raises(DemoStepFailed, match=f"run {RUN['run_id']} has not finished within 0 s"):
        monitor.wait_for_verdict(str(RUN["run_id"]), 0.2)
    with pytest.raises(DemoStepFailed, match=f"{NEW} was promoted, but is not served within 0 s"):
        monitor.wait_for_release(NEW, 0.2)


def test_a_failed_run_is_reported_with_its_reason(monitor: RunMonitor, gateway: FakeGateway) -> None:
    gateway.run = [RUN | {"state": "failed", "verdict": None, "reason": "step 'train_text' failed"}]
    with pytest.raises(DemoStepFailed, match="has failed without a verdict: step 'train_text' failed"):
        monitor.wait_for_verdict(str(RUN["run_id"]), 30)


def test_services_that_have_exited_end_the_wait(gateway: FakeGateway) -> None:
    with served(gateway.app()) as url, subprocess.Popen(["true"]) as process:
        process.wait()
        with pytest.raises(DemoStepFailed, match="the services have exited"):
            RunMonitor(url, UserAccount("ada", "admin", "p"), RunningServices(process)).wait_for_run(600, 50)


def test_only_the_folder_of_an_earlier_demo_is_emptied(tmp_path: Path) -> None:
    reset_folder(tmp_path / "demo")
    (tmp_path / "demo" / "old").touch()
    reset_folder(tmp_path / "demo")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.tex").touch()

    with pytest.raises(DemoStepFailed, match="theirs' contains files of another origin; choose another DEMO_DIR"):
        reset_folder(tmp_path / "theirs")
    assert ["demo", "logs"] == sorted(path.name for path in (tmp_path / "demo").iterdir())
    assert (tmp_path / "theirs" / "thesis.tex").exists()


def test_no_variable_points_outside_the_folder_of_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in EXCLUDED_VARIABLES:
        monkeypatch.setenv(name, "elsewhere")
    monkeypatch.setenv("STATE_DIR", "theirs")
    settings = Settings(demo_dir=tmp_path / "demo", raw=None, catalogue=None)
    reset_folder(settings.demo_dir)
    (tmp_path / "probe.py").write_text(
        "import os\nprint(*sorted(f'{k}={v}' for k, v in os.environ.items()), sep='\\n')"
    )
    runner = ProcessRunner(settings.demo_dir, settings.environment(18080) | {"PYTHONPATH": str(tmp_path)})
    runner.run("probe", "probe")
    environment = dict(line.split("=", 1) for line in (settings.demo_dir / "logs/probe.log").read_text().splitlines())

    assert set() == set(EXCLUDED_VARIABLES) & set(environment)
    assert (str(tmp_path / "demo/state"), str(tmp_path / "demo/data")) == (
        environment["STATE_DIR"],
        environment["DATA_DIR"],
    )


def test_the_run_of_another_catalogue_is_requested_not_triggered(tmp_path: Path) -> None:
    settings = Settings(demo_dir=tmp_path / "demo", raw=tmp_path / "mine", catalogue=tmp_path / "layout.yaml")
    environment = settings.environment(18080)

    assert 1 == settings.min_corrections
    assert int(environment["RETRAIN_MIN_CORRECTIONS"]) > 1_000_000
    assert (str(tmp_path / "mine"), str(tmp_path / "layout.yaml")) == (environment["RAW"], environment["CATALOGUE"])
    assert "PRODUCTS" not in environment


def test_a_failed_command_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    reset_folder(tmp_path / "demo")
    (tmp_path / "fails.py").write_text("import sys\nprint('first', 'last line', sep='\\n')\nsys.exit(3)")
    with pytest.raises(DemoStepFailed, match=r"`python -m fails now` ended with status 3:\nfirst\nlast line"):
        ProcessRunner(tmp_path / "demo", {"PYTHONPATH": str(tmp_path)}).run("fails", "fails", "now")


def replay(half: str, release: str, right: int, corrections: CorrectionCounts | None = None) -> Simulation:
    """Return a replay of ten products, of which `right` get the right category."""
    products = [
        UnseenProduct(number, f"Chemise {number}", "", "", CHALLENGE.codes[0], "", half) for number in range(10)
    ]
    outcomes = [
        RequestOutcome(
            product,
            number,
            number,
            number + 0.02,
            SimulatedPrediction(CHALLENGE.codes[0 if number < right else 1], release=release),
        )
        for number, product in enumerate(products)
    ]
    return Simulation("s", {}, 10, 1.0, outcomes, corrections)


SENT = CorrectionCounts(wrong=60, corrections=90, approvals=30, products={str(number) for number in range(60)})


def test_the_tables_contain_scores_corrections_runs_and_verdict() -> None:
    result = DemoResult(
        replay("a", OLD, 5),
        replay("b", OLD, 5, SENT),
        replay("a", NEW, 10),
        [DECIDED],
        frozenset({8, 9}),
        {"train": 60.4, "replay": 9.6},
    )
    quality, loop = results.quality_rows(result), dict(results.loop_rows(result))

    f1 = f"{2 * 5 / (5 + 10):.3f}"
    assert ("weighted F1, all (10 products)", f1, "1.000") in quality
    assert ("weighted F1, new season (2 products)", "0.000", "1.000") in quality
    assert ("release", OLD, NEW) in quality
    assert ("latency p50 / p99 (ms)", "20 / 20", "20 / 20") in quality
    assert ("90 / 30", "60", "50", "1 (cause: threshold)") == tuple(loop.values())[:4]
    assert ("promoted", "0.9 is better than 0.8", "train 60, replay 10", "70") == tuple(loop.values())[4:]
    assert "| release | " in results.to_markdown(("", "before", "after"), quality)


class ScriptedMonitor:
    """A monitor whose conditions hold at once."""

    def __init__(self, *runs: dict[str, Any]) -> None:
        self._runs = list(runs)

    def wait_for_run(self, _within_s: float, _counted: int) -> dict[str, Any]:
        return self._runs[0]

    def wait_for_verdict(self, _run_id: str, _within_s: float) -> dict[str, Any]:
        return self._runs[0]

    def wait_for_release(self, _release: str, _within_s: float) -> None:
        """Return at once."""

    def runs(self) -> list[dict[str, Any]]:
        return self._runs


@pytest.mark.parametrize(
    ("runs", "corrections", "step", "message"),
    [
        pytest.param([DECIDED], SENT, "", "", id="all succeed"),
        pytest.param(
            [DECIDED], CorrectionCounts(), "correct", "0 corrections are trusted, 54 are needed for a run", id="too few"
        ),
        pytest.param(
            [RUN | {"verdict": VERDICT | {"promoted": False, "reasons": ["F1 fell"]}}],
            SENT,
            "promote",
            f"{OLD} remains the champion: F1 fell",
            id="rejected by the gate",
        ),
        pytest.param([DECIDED, RUN], SENT, "replay again", "2 runs were started, not exactly one", id="two runs"),
    ],
)
def test_a_failed_step_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    runs: list[dict[str, Any]],
    corrections: CorrectionCounts,
    step: str,
    message: str,
) -> None:
    monkeypatch.setattr(module, "simulate", lambda settings, *_: replay(settings.half, OLD, 5, corrections))
    monkeypatch.setattr(module.report, "write", lambda *_: None)
    settings = Settings(demo_dir=tmp_path / "demo")
    make_sample(settings.data / "raw", 30, seed=1)
    loop = DemoLoop(settings, Console(file=io.StringIO()))
    if not message:
        assert runs == loop.retrain(ScriptedMonitor(*runs)).runs  # type: ignore[arg-type]
        assert PHASES == list(loop.seconds)
        return
    with pytest.raises(DemoStepFailed, match=message):
        loop.retrain(ScriptedMonitor(*runs))  # type: ignore[arg-type]
    assert step == loop.step


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"PRODUCTS": "5"}, "error: PRODUCTS: must be at least 300, not '5'"),
        ({"DEMO_DIR": str(Path(__file__).parent)}, "error: step 'prepare' failed: "),
    ],
)
def test_invalid_settings_are_one_line_on_standard_error_and_status_1(
    variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert 1 == main()
    error = capsys.readouterr().err
    assert (True, 1) == (error.startswith(message), error.count("\n"))

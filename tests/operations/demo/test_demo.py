"""What the demonstration does around the loop; the loop itself is run by .ci/run."""

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

from inference.simulation.corrections import Sent
from inference.simulation.gateway import Person
from inference.simulation.replay import Answer, Outcome
from inference.simulation.report import Simulation
from inference.simulation.unseen import Product
from operations.demo import loop as module
from operations.demo import results
from operations.demo.__main__ import main
from operations.demo.loop import Loop
from operations.demo.processes import Commands, Serving, StepMissing, fresh
from operations.demo.results import Found
from operations.demo.settings import ELSEWHERE, Settings
from operations.demo.watching import Watcher
from product_classifier.catalogue.sample import make_sample
from product_classifier.taxonomy import CODES
from tests.support.fake_models import served

PHASES = ["replay", "correct", "run starts", "retrain", "promote", "new release serves", "replay again"]
OLD, NEW = "r-20300101T000000-00000001", "r-20300102T000000-00000002"
VERDICT = {"promoted": True, "release": NEW, "champion": OLD, "reasons": ["0.9 is better than 0.8"]}
RUN = {"run_id": "retrain-000001-0a1b2c3d4e5f", "state": "succeeded", "cause": "threshold", "corrections": 50}
DECIDED = RUN | {"verdict": VERDICT, "reason": None}


class Backstage:
    """The part of a gateway an admin looks at; each list is what is seen next, the last for ever."""

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


def _next(found: list[Any]) -> Any:
    return found.pop(0) if len(found) > 1 else found[0]


@pytest.fixture
def backstage() -> Backstage:
    return Backstage()


@pytest.fixture
def watcher(backstage: Backstage) -> Iterator[Watcher]:
    with served(backstage.app()) as url, subprocess.Popen(["sleep", "60"]) as process:
        yield Watcher(url, Person("ada", "admin", "p"), Serving(process))
        process.kill()


def test_a_run_is_waited_for_until_it_has_started(watcher: Watcher, backstage: Backstage) -> None:
    backstage.pages = [[], [RUN | {"state": "waiting"}], [RUN | {"state": "running"}]]

    assert "running" == watcher.run_started(30, 50)["state"]


def test_a_verdict_is_waited_for(watcher: Watcher, backstage: Backstage) -> None:
    backstage.run = [RUN | {"state": "running", "verdict": None}, DECIDED]

    assert VERDICT == watcher.run_decided(RUN["run_id"], 30)["verdict"]


def test_the_new_release_is_waited_for(watcher: Watcher, backstage: Backstage) -> None:
    backstage.releases = [OLD, OLD, NEW]
    watcher.serves(NEW, 30)

    assert [NEW] == backstage.releases


def test_what_does_not_happen_in_time_is_named(watcher: Watcher, backstage: Backstage) -> None:
    backstage.run = [RUN | {"state": "running", "verdict": None}]

    with pytest.raises(StepMissing, match="50 corrections count, but no run has started within 0 s"):
        watcher.run_started(0.2, 50)
    with pytest.raises(StepMissing, match=f"run {RUN['run_id']} has not ended within 0 s"):
        watcher.run_decided(str(RUN["run_id"]), 0.2)
    with pytest.raises(StepMissing, match=f"{NEW} was promoted, but does not answer within 0 s"):
        watcher.serves(NEW, 0.2)


def test_a_run_that_failed_is_told_with_its_reason(watcher: Watcher, backstage: Backstage) -> None:
    backstage.run = [RUN | {"state": "failed", "verdict": None, "reason": "step 'train_text' failed"}]
    with pytest.raises(StepMissing, match="has failed without a verdict: step 'train_text' failed"):
        watcher.run_decided(str(RUN["run_id"]), 30)


def test_services_that_end_are_not_waited_for(backstage: Backstage) -> None:
    with served(backstage.app()) as url, subprocess.Popen(["true"]) as process:
        process.wait()
        with pytest.raises(StepMissing, match="the services ended"):
            Watcher(url, Person("ada", "admin", "p"), Serving(process)).run_started(600, 50)


def test_only_a_demonstration_is_made_room_of(tmp_path: Path) -> None:
    fresh(tmp_path / "demo")
    (tmp_path / "demo" / "old").touch()
    fresh(tmp_path / "demo")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.tex").touch()

    with pytest.raises(StepMissing, match="theirs' holds something that is not a demonstration"):
        fresh(tmp_path / "theirs")
    assert ["demo", "logs"] == sorted(path.name for path in (tmp_path / "demo").iterdir())
    assert (tmp_path / "theirs" / "thesis.tex").exists()


def test_nothing_leads_out_of_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ELSEWHERE:
        monkeypatch.setenv(name, "elsewhere")
    monkeypatch.setenv("STATE_DIR", "theirs")
    settings = Settings(demo_dir=tmp_path / "demo")
    fresh(settings.demo_dir)
    (tmp_path / "probe.py").write_text(
        "import os\nprint(*sorted(f'{k}={v}' for k, v in os.environ.items()), sep='\\n')"
    )
    commands = Commands(settings.demo_dir, settings.environment(18080) | {"PYTHONPATH": str(tmp_path)})
    commands.call("probe", "probe")
    told = dict(line.split("=", 1) for line in (settings.demo_dir / "logs/probe.log").read_text().splitlines())

    assert set() == set(ELSEWHERE) & set(told)
    assert (str(tmp_path / "demo/state"), str(tmp_path / "demo/data")) == (told["STATE_DIR"], told["DATA_DIR"])


def test_a_command_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    fresh(tmp_path / "demo")
    (tmp_path / "fails.py").write_text("import sys\nprint('first', 'last words', sep='\\n')\nsys.exit(3)")
    with pytest.raises(StepMissing, match=r"`python -m fails now` ended with status 3:\nfirst\nlast words"):
        Commands(tmp_path / "demo", {"PYTHONPATH": str(tmp_path)}).call("fails", "fails", "now")


def replay(half: str, release: str, right: int, sent: Sent | None = None) -> Simulation:
    """Ten products of which so many are answered right."""
    products = [Product(number, f"Chemise {number}", "", "", CODES[0], "", half) for number in range(10)]
    outcomes = [
        Outcome(product, number, number, number + 0.02, Answer(CODES[0 if number < right else 1], release=release))
        for number, product in enumerate(products)
    ]
    return Simulation("s", {}, 10, 1.0, outcomes, sent)


SENT = Sent(wanted=60, corrections=90, approvals=30, products={str(number) for number in range(60)})


def test_the_tables_say_what_happened() -> None:
    found = Found(
        replay("a", OLD, 5),
        replay("b", OLD, 5, SENT),
        replay("a", NEW, 10),
        [DECIDED],
        frozenset({8, 9}),
        {"train": 60.4, "replay": 9.6},
    )
    quality, loop = results.quality(found), dict(results.loop(found))

    f1 = f"{2 * 5 / (5 + 10):.3f}"
    assert ("weighted F1, all (10 products)", f1, "1.000") in quality
    assert ("weighted F1, new season (2 products)", "0.000", "1.000") in quality
    assert ("release", OLD, NEW) in quality
    assert ("latency p50 / p99 (ms)", "20 / 20", "20 / 20") in quality
    assert ("90 / 30", "60", "50", "1 (cause: threshold)") == tuple(loop.values())[:4]
    assert ("promoted", "0.9 is better than 0.8", "train 60, replay 10", "70") == tuple(loop.values())[4:]
    assert "| release | " in results.to_markdown(("", "before", "after"), quality)


class Scripted:
    """A watcher that has seen it all."""

    def __init__(self, *runs: dict[str, Any]) -> None:
        self._runs = list(runs)

    def run_started(self, _within_s: float, _counted: int) -> dict[str, Any]:
        return self._runs[0]

    def run_decided(self, _run_id: str, _within_s: float) -> dict[str, Any]:
        return self._runs[0]

    def serves(self, _release: str, _within_s: float) -> None:
        """At once."""

    def runs(self) -> list[dict[str, Any]]:
        return self._runs


@pytest.mark.parametrize(
    ("runs", "sent", "step", "said"),
    [
        pytest.param([DECIDED], SENT, "", "", id="everything happens"),
        pytest.param([DECIDED], Sent(), "correct", "0 corrections count, 54 are needed for a run", id="too few count"),
        pytest.param(
            [RUN | {"verdict": VERDICT | {"promoted": False, "reasons": ["F1 fell"]}}],
            SENT,
            "promote",
            f"{OLD} stays in service: F1 fell",
            id="the gate refuses",
        ),
        pytest.param([DECIDED, RUN], SENT, "replay again", "2 runs were started, not exactly one", id="two runs"),
    ],
)
def test_a_step_that_does_not_happen_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: list[dict[str, Any]], sent: Sent, step: str, said: str
) -> None:
    monkeypatch.setattr(module, "simulate", lambda settings, _: replay(settings.half, OLD, 5, sent))
    monkeypatch.setattr(module.report, "write", lambda *_: None)
    settings = Settings(demo_dir=tmp_path / "demo")
    make_sample(settings.data / "raw", 30, seed=1)
    loop = Loop(settings, Console(file=io.StringIO()))
    if not said:
        assert runs == loop.retrain(Scripted(*runs)).runs  # type: ignore[arg-type]
        assert PHASES == list(loop.seconds)
        return
    with pytest.raises(StepMissing, match=said):
        loop.retrain(Scripted(*runs))  # type: ignore[arg-type]
    assert step == loop.step


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"PRODUCTS": "5"}, "error: PRODUCTS='5': "),
        ({"DEMO_DIR": str(Path(__file__).parent)}, "error: step 'prepare' did not happen: "),
    ],
)
def test_what_cannot_be_begun_ends_with_one_line_and_status_1(
    variables: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert 1 == main()
    error = capsys.readouterr().err
    assert (True, 1) == (error.startswith(said), error.count("\n"))

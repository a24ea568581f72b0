import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from pipelines.kubeflow.kfp_launcher import KfpLauncher
from pipelines.retrain.launchers import LocalLauncher
from pipelines.retrain.service import Loop, Settings, create_app, make_launcher
from pipelines.settings import Settings as PipelineSettings
from product_classifier.errors import LauncherUnavailable, LaunchRefused
from product_classifier.retraining import RunStore
from product_classifier.retraining.launcher import Execution
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.retraining.trigger import Trigger
from tests.support.fake_kfp import FakeKfp, fake_kfp
from tests.support.fakes import FakeStore
from tests.support.retraining_fakes import FakeClock, FakeLauncher, correct

RUN, SNAPSHOT = "retrain-000001-0123456789ab", "0" * 64
TOKEN = "t" * 40
IR = """
components: {}
deploymentSpec: {executors: {}}
pipelineInfo: {name: training}
root:
  dag: {tasks: {}}
  inputDefinitions:
    parameters:
      run_id: {parameterType: STRING}
      snapshot: {parameterType: STRING}
schemaVersion: 2.1.0
sdkVersion: kfp-2.17.0
"""


def shell(script: str) -> Callable[[str, str], list[str]]:
    return lambda run_id, snapshot: ["/bin/sh", "-c", script, run_id, snapshot]


def until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def launched(tmp_path: Path) -> Iterator[Callable[[str], LocalLauncher]]:
    made: list[LocalLauncher] = []

    def launch(script: str) -> LocalLauncher:
        made.append(LocalLauncher(tmp_path / "runs", shell(script)))
        return made[-1]

    yield launch
    for launcher in made:
        launcher.stop_all()


def test_a_run_that_nobody_started_is_not_found(launched: Callable[[str], LocalLauncher]) -> None:
    assert launched("true").find(RUN) is None


@pytest.mark.parametrize(("script", "expected"), [("true", Execution.SUCCEEDED), ("exit 3", Execution.FAILED)])
def test_a_run_ends_as_its_command_does(
    launched: Callable[[str], LocalLauncher], script: str, expected: Execution
) -> None:
    launcher = launched(script)
    launcher.start(RUN, SNAPSHOT)

    assert until(lambda: launcher.find(RUN) is not Execution.ACTIVE)
    assert launcher.find(RUN) is expected


def test_a_run_started_again_and_again_runs_once(launched: Callable[[str], LocalLauncher], tmp_path: Path) -> None:
    launcher = launched(f"echo $0 $1 >> {tmp_path}/ran; sleep 0.2")
    for _ in range(3):
        launcher.start(RUN, SNAPSHOT)

    assert until(lambda: launcher.find(RUN) is Execution.SUCCEEDED)
    launcher.start(RUN, SNAPSHOT)
    assert (tmp_path / "ran").read_text() == f"{RUN} {SNAPSHOT}\n"


def test_a_run_survives_its_trigger_and_is_found_by_the_next(
    launched: Callable[[str], LocalLauncher], tmp_path: Path
) -> None:
    launched("sleep 30").start(RUN, SNAPSHOT)
    other = launched("unused")

    assert other.find(RUN) is Execution.ACTIVE
    other.stop(RUN)
    assert other.find(RUN) is Execution.FAILED


def test_a_run_that_is_killed_with_all_its_processes_has_failed(
    launched: Callable[[str], LocalLauncher], tmp_path: Path
) -> None:
    launcher = launched("sleep 30")
    launcher.start(RUN, SNAPSHOT)
    os.killpg(int((tmp_path / "runs" / RUN / "started").read_text()), signal.SIGKILL)

    assert until(lambda: launcher.find(RUN) is Execution.FAILED)


def test_a_run_whose_keeper_is_killed_is_active_until_its_command_is_gone(
    launched: Callable[[str], LocalLauncher], tmp_path: Path
) -> None:
    launcher = launched(f"touch {tmp_path}/begun; while [ ! -e {tmp_path}/enough ]; do sleep 0.05; done")
    launcher.start(RUN, SNAPSHOT)
    assert until((tmp_path / "begun").exists)
    os.kill(int((tmp_path / "runs" / RUN / "started").read_text()), signal.SIGKILL)
    time.sleep(0.1)
    while_alive = launcher.find(RUN)
    (tmp_path / "enough").touch()

    assert while_alive is Execution.ACTIVE
    assert until(lambda: launcher.find(RUN) is Execution.FAILED)


def test_a_command_that_does_not_exist_has_failed(tmp_path: Path) -> None:
    launcher = LocalLauncher(tmp_path / "runs", lambda *_: ["/no/such/program"])
    launcher.start(RUN, SNAPSHOT)

    assert until(lambda: launcher.find(RUN) is Execution.FAILED)


def test_a_folder_that_cannot_be_written_means_that_nothing_is_known(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")

    with pytest.raises(LauncherUnavailable, match=RUN):
        LocalLauncher(tmp_path / "runs").start(RUN, SNAPSHOT)


@pytest.fixture
def api() -> Iterator[FakeKfp]:
    with fake_kfp() as api:
        yield api


@pytest.fixture
def owners() -> dict[str, str]:
    return {}


@pytest.fixture
def on_kfp(api: FakeKfp, owners: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KfpLauncher:
    import kfp

    monkeypatch.setenv("HOME", str(tmp_path))
    package = tmp_path / "training.yaml"
    package.write_text(IR)
    with pytest.warns(FutureWarning, match="only works with"):
        client = kfp.Client(host=api.url, namespace="kubeflow")
    return KfpLauncher(
        lambda: client, package, "retraining", lambda run, snap: {"run_id": run, "snapshot": snap}, owners.get
    )


def test_a_run_on_kubeflow_has_its_name_and_its_arguments(api: FakeKfp, on_kfp: KfpLauncher) -> None:
    on_kfp.start(RUN, SNAPSHOT)

    assert [run["display_name"] for run in api.runs] == [RUN]
    assert api.runs[0]["parameters"] == {"run_id": RUN, "snapshot": SNAPSHOT}
    assert on_kfp.find(RUN) is Execution.ACTIVE


@pytest.mark.parametrize(
    ("states", "owner", "expected"),
    [
        ([], None, None),
        (["PENDING"], None, Execution.ACTIVE),
        (["RUNNING"], None, Execution.ACTIVE),
        (["PAUSED"], None, Execution.ACTIVE),
        (["CANCELING"], None, Execution.ACTIVE),
        (["RUNTIME_STATE_UNSPECIFIED"], None, Execution.ACTIVE),
        (["SUCCEEDED"], None, Execution.SUCCEEDED),
        (["FAILED"], None, Execution.FAILED),
        (["CANCELED"], None, Execution.FAILED),
        (["SKIPPED"], None, Execution.FAILED),
        (["SUCCEEDED", "RUNNING"], None, Execution.ACTIVE),
        (["SUCCEEDED", "RUNNING"], "run-0", Execution.SUCCEEDED),
        (["RUNNING", "SUCCEEDED"], "run-0", Execution.ACTIVE),
        (["SUCCEEDED"], "run-of-yesterday", None),
    ],
)
def test_how_far_a_run_on_kubeflow_is(
    api: FakeKfp,
    on_kfp: KfpLauncher,
    owners: dict[str, str],
    states: list[str],
    owner: str | None,
    expected: Execution | None,
) -> None:
    for state in states:
        on_kfp.start(RUN, SNAPSHOT)
        api.runs[-1]["state"] = state
    owners |= {RUN: owner} if owner else {}

    assert on_kfp.find(RUN) is expected


def test_a_run_of_another_name_is_not_ours(api: FakeKfp, on_kfp: KfpLauncher) -> None:
    on_kfp.start("retrain-000002-0123456789ab", SNAPSHOT)

    assert on_kfp.find(RUN) is None


def test_a_lost_reply_says_that_nothing_is_known_and_the_run_is_found(api: FakeKfp, on_kfp: KfpLauncher) -> None:
    api.lose = 1
    with pytest.raises(LauncherUnavailable):
        on_kfp.start(RUN, SNAPSHOT)

    assert on_kfp.find(RUN) is Execution.ACTIVE
    assert len(api.runs) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 409, 429, 500, 502, 503])
def test_an_api_that_does_not_do_its_work_says_nothing_about_the_run(
    api: FakeKfp, on_kfp: KfpLauncher, status: int
) -> None:
    api.fail = status
    with pytest.raises(LauncherUnavailable, match=str(status)):
        on_kfp.start(RUN, SNAPSHOT)
    with pytest.raises(LauncherUnavailable, match=str(status)):
        on_kfp.find(RUN)


def test_an_api_that_is_not_there_is_away(tmp_path: Path, on_kfp: KfpLauncher) -> None:
    on_kfp._client()._run_api.api_client.configuration.host = "http://127.0.0.1:1"

    with pytest.raises(LauncherUnavailable):
        on_kfp.find(RUN)


def test_arguments_the_pipeline_does_not_have_are_refused_for_good(api: FakeKfp, on_kfp: KfpLauncher) -> None:
    on_kfp._arguments = lambda run_id, snapshot: {"season": "winter"}

    with pytest.raises(LaunchRefused, match="season"):
        on_kfp.start(RUN, SNAPSHOT)


def test_the_trigger_gives_a_run_on_kubeflow_all_that_the_training_asks_for(
    api: FakeKfp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    pipeline = PipelineSettings.model_validate(
        {"KF_PIPELINES_ENDPOINT": api.url, "STORE_URL": "s3://products", "ROLLOUT_URL": "kserve://products"}
    )
    settings = Settings.model_validate({"launcher": "kfp", "package": tmp_path / "training.yaml"})

    with pytest.warns(FutureWarning, match="only works with"):
        make_launcher(settings, pipeline, FakeStore()).start(RUN, SNAPSHOT)

    (run,) = api.runs
    expected = (RUN, SNAPSHOT, "s3://products/raw", "s3://products", "kserve://products")
    assert expected == tuple(run["parameters"][name] for name in ("run_id", "snapshot", "raw", "store", "rollout"))


def test_a_run_on_kubeflow_is_stopped(api: FakeKfp, on_kfp: KfpLauncher) -> None:
    on_kfp.start(RUN, SNAPSHOT)
    on_kfp.stop(RUN)
    on_kfp.stop(RUN)

    assert api.runs[0]["state"] == "CANCELING"


def make_loop(store: FakeStore, launcher: FakeLauncher) -> tuple[Loop, Trigger]:
    settings = RetrainSettings.model_validate({"min_corrections": 1})
    trigger = Trigger(store, launcher, settings, launcher.clock)
    return Loop(trigger, poll_s=600, busy_poll_s=600), trigger


@pytest.mark.parametrize(
    ("path", "headers", "body", "status"),
    [
        ("/wake", {}, b"", 401),
        ("/wake", {"X-Internal-Token": "no"}, b"", 401),
        ("/wake", {"X-Internal-Token": TOKEN}, b"", 202),
        ("/events", {"Authorization": "Bearer no"}, b"{}", 401),
        ("/events", {"Authorization": f"Bearer {TOKEN}"}, b"{}", 202),
        ("/events", {"Authorization": f"Bearer {TOKEN}"}, b"{", 400),
        ("/events", {"Authorization": f"Bearer {TOKEN}"}, b"[]", 400),
        ("/events", {"Authorization": f"Bearer {TOKEN}"}, b" " * 2_000_000, 413),
    ],
)
def test_who_may_wake_the_trigger(path: str, headers: dict[str, str], body: bytes, status: int) -> None:
    store = FakeStore()
    loop, trigger = make_loop(store, FakeLauncher(store, FakeClock()))
    client = TestClient(create_app(loop, trigger, TOKEN))

    assert client.post(path, headers=headers, content=body).status_code == status


def test_a_waken_trigger_looks_at_once_and_the_run_starts() -> None:
    import threading

    store = FakeStore()
    launcher = FakeLauncher(store, FakeClock())
    loop, trigger = make_loop(store, launcher)
    client = TestClient(create_app(loop, trigger, TOKEN))
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        assert until(lambda: loop.steps["waiting"] == 1)
        key = correct(store, 1).key
        event = {"EventName": "s3:ObjectCreated:Put", "Key": f"product-classifier/{key}", "Records": [
            {"eventName": "s3:ObjectCreated:Put", "s3": {"object": {"key": key.replace("=", "%3D")}}}
        ]}  # fmt: skip
        client.post("/events", json=event, headers={"Authorization": f"Bearer {TOKEN}"})

        assert until(lambda: len(launcher.runs) == 1)
        assert client.get("/healthz").status_code == 200
        assert 'retrain_steps_total{step="started"} 1' in client.get("/metrics").text
    finally:
        loop.close()
        thread.join()


def test_a_store_that_is_away_does_not_end_the_loop() -> None:
    store = FakeStore()
    loop, _ = make_loop(store, FakeLauncher(store, FakeClock()))
    store.away = True
    loop.look()
    store.away = False
    loop.look()

    assert loop.steps == {"error": 1, "waiting": 1}


def test_looking_once_starts_the_run_it_has_claimed() -> None:
    store = FakeStore()
    launcher = FakeLauncher(store, FakeClock())
    loop, _ = make_loop(store, launcher)
    correct(store, 1)

    loop.look_while_due()

    assert {"claimed": 1, "started": 1} == loop.steps


def test_the_process_looks_once_and_says_how_it_went(tmp_path: Path) -> None:
    environment = {"STATE_DIR": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.retrain", "--once"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, "step=waiting" in done.stderr) == (0, True)
    assert list(RunStore(FakeStore()).results()) == []

import tempfile
from pathlib import Path

import pytest

from pipelines.compile import compile_look
from pipelines.kubeflow.schedule import look_arguments, schedule
from pipelines.parameters import ParameterError
from pipelines.retrain.reconcile import look
from pipelines.settings import Settings
from product_classifier.errors import LaunchRefused
from product_classifier.retraining.settings import RetrainSettings
from tests.support.fake_kfp_client import FakeClient

EVERY_HOUR, EVERY_NIGHT = "0 0 * * * *", "0 0 3 * * *"
PLACE = Settings.model_validate({"STORE_URL": "s3://products", "ROLLOUT_URL": "kserve://products"})


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_look(tmp_path_factory.mktemp("package") / "look.yaml")


def test_of_two_schedules_the_newer_takes_the_place_of_the_older(package: Path) -> None:
    client, arguments = FakeClient(), look_arguments(PLACE, RetrainSettings())
    client.recurring.append({"id": "of-somebody", "name": "nightly-report"})

    schedule(client, package, arguments, EVERY_HOUR, "products")
    newer = schedule(client, package, arguments, EVERY_NIGHT, "products")

    other, ours = client.recurring
    assert ("of-somebody", newer, EVERY_NIGHT) == (other["id"], ours["id"], ours["cron_expression"])
    assert (1, True) == (ours["max_concurrency"], ours["no_catchup"])


def test_a_look_is_told_what_the_process_of_the_trigger_reads(package: Path) -> None:
    client = FakeClient()
    retraining = RetrainSettings.model_validate({"min_corrections": 5, "RETRAIN_COOLDOWN": 60})

    schedule(client, package, look_arguments(PLACE, retraining), EVERY_HOUR, "products")

    given = client.recurring[0]["params"]
    expected = ("s3://products", "s3://products/raw", "kserve://products", 5, 60.0)
    assert expected == tuple(given[name] for name in ("store", "raw", "rollout", "min_corrections", "cooldown_s"))


def test_a_look_is_the_trigger_itself_though_it_is_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("_KFP_RUNTIME", "true")
    (tmp_path / "training.yaml").touch()  # it is compiled where it is missing, which takes a while
    nowhere = Settings.model_validate(
        {"STORE_URL": (tmp_path / "store").as_uri(), "KF_PIPELINES_ENDPOINT": "http://[::1]:1"}
    )
    (tmp_path / "store").mkdir()

    look.python_func(**look_arguments(nowhere, RetrainSettings()))

    assert "step=waiting" in capfd.readouterr().err


def test_times_the_api_refuses_are_named_in_one_line_and_leave_the_schedule_before(package: Path) -> None:
    client, arguments = FakeClient(), look_arguments(PLACE, RetrainSettings())
    schedule(client, package, arguments, EVERY_HOUR, "products")

    with pytest.raises(LaunchRefused, match=r"schedule 'every day': .* 400 Bad Request: Expected 5 to 6 fields"):
        schedule(client, package, arguments, "every day", "products")

    assert [EVERY_HOUR] == [one["cron_expression"] for one in client.recurring]


def test_an_unknown_parameter_schedules_nothing(package: Path) -> None:
    client = FakeClient()

    with pytest.raises(ParameterError, match="season"):
        schedule(client, package, {"season": "winter"}, EVERY_HOUR, "products")

    assert [] == client.recurring

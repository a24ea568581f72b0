from pathlib import Path

import pytest

from pipelines.kubeflow.schedule import create_schedule, reconcile_arguments
from pipelines.parameters import ParameterError
from pipelines.retrain.reconcile import compile_reconcile
from pipelines.settings import PipelineSettings
from product_classifier.errors import LaunchRefused
from product_classifier.retraining.settings import RetrainSettings
from tests.support.fake_kfp_client import FakeClient

EVERY_HOUR, EVERY_NIGHT = "0 0 * * * *", "0 0 3 * * *"
SETTINGS = PipelineSettings.model_validate({"STORE_URL": "s3://products", "ROLLOUT_URL": "kserve://products"})


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_reconcile(tmp_path_factory.mktemp("package") / "reconcile.yaml")


@pytest.mark.parametrize("name", ["product-classifier-reconcile", "product-classifier-look"])
def test_a_new_schedule_replaces_the_one_before_also_of_the_version_before(package: Path, name: str) -> None:
    client, arguments = FakeClient(), reconcile_arguments(SETTINGS, RetrainSettings())
    client.recurring += [{"id": "other", "name": "nightly-report"}, {"id": "before", "name": name}]

    new = create_schedule(client, package, arguments, EVERY_NIGHT, "products")

    other, created = client.recurring
    assert ("other", new, EVERY_NIGHT) == (other["id"], created["id"], created["cron_expression"])
    assert (1, True) == (created["max_concurrency"], created["no_catchup"])


def test_a_reconciliation_has_the_settings_of_the_trigger(package: Path) -> None:
    client = FakeClient()
    retraining = RetrainSettings.model_validate({"min_corrections": 5, "RETRAIN_COOLDOWN": 60})

    create_schedule(client, package, reconcile_arguments(SETTINGS, retraining), EVERY_HOUR, "products")

    params = client.recurring[0]["params"]
    expected = ("s3://products", "s3://products/raw", "kserve://products", 5, 60.0)
    assert expected == tuple(params[name] for name in ("store", "raw", "rollout", "min_corrections", "cooldown_s"))


def test_a_schedule_that_the_api_refuses_is_reported_and_leaves_the_one_before(package: Path) -> None:
    client, arguments = FakeClient(), reconcile_arguments(SETTINGS, RetrainSettings())
    create_schedule(client, package, arguments, EVERY_HOUR, "products")

    with pytest.raises(LaunchRefused, match=r"schedule 'every day': .* 400 Bad Request: Expected 5 to 6 fields"):
        create_schedule(client, package, arguments, "every day", "products")

    assert [EVERY_HOUR] == [one["cron_expression"] for one in client.recurring]


def test_an_unknown_parameter_creates_no_schedule(package: Path) -> None:
    client = FakeClient()

    with pytest.raises(ParameterError, match="season"):
        create_schedule(client, package, {"season": "winter"}, EVERY_HOUR, "products")

    assert [] == client.recurring

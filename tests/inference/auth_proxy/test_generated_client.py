"""A typed client generated from the OpenAPI document, used against the gateway with real services."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from product_classifier.catalogue.challenge import CHALLENGE
from tests.inference.auth_proxy.conftest import PASSWORD, Gateway

pytestmark = pytest.mark.slow

FILES = ("text/csv", "application/x-ndjson", "application/zip", "image/jpeg", "image/png", "image/webp", "image/avif")
"""Media types that the generator does not know; their bodies are bytes."""
PACKAGE = "generated_gateway_client"


@pytest.fixture(scope="module")
def package(whole_gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a package that openapi-python-client generated without a warning."""
    folder = tmp_path_factory.mktemp("client")
    with whole_gateway.client(None) as client:
        (folder / "openapi.json").write_text(client.get("/openapi.json").text, encoding="utf-8")
    overrides = "".join(f"  {kind}: application/octet-stream\n" for kind in FILES)
    config = f"post_hooks: []\ncontent_type_overrides:\n{overrides}"
    (folder / "config.yaml").write_text(config, encoding="utf-8")
    command = [Path(sys.executable).with_name("openapi-python-client"), "generate", "--path", "openapi.json"]
    options = ["--meta", "none", "--output-path", PACKAGE, "--config", "config.yaml", "--fail-on-warning"]
    done = subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "arning" not in done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield PACKAGE
    sys.path.remove(str(folder))


def operation(package: str, name: str) -> ModuleType:
    """Return the generated module of an operation, whatever its tag."""
    (path,) = Path(str(importlib.import_module(f"{package}.api").__file__)).parent.glob(f"*/{name}.py")
    return importlib.import_module(f"{package}.api.{path.parent.name}.{name}")


@pytest.fixture
def api(package: str, whole_gateway: Gateway) -> Any:
    """Call operations by name as a user: `api("predict", "ursula", body=…)`."""
    client_type = importlib.import_module(package).AuthenticatedClient

    def call(name: str, user: str, *arguments: object, **keywords: object) -> Any:
        client = client_type(base_url=whole_gateway.url, token=whole_gateway.token(user))
        return operation(package, name).sync(*arguments, client=client, **keywords)

    return call


def test_a_token_is_issued(package: str, whole_gateway: Gateway) -> None:
    client = importlib.import_module(package).Client(base_url=whole_gateway.url)
    form = importlib.import_module(f"{package}.models").TokenRequest(username="ursula", password=PASSWORD)

    token = operation(package, "issue_token").sync(client=client, body=form)

    assert ("bearer", True) == (token.token_type.lower(), token.expires_in > 0)


def test_a_prediction_is_corrected_listed_and_approved(api: Any, package: str) -> None:
    models = importlib.import_module(f"{package}.models")
    prediction = api("predict", "ursula", body=models.PredictInput(designation="Piscine gonflable"))
    assert isinstance(prediction, models.PredictionView), prediction
    code = next(code for code in map(int, CHALLENGE.codes) if code != prediction.category.code)
    receipt = api(
        "give_feedback",
        "ursula",
        body=models.PredictionFeedback.from_dict({"prediction_id": prediction.prediction_id, "code": code}),
        idempotency_key="generated-client",
    )
    pending = api("list_feedback", "remy", state=models.CorrectionViewState.PENDING, limit=10)
    uncertain = api("list_feedback", "remy", order=models.ListFeedbackOrder.UNCERTAIN, limit=10)
    view = api("approve_feedback", "remy", receipt.feedback_id, body=models.ReviewRequest(comment="sure"))

    assert 5 == len(prediction.top)
    assert prediction.modalities.image is None
    assert (receipt.feedback_id, code, prediction.category.code) == (
        pending.items[0].feedback_id,
        pending.items[0].code,
        pending.items[0].predicted,
    )
    assert (models.CorrectionViewState.APPROVED, True, "remy") == (view.state, view.counts, view.reviewer)
    assert (prediction.confidence, receipt.feedback_id) == (
        pytest.approx(uncertain.items[0].confidence),
        uncertain.items[0].feedback_id,
    )
    runs = api("list_runs", "ada", limit=5)
    assert (1, [], None) == (runs.progress.corrections, runs.items, runs.next_cursor)


def test_a_refusal_is_a_typed_problem(api: Any, package: str) -> None:
    models = importlib.import_module(f"{package}.models")
    unknown = {"prediction_id": "019ab0f2-7d1e-7c3a-9d55-0c8f6a4be111", "code": int(CHALLENGE.codes[0])}

    problem = api("give_feedback", "ursula", body=models.PredictionFeedback.from_dict(unknown))
    forbidden = api("list_runs", "ursula")

    assert (models.ProblemView, 404) == (type(problem), problem.status)
    assert (models.ProblemView, 403) == (type(forbidden), forbidden.status)


def test_models_respond_over_the_inference_protocols(api: Any, package: str) -> None:
    models = importlib.import_module(f"{package}.models")
    tensor = {"name": "designation", "shape": [1], "datatype": "BYTES", "data": ["Piscine gonflable"]}

    response = api("infer", "ursula", "text-predictor", body=models.V2InferRequest.from_dict({"inputs": [tensor]}))
    metadata = api("get_model_metadata", "ursula", "text-predictor")

    assert [1, len(CHALLENGE.codes)] == response.outputs[0].shape
    assert "text-predictor" == metadata.name

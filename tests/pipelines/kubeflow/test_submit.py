from pathlib import Path

import pytest
from kfp import compiler

from pipelines.kubeflow.submit import PIPELINE, RunFailed, connect, submit_run, wait_for_run
from pipelines.parameters import ParameterError
from product_classifier.errors import LauncherUnavailable
from tests.support.fake_kfp import fake_kfp
from tests.support.fake_kfp_client import FakeClient
from tests.support.small_pipeline import small

pytestmark = pytest.mark.filterwarnings("ignore:This client only works")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "small.yaml"
    compiler.Compiler().compile(small, str(path))
    return path


def test_a_run_is_started_with_its_arguments(package: Path) -> None:
    client = FakeClient()

    assert "run-1" == submit_run(client, package, {"label": "x", "share": 1}, "nightly", "products")
    (run,) = client.runs
    assert ("products", "nightly", {"label": "x", "share": 1.0}) == (run["experiment"], run["name"], run["params"])


def test_a_pipeline_is_uploaded_once_per_content(package: Path, tmp_path: Path) -> None:
    client = FakeClient()
    changed = tmp_path / "changed.yaml"
    changed.write_text(package.read_text() + "\n")

    for one in (package, package, changed):
        submit_run(client, one, {"label": "x"}, "nightly", "products")

    _, first, second = client.versions[PIPELINE]
    assert [f"id of {first}", f"id of {first}", f"id of {second}"] == [run["version_id"] for run in client.runs]


def test_an_unknown_parameter_starts_nothing(package: Path) -> None:
    client = FakeClient()

    with pytest.raises(ParameterError, match="lable"):
        submit_run(client, package, {"lable": "x"}, "nightly", "products")

    assert [] == client.runs


@pytest.mark.parametrize(("state", "fails"), [("SUCCEEDED", False), ("FAILED", True), ("CANCELED", True)])
def test_waiting_raises_unless_the_run_succeeds(state: str, fails: bool) -> None:
    client = FakeClient(ends_as=state)
    if not fails:
        wait_for_run(client, "run-1", 1)
        return

    with pytest.raises(RunFailed, match=f"run-1 ended as {state}"):
        wait_for_run(client, "run-1", 1)


def test_a_run_that_exceeds_the_timeout_is_reported() -> None:
    client = FakeClient(ends_as="")

    with pytest.raises(RunFailed, match="run-1 has not ended after 1 s"):
        wait_for_run(client, "run-1", 1)


def test_an_unreachable_api_is_reported_with_its_url() -> None:
    with pytest.raises(LauncherUnavailable, match=r"127\.0\.0\.1:1"):
        connect("http://127.0.0.1:1", "kubeflow")


def test_a_projected_token_is_read_for_every_request(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first")
    with fake_kfp() as api:
        client = connect(api.url, "profile", token)
        client.list_runs()
        token.write_text("second")
        client.list_runs()

    assert ["Bearer first", "Bearer second"] == api.tokens


def test_without_a_token_none_is_sent(tmp_path: Path) -> None:
    with fake_kfp() as api:
        connect(api.url, "profile", tmp_path / "none").list_runs()

    assert [""] == api.tokens


@pytest.mark.parametrize("content", ['{"namespace": "other", "client_authentication_cookie": "x"}', "", "[1]"])
def test_a_context_file_of_another_user_of_kfp_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    file = tmp_path / "context.json"
    file.write_text(content)
    monkeypatch.setattr("kfp.Client._LOCAL_KFP_CONTEXT", str(file))
    with fake_kfp() as api:
        connected = connect(api.url, "kubeflow"), connect(api.url, "profile")

    assert ["", "profile"] == [client.get_user_namespace() for client in connected]
    assert content == file.read_text()


@pytest.mark.parametrize(("given", "named"), [("team", "team"), ("kubeflow", "")])
def test_every_request_names_the_namespace_of_a_profile(given: str, named: str) -> None:
    """A single-user API, in the namespace `kubeflow`, refuses requests with one."""
    with fake_kfp() as api:
        client = connect(api.url, given)
        client.create_experiment("product-classifier")
        client.list_runs(page_size=10)

    assert 3 == len(api.namespaces)
    assert {named} == set(api.namespaces)


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_a_refusal_of_the_health_route_is_reported_after_one_request(status: int) -> None:
    with fake_kfp() as api:
        api.fail, api.failure = status, {"message": "no such account"}
        with pytest.raises(LauncherUnavailable, match=f"the pipeline API responded {status} .*: no such account"):
            connect(api.url, "kubeflow")

    assert [""] == api.tokens


@pytest.mark.parametrize(
    ("status", "body", "reported"),
    [
        (403, {"error": "injected failure"}, r"responded 403 Forbidden: injected failure; give the account access"),
        (404, {"message": 'namespaces "nowhere" not found'}, r'404 Not Found: namespaces "nowhere" not found; check'),
        (500, {"message": "database is locked"}, r"500 Internal Server Error: database is locked"),
        (503, {}, r"503 Service Unavailable: \{\}"),
    ],
)
def test_a_refusal_of_the_api_is_reported_with_its_reason(
    package: Path, status: int, body: dict[str, str], reported: str
) -> None:
    with fake_kfp() as api:
        client = connect(api.url, "nowhere")
        api.fail, api.failure = status, body
        with pytest.raises(LauncherUnavailable, match=reported):
            submit_run(client, package, {"label": "x"}, "nightly", "products")

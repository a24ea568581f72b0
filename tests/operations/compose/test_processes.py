"""The services of docker/compose.yaml start in its order, as processes, and answer together."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from operations.compose.state_folder import prepare
from tests.support.compose_processes import ComposeProcesses, is_one_shot
from tests.support.tiny_release import make_release

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("compose")]


@pytest.fixture(scope="module")
def compose() -> Iterator[ComposeProcesses]:
    """All services of the default profile on a release with random weights."""
    folder = Path(tempfile.mkdtemp(prefix="compose-"))
    folder.chmod(0o711)  # PostgreSQL refuses to run as root, so it runs as another user
    state = folder / "state"
    environment = prepare(state, {"COMPOSE_PROFILES": "minio", "TAG": "dev"})
    state.chmod(0o711)
    release = make_release(state / "releases", 1)
    (state / "releases" / "champion").write_text(f"{release.id}\n")
    variables = dict(line.split("=", 1) for line in environment.read_text(encoding="utf-8").splitlines())
    found = ComposeProcesses(variables)
    try:
        found.up()
        yield found
    finally:
        found.down()
        shutil.rmtree(folder, ignore_errors=True)


def test_every_service_is_healthy_or_done(compose: ComposeProcesses) -> None:
    for name, service in compose.services.items():
        assert is_one_shot(service) or compose.is_healthy(name), compose.log(name)
    assert "nothing to do" in compose.log("bootstrap")


def test_a_prediction_and_its_correction_pass_through_the_services(compose: ComposeProcesses) -> None:
    accounts = httpx.Response(200, text=(compose.state / "secrets" / "accounts.json").read_text()).json()
    form = {"username": "demo-reviewer", "password": accounts["demo-reviewer"]["password"]}
    with httpx.Client(base_url=f"http://{compose.addresses['auth-proxy']}:8080", timeout=30) as client:
        token = client.post("/token", data=form).raise_for_status().json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        predicted = client.post("/predict", json={"designation": "Livre"}).raise_for_status().json()
        correction = {"prediction_id": predicted["prediction_id"], "code": predicted["category"]["code"]}
        answer = client.post("/feedback", json=correction, headers={"Idempotency-Key": "compose"})

        assert False is predicted["degraded"]
        assert 201 == answer.status_code, answer.text
        assert 1 == len(client.get("/feedback").raise_for_status().json()["items"])

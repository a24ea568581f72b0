"""Behind a real nginx that removes a path, with the block of docs/ingress-path.md, all URLs work."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from pydantic import SecretStr

from inference.feedback_service.app import create_app as create_feedback_app
from inference.feedback_service.settings import Settings as FeedbackSettings
from product_classifier.store.journal import Journal
from tests.inference.auth_proxy.conftest import INTERNAL, PASSWORD, Gateway, start
from tests.support.fake_models import served
from tests.support.fakes import FakeStore
from tests.support.servers import free_port, wait_until_up

PREFIX = "/shop/classifier"
PAGE = Path(__file__).parents[3] / "docs" / "ingress-path.md"


@pytest.fixture(scope="module")
def gateway_under_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with a real feedback service, which makes the URLs of runs."""
    store = FakeStore()
    journal = Journal(tmp_path_factory.mktemp("journal"), max_bytes=1 << 20)
    feedback = create_feedback_app(store, journal, FeedbackSettings(internal_token=SecretStr(INTERNAL)))
    with served(feedback, lifespan="on") as url:
        state = tmp_path_factory.mktemp("gateway")
        yield from start(state, {"feedback-service": url}, store, root_path=PREFIX)


@pytest.fixture(scope="module")
def nginx(gateway_under_path: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the host that has the gateway under the path."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed; on Debian: apt-get install nginx-light")
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    block = re.search(r"```nginx\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    owner = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"""{owner} daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
        events {{}}
        http {{
            access_log off; {temporary}
            upstream gateway {{ server 127.0.0.1:{gateway_under_path.port}; keepalive 8; }}
            server {{ listen 127.0.0.1:{port}; location = /healthz {{ return 200; }} {block[1]} }}
        }}"""
    )
    process = subprocess.Popen([program, "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"])
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, trust_env=False) as client:
            wait_until_up(client)
        yield url
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def client(nginx: str, gateway_under_path: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=nginx, headers=gateway_under_path.headers("ada"), timeout=20, trust_env=False) as found:
        yield found


@pytest.mark.parametrize("page", ["/", "/docs", "/login"])
def test_every_reference_of_a_page_leads_to_the_gateway(nginx: str, client: httpx.Client, page: str) -> None:
    response = client.get(PREFIX + page)
    references = re.findall(r'(?:href|src)="([^"#{]+)"', response.text)

    assert 200 == response.status_code
    assert references
    for reference in references:
        found = urljoin(str(response.url), reference)
        assert found.startswith(f"{nginx}{PREFIX}/"), reference
        assert 200 == client.get(found).status_code, reference


def test_the_address_without_its_slash_is_redirected(client: httpx.Client) -> None:
    response = client.get(PREFIX)

    assert 301 == response.status_code
    assert response.headers["location"].endswith(f"{PREFIX}/")


def test_the_servers_and_the_token_url_of_openapi_lead_to_the_gateway(client: httpx.Client) -> None:
    response = client.get(f"{PREFIX}/openapi.json")
    document = response.json()
    (server,) = (urljoin(str(response.url), one["url"]) for one in document["servers"])
    token_url = document["components"]["securitySchemes"]["token"]["flows"]["password"]["tokenUrl"]
    form = {"username": "ada", "password": PASSWORD}

    assert 200 == client.get(f"{server}/healthz").status_code
    assert "access_token" in client.post(urljoin(str(response.url), token_url), data=form).json()
    for path, operations in document["paths"].items():
        if "get" in operations and "{" not in path:
            assert 404 != client.get(server + path).status_code, path


def test_a_location_leads_to_the_new_account(client: httpx.Client) -> None:
    created = client.post(f"{PREFIX}/users", json={"name": "grace", "password": PASSWORD})

    assert 201 == created.status_code
    assert 204 == client.delete(urljoin(str(created.url), created.headers["location"])).status_code


def test_the_status_url_of_a_run_leads_to_it(client: httpx.Client) -> None:
    started = client.post(f"{PREFIX}/retrain")

    assert 202 == started.status_code, started.text
    body = started.json()
    assert body["run_id"] == client.get(urljoin(str(started.url), body["status_url"])).json()["run_id"]


def test_bodies_and_problems_pass_unchanged(client: httpx.Client) -> None:
    large = client.post(f"{PREFIX}/predict", content=b"x" * (13 << 20), headers={"Content-Type": "application/json"})

    assert 413 == large.status_code
    assert "application/problem+json" == large.headers["content-type"]
    assert 200 == client.post(f"{PREFIX}/predict", json={"designation": "Livre"}).status_code

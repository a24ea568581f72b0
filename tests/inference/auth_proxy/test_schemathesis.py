"""The gateway does what its OpenAPI document promises, with the real feedback service behind it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from inference.feedback_service.app import create_app
from inference.feedback_service.settings import Settings
from tests.inference.auth_proxy.conftest import INTERNAL, Gateway, start
from tests.support.fake_models import served
from tests.support.fakes import FakeStore

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "5")
"""Per operation, besides those of the coverage phase."""


@pytest.fixture
def gateway_with_feedback(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway whose feedback service is the real one, on the same store."""
    store = FakeStore()
    feedback = create_app(store, None, Settings(internal_token=SecretStr(INTERNAL)))
    with served(feedback, lifespan="on") as url:
        for gateway in start(
            tmp_path,
            {"feedback-service": url},
            store,
            login_limit="100000/minute",
            login_address_limit="100000/minute",
        ):
            gateway.models.strict = True
            yield gateway


@pytest.mark.timeout(1200)
def test_schemathesis_finds_no_difference_between_document_and_gateway(
    gateway_with_feedback: Gateway, tmp_path: Path
) -> None:
    gateway = gateway_with_feedback
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION), "run"),
        *(
            f"{gateway.url}/openapi.json",
            "-H",
            f"Authorization: Bearer {gateway.token('ada')}",
        ),
        *("--max-examples", EXAMPLES, "--seed", "1", "--generation-database", "none", "--no-shrink", "--no-color"),
        "--suppress-health-check=all",
    ]

    environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # for the hooks that the configuration names
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)

    generated = re.search(r"(\d+) generated", run.stdout)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert generated
    assert int(generated[1]) >= 500

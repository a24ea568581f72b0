"""A minimal client of a running gateway."""

import json
import urllib.parse
import urllib.request
from typing import Any

from tests.support.make_run import MakeRun


def predict(run: MakeRun, **product: str) -> dict[str, Any]:
    """Log in as demo-user and classify a product."""
    password = json.loads((run.state_dir / "accounts.json").read_text())["demo-user"]["password"]
    form = urllib.parse.urlencode({"username": "demo-user", "password": password}).encode()
    token = json.load(urllib.request.urlopen(f"{run.url}/token", form))["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{run.url}/predict", json.dumps(product).encode(), headers)
    prediction: dict[str, Any] = json.load(urllib.request.urlopen(request))
    return prediction

"""P21: a reviewer in the browser: time from a key to the next product, over 100 decisions."""

import base64
import json
import shutil
import statistics
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import materials
from benchmarks.machine import ALL, pinned
from benchmarks.outcome import Check, Outcome
from benchmarks.stack import MODEL_SERVICES, running_product

if TYPE_CHECKING:
    from playwright.sync_api import Page

GOAL_MS = 150.0
DECISIONS = 100
SPARE = 10
"""Further corrections, so that there is a next product after the last decision."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SECRET = "benchmark-" * 4
ENVIRONMENT = {
    "AUTH_PROXY_INTERNAL_TOKEN": SECRET,
    "FEEDBACK_INTERNAL_TOKEN": SECRET,
    "FEEDBACK_DAILY_CORRECTIONS": "0",
}
MEASURE = """() => {
  window.measured = [];
  let pressed = 0;
  addEventListener("keydown", (event) => { pressed = event.timeStamp; }, true);
  new MutationObserver((changes) => {
    const isNext = changes.some(({ addedNodes }) => [...addedNodes].some((node) => node.nodeName === "ARTICLE"));
    if (isNext && pressed) {
      const began = pressed;
      pressed = 0;
      requestAnimationFrame(() => setTimeout(() => window.measured.push(performance.now() - began)));
    }
  }).observe(document.getElementById("main"), { childList: true, subtree: true });
}"""
"""Records milliseconds from each key to the frame that has the next product."""


def measure(folder: Path) -> Outcome:
    """Correct products as a user, and review them in Chromium as a reviewer."""
    services = (*MODEL_SERVICES, "feedback-service", "auth-proxy")
    with pinned(ALL), running_product(folder, ALL, ENVIRONMENT, services) as product:
        url = product.servers["auth-proxy"].url
        submit_corrections(url, product.token, DECISIONS + SPARE)
        password = json.loads((folder / "accounts.json").read_text())["demo-reviewer"]["password"]
        times_ms = review(url, "demo-reviewer", password)
    median = statistics.median(times_ms)
    return Outcome(
        ours=f"median {median:.0f} ms, p95 {statistics.quantiles(times_ms, n=20)[-1]:.0f} ms",
        peer="–",
        ratio=None,
        checks=[Check("median from the key to the next product", median, "ms", "≤", GOAL_MS)],
        series={"decision": list(enumerate(times_ms, 1))},
        note="The browser shares the cores with the services.",
    )


def submit_corrections(url: str, token: str, count: int) -> None:
    """Classify products with photos, and give each the category it has."""
    photos = materials.photos(8)
    for number, product in enumerate(materials.products(count)):
        body = {"designation": product.title, "description": product.description}
        body["image"] = base64.b64encode(photos[number % len(photos)]).decode()
        prediction = _post(f"{url}/predict", token, body)
        _post(f"{url}/feedback", token, {"prediction_id": prediction["prediction_id"], "code": product.label})


def review(url: str, name: str, password: str, decisions: int = DECISIONS) -> Sequence[float]:
    """Approve corrections one after the other; return the milliseconds of each decision."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - a development dependency

    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page(locale="en-GB", viewport={"width": 1280, "height": 800})
        page.goto(f"{url}/#/review?order=newest")
        page.fill("[name=username]", name)
        page.fill("[name=password]", password)
        page.keyboard.press("Enter")
        page.wait_for_selector("article product-photo")
        page.evaluate(MEASURE)
        for number in range(decisions):
            page.keyboard.press("Enter")
            _wait(page, number + 1)
        found: list[float] = page.evaluate("() => window.measured")
        browser.close()
    return found


def _wait(page: "Page", count: int) -> None:
    """Wait until `count` products were shown; the pages' CSP forbids `wait_for_function`."""
    for _ in range(500):
        if page.evaluate("() => window.measured.length") >= count:
            return
        page.wait_for_timeout(10)
    raise TimeoutError(f"decision {count}: no next product within 5 s")


def _post(url: str, token: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - the local gateway
    with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310 - the local gateway
        found: dict[str, Any] = json.load(reply)
    return found

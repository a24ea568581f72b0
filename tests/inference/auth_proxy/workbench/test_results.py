"""The pages Batch, Quality and Releases, with the documented examples of their routes as responses."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.inference.auth_proxy.conftest import Gateway
from tests.inference.auth_proxy.workbench.conftest import Workbench

pytestmark = [pytest.mark.browser, pytest.mark.slow]
BATCH = {
    "batch_id": "019ab0f2-7d1e-7c3a-9d55-0c8f6a4be111",
    "file_name": "spring.csv",
    "state": "succeeded",
    "created": "2027-01-31T12:00:00Z",
    "finished": "2027-01-31T12:02:10Z",
    "reason": "",
    "rows": 100_000,
    "classified": 99_999,
    "accepted": 61_204,
    "rejected": 1,
    "problems": [{"line": 17, "field": "designation", "value": "", "reason": "neither text nor photo"}],
    "release": "r-20270131T120000-1a2b3c4d",
    "result_url": "/batches/019ab0f2-7d1e-7c3a-9d55-0c8f6a4be111/result",
}
RESULT = 'id,category,decision\n1,"Livres, BD",accept\n2,Jouets,review\n'


def example(stack: Gateway, path: str) -> Any:
    """Return the documented example of a response."""
    document = httpx.get(f"{stack.url}/openapi.json", trust_env=False).json()
    return document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["example"]


def test_a_batch_shows_rejected_lines_and_its_first_predictions(workbench: Workbench, tmp_path: Path) -> None:
    page = workbench.open("ursula", "queue")
    page.route("**/batches?limit=20", lambda found: found.fulfill(json={"items": [BATCH], "next_cursor": None}))
    page.route("**/batches/*/result", lambda found: found.fulfill(body=RESULT, content_type="text/csv"))
    page.click("nav a:has-text('Batch')")
    page.click("button[aria-label='Show the first predictions of spring.csv']")
    page.wait_for_selector("td:has-text('Livres, BD')")
    page.fill("[type=search]", "review")
    wrong = tmp_path / "photo.txt"
    wrong.write_text("x")
    page.set_input_files("[type=file]", wrong)
    page.click("#upload")

    assert "Only CSV and ZIP files are accepted: photo.txt" == page.inner_text("main [role=alert]")
    assert 0 == page.locator("td:has-text('Livres, BD')").count()
    assert "17" in (page.text_content("details table tbody tr") or "")


def test_quality_is_charts_with_titles_and_tables(workbench: Workbench, stack: Gateway) -> None:
    quality = example(stack, "/quality")
    page = workbench.open("remy", "review")
    page.route("**/quality?*", lambda found: found.fulfill(json=quality))
    page.route("**/quality", lambda found: found.fulfill(json=quality))
    page.click("nav a:has-text('Quality')")
    page.wait_for_selector("figure svg[role=img]")

    titles = page.locator("figure svg[role=img]").count()
    assert titles == page.locator("figure svg[role=img] > title").count() >= 1
    assert titles == page.locator("figure table").count()
    assert "Fusion" in page.inner_text("main")


def test_a_release_is_promoted_after_a_confirmation_by_an_admin_only(workbench: Workbench, stack: Gateway) -> None:
    releases = example(stack, "/releases")
    name = releases["items"][0]["release"]
    releases["items"][0]["state"] = "not compared"
    sent: list[str] = []

    def respond(found: Any) -> None:
        sent.append(f"{found.request.method} {found.request.url.removeprefix(stack.url)}")
        found.fulfill(status=409, json={"status": 409, "detail": "another action is active", "request_id": "r-1"})

    buttons = []
    for user in ("remy", "ada"):
        page = workbench.open(user, "review")
        page.route("**/releases?*", lambda found: found.fulfill(json=releases))
        page.route("**/promote", respond)
        page.click("nav a:has-text('Releases')")
        page.wait_for_selector("tbody tr")
        buttons.append(page.locator(f"[aria-label='Promote {name}']").count())
    page.click(f"[aria-label='Promote {name}']")
    page.click("dialog[open] button.primary")
    page.wait_for_selector(".notice.bad")

    assert [0, 1] == buttons
    assert [f"POST /releases/{name}/promote"] == sent
    assert "another action is active" in page.inner_text(".notice.bad")

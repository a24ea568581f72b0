"""The console in a real browser: log in, predict, correct, review, start a run."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.inference.auth_proxy.conftest import PASSWORD, Gateway, make_photo

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: the console cannot be driven"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, gateway: Gateway) -> Iterator[Any]:
    context = browser.new_context(locale="fr-FR")
    page = context.new_page()
    page.set_default_timeout(10_000)
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda line: trouble.append(line.text) if "Content Security Policy" in line.text else None)
    page.goto(gateway.url)
    yield page
    context.close()
    assert trouble == []


def enter(page: Any, name: str, password: str = PASSWORD) -> None:
    page.fill("#username", name)
    page.fill("#password", password)
    page.click("#login-form button")


def test_a_product_with_a_photo_is_classified_and_corrected(page: Any, gateway: Gateway, tmp_path: Path) -> None:
    photo = tmp_path / "p.png"
    photo.write_bytes(make_photo("PNG"))
    enter(page, "ursula")
    page.fill("#designation", "Piscine gonflable")
    page.set_input_files("#image", photo)
    page.click("#predict-form button")
    page.wait_for_selector("#top li")

    assert page.locator("#top li").count() == 5
    assert page.locator("#modalities dd").count() == 2
    page.select_option("#code", "2583")
    page.click("#feedback-form button")
    page.wait_for_selector("#message:not([hidden])")
    assert "Merci" in page.inner_text("#message")
    assert gateway.feedback.seen[-1].headers["x-auth-user"] == "ursula"
    assert "idempotency-key" in gateway.feedback.seen[-1].headers


def test_a_wrong_password_shows_a_message(page: Any) -> None:
    enter(page, "ada", "not the password")
    page.wait_for_selector("#message.bad")

    assert "Le nom ou le mot de passe est faux." in page.inner_text("#message")
    assert page.is_visible("#login")


@pytest.mark.parametrize(("name", "tabs"), [("ursula", 1), ("remy", 2), ("ada", 3)])
def test_each_role_sees_the_pages_it_may_use(page: Any, name: str, tabs: int) -> None:
    enter(page, name)
    page.wait_for_selector("#predict:not([hidden])")

    assert page.locator("#tabs button:visible").count() == tabs


def test_an_admin_starts_a_run_and_lists_corrections(page: Any, gateway: Gateway) -> None:
    enter(page, "ada")
    page.click("[data-view=retrain]")
    page.click("#retrain-form button[type=submit]")
    page.wait_for_selector("#message:not([hidden])")
    page.click("[data-view=review]")
    page.wait_for_selector("#review-empty:not([hidden])")

    asked = {(seen.method, seen.path) for seen in gateway.feedback.seen}
    assert {("POST", "/retrain"), ("GET", "/retrain"), ("GET", "/feedback")} <= asked


def test_a_run_is_shown_with_its_verdict(page: Any, gateway: Gateway) -> None:
    verdict = {"promoted": False, "release": "r-1", "reasons": ["weighted F1 fell by 0.02"], "metrics": {}}
    run = {"run_id": "retrain-000001-ab", "state": "succeeded", "cause": "threshold", "requested_by": "trigger"}
    run |= {"corrections": 50, "snapshot": "ab", "created": "2026-01-02T03:04:05Z", "started": None, "finished": None}
    gateway.feedback.responses["/retrain"] = {"items": [run | {"reason": None, "verdict": verdict}], "progress": None}
    enter(page, "ada")
    page.click("[data-view=retrain]")
    page.wait_for_selector("#runs li")

    shown = page.inner_text("#runs li")
    assert all(words in shown for words in ("terminé", "assez de corrections", "2 janv. 2026", "retrain-000001-ab"))
    assert "Non promu\nr-1; weighted F1 fell by 0.02" in shown
    assert not [name for name in ("requested_by", "null", "{") if name in shown]


@pytest.mark.parametrize("width", [320, 1280])
def test_no_page_is_wider_than_the_window(page: Any, gateway: Gateway, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    enter(page, "ada")
    page.fill("#designation", "Piscine" * 20)
    page.click("#predict-form button")
    page.wait_for_selector("#top li")
    widths = [page.evaluate("document.documentElement.scrollWidth")]
    for view in ("review", "retrain"):
        page.click(f"[data-view={view}]")
        widths.append(page.evaluate("document.documentElement.scrollWidth"))

    assert [width] * 3 == widths


def test_the_language_changes_and_logout_ends_the_session(page: Any) -> None:
    enter(page, "ursula")
    page.wait_for_selector("#predict:not([hidden])")
    page.click("#language")
    english = page.inner_text("#predict-title")
    page.click("#logout")
    page.reload()

    assert english == "Classify a product"
    assert page.is_visible("#login")


def test_a_request_is_sent_from_the_documentation(page: Any, gateway: Gateway) -> None:
    page.goto(f"{gateway.url}/docs")
    page.click("text=check_liveness")
    page.click("text=Try it out")
    page.click("button.execute")
    page.wait_for_selector(".live-responses-table .response")

    assert '"status": "ok"' in page.inner_text(".live-responses-table .response")
    assert page.locator(".opblock").count() >= 20
    assert page.is_visible("button.authorize")

"""The frame of the workbench: login, roles, languages, sizes, failures that every page shares."""

import re

import pytest

from tests.inference.auth_proxy.conftest import PASSWORD, Gateway
from tests.inference.auth_proxy.workbench.conftest import Workbench, log_in

pytestmark = pytest.mark.browser
USER_PAGES = ["Classify", "Batch", "Queue", "My work"]
REVIEWER_PAGES = ["Classify", "Batch", "Queue", "Review", "Quality", "Releases", "Taxonomy", "My work"]
ADMIN_PAGES = [*REVIEWER_PAGES[:6], "Training", "Taxonomy", "Users", "My work"]


@pytest.mark.parametrize(("user", "pages"), [("ursula", USER_PAGES), ("remy", REVIEWER_PAGES), ("ada", ADMIN_PAGES)])
def test_each_role_sees_the_pages_it_may_use(workbench: Workbench, user: str, pages: list[str]) -> None:
    page = workbench.open(user)

    assert pages == page.locator("nav a").all_inner_texts()


def test_a_wrong_password_shows_a_message_and_loses_nothing(workbench: Workbench) -> None:
    page = workbench.visit()
    log_in(page, "ada", "not the password")

    assert "The name or the password is wrong." == page.locator("[role=alert]:visible").inner_text()
    assert "ada" == page.input_value("[name=username]")


def test_a_page_of_another_role_says_which_role_it_needs(workbench: Workbench) -> None:
    page = workbench.visit("review")
    log_in(page, "ursula")

    assert "This page needs the role reviewer" == page.inner_text("main h2")


def test_the_language_changes_without_a_reload_and_keeps_what_was_typed(workbench: Workbench) -> None:
    page = workbench.open("ursula")
    page.fill("form input", "Piscine")
    page.click("#language")

    assert "Classer un produit" == page.inner_text("h1")
    assert "fr" == page.get_attribute("html", "lang")
    assert "Piscine" == page.input_value("form input")


def test_a_session_that_ends_while_typing_continues_after_a_login_in_place(
    workbench: Workbench, stack: Gateway
) -> None:
    page = workbench.open("ursula")
    page.fill("form input", "Lampe de bureau")
    with stack.client("ada") as admin:  # a change of the user revokes the token
        admin.patch("/users/ursula", json={"role": "user"})
    page.click("#classify")
    page.wait_for_selector("dialog[open]")
    log_in(page, "ursula")
    page.wait_for_selector("#category")

    assert "Lampe de bureau" == page.input_value("form input")


def test_a_key_lists_the_shortcuts_and_typing_it_does_not(workbench: Workbench) -> None:
    page = workbench.open("ursula")
    page.focus("form input")
    page.keyboard.type("quoi?")
    typed = page.input_value("form input")
    page.focus("main")
    page.keyboard.press("?")

    assert "quoi?" == typed
    assert "Classify" in page.inner_text("dialog[open]")


@pytest.mark.parametrize("width", [320, 1280, 3840])
def test_no_page_is_wider_than_the_window(workbench: Workbench, width: int) -> None:
    page = workbench.open("ada", viewport={"width": width, "height": 800})
    widths = {}
    for link in page.locator("nav a").all_inner_texts():
        page.click(f"nav a:has-text('{link}')")
        page.wait_for_selector("main h1")
        widths[link] = page.evaluate(
            "Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth)"
        )

    assert dict.fromkeys(widths, 0) == widths


def test_a_gateway_that_is_away_is_reported_and_the_draft_survives_a_reload(workbench: Workbench) -> None:
    page = workbench.open("ursula")
    page.fill("form input", "Lampe")
    page.context.set_offline(True)
    page.click("#classify")
    message = page.locator("main [role=alert]").inner_text()
    page.context.set_offline(False)
    page.reload()
    page.wait_for_selector("[data-page] form input")

    assert message.startswith("The gateway does not respond.")
    assert "Lampe" == page.input_value("form input")


def test_a_request_is_sent_from_the_documentation(workbench: Workbench, stack: Gateway) -> None:
    page = workbench.visit()
    page.goto(f"{stack.url}/docs")
    page.click("text=check_liveness")
    page.click("text=Try it out")
    page.click("button.execute")
    page.wait_for_selector(".live-responses-table .response")

    assert '"status": "ok"' in page.inner_text(".live-responses-table .response")
    assert page.locator(".opblock").count() >= 20
    assert page.is_visible("button.authorize")


def test_a_reload_keeps_the_session_and_the_place(workbench: Workbench) -> None:
    page = workbench.open("remy", "review?state=agreed&order=newest")
    page.reload()
    page.wait_for_selector("[data-page=review] h1")

    assert "agreed" == page.input_value("select >> nth=1")


def test_a_logout_in_one_tab_ends_the_session_in_the_other(workbench: Workbench) -> None:
    page = workbench.open("remy")
    other = page.context.new_page()
    other.goto(page.url)
    other.wait_for_selector("main h1")
    workbench.sessions.pop("remy")
    other.click("#log-out")
    page.wait_for_selector("form[name=login]")

    assert other.is_visible("form[name=login]")


def test_a_demoted_reviewer_logs_in_again_and_sees_the_pages_that_remain(workbench: Workbench, stack: Gateway) -> None:
    with stack.client("ada") as admin:
        admin.post("/users", json={"name": "dora", "password": PASSWORD, "role": "reviewer"})
        page = workbench.open("dora", "review?state=pending")
        admin.patch("/users/dora", json={"role": "user"})
    page.select_option("select >> nth=2", "newest")
    page.wait_for_selector("dialog[open]")
    log_in(page, "dora")
    page.wait_for_selector("main h2")

    assert "This page needs the role reviewer" == page.inner_text("main h2")
    assert "Your role has changed; the pages it allows are shown." in page.inner_text(".notices")


@pytest.mark.parametrize("name", ["batch", "queue", "quality", "releases", "training", "mine"])
def test_a_route_that_the_gateway_lacks_is_explained_on_the_page(workbench: Workbench, name: str) -> None:
    page = workbench.open("ada")
    problem = {"title": "Not Found", "status": 404, "detail": "no route has the path", "request_id": "r-1"}
    routes = re.compile(r"/(batches|queue|quality|releases|retrain|predictions)(\?|$)")
    page.route(routes, lambda found: found.fulfill(status=404, json=problem))
    page.goto(f"{page.url.partition('#')[0]}#/{name}")
    page.wait_for_selector("main .state[role=alert]")

    shown = page.locator("main .state[role=alert]").first.inner_text()
    assert "This gateway does not offer this function." in shown
    assert "r-1" in shown

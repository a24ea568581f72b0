"""The pages Taxonomy, Users and My work."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.inference.auth_proxy.conftest import Gateway
from tests.inference.auth_proxy.workbench.conftest import Workbench

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_categories_are_a_tree_that_is_searched_by_the_gateway(workbench: Workbench) -> None:
    page = workbench.open("remy", "taxonomy")
    page.wait_for_selector(".tree li")
    every = page.locator(".tree li").count()
    page.fill("[type=search]", "piscine")
    page.wait_for_selector("main ul.stack li")

    assert 27 == every
    assert "27 categories" in page.inner_text(".page-head")
    assert page.locator("main ul.stack li").first.inner_text().endswith("2583")


def test_a_change_file_is_tried_before_it_can_be_applied(workbench: Workbench) -> None:
    page = workbench.open("ada", "taxonomy")
    page.fill("textarea", '{"from": 1')
    page.click("#dry-run")
    page.wait_for_selector("form [role=alert]")
    refused = page.inner_text("form [role=alert]")
    page.fill(
        "textarea", '{"from": 1, "to": 2, "changes": [{"do": "rename", "code": 10, "labels": {"en": "Old books"}}]}'
    )
    page.click("#dry-run")
    page.wait_for_selector("form article")

    assert refused.startswith("This is not valid JSON")
    assert "rename" in page.inner_text("form article")
    assert page.is_visible("button:has-text('Apply')")


def test_an_admin_adds_changes_and_deletes_a_user(workbench: Workbench, stack: Gateway) -> None:
    page = workbench.open("ada", "users")
    page.click("summary:has-text('Add a user')")
    form = page.locator("form", has=page.locator("[type=password]"))
    form.locator("input").first.fill("grace")
    form.locator("[type=password]").fill("correct horse battery")
    form.locator("button").click()
    page.wait_for_selector("th:has-text('grace')")
    page.select_option("[aria-label='Role of grace']", "reviewer")
    page.wait_for_selector(".notice:has-text('must log in again')")
    role = stack.issuer.users.get("grace")
    page.click("[aria-label='Delete grace']")
    page.click("dialog[open] button.danger")
    page.wait_for_selector(".notice:has-text('Deleted.')")

    assert role
    assert role.role.value == "reviewer"
    assert stack.issuer.users.get("grace") is None


def test_the_secret_of_a_key_is_shown_once_and_the_audit_log_lists_it(workbench: Workbench) -> None:
    page = workbench.open("ada", "users")
    page.click("summary:has-text('Create an API key')")
    form = page.locator("form", has=page.locator("[type=date]"))
    form.locator("input").first.fill("exporter")
    form.locator("button").click()
    page.wait_for_selector(".callout.warn code")
    secret = page.inner_text(".callout.warn code")
    page.reload()

    assert secret.startswith("pck_")
    assert secret not in page.content()


def test_my_work_says_what_became_of_each_answer(
    workbench: Workbench, stack: Gateway, corrections: Callable[..., list[dict[str, Any]]]
) -> None:
    made = corrections(("Arrosoir en zinc",))
    with stack.client("remy") as client:
        client.post(f"/feedback/{made[0]['feedback_id']}/reject")
    page = workbench.open("ursula", "mine")
    page.wait_for_selector("tbody tr")
    row = page.locator("tr:has-text('Arrosoir en zinc')").first.inner_text()

    assert "Used books" in row
    assert "Rejected" in row

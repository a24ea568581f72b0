"""The page Review: corrections of others decided by keyboard."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.inference.auth_proxy.conftest import Gateway
from tests.inference.auth_proxy.workbench.conftest import Workbench

pytestmark = pytest.mark.browser
Corrections = Callable[..., list[dict[str, Any]]]


def states(stack: Gateway, made: list[dict[str, Any]]) -> dict[str, str]:
    with stack.client("remy") as client:
        reply = client.get("/feedback?limit=200")
        assert reply.status_code == 200, reply.text
        found = {one["feedback_id"]: one["state"] for one in reply.json()["items"]}
    return {one["feedback_id"]: found[one["feedback_id"]] for one in made}


def test_corrections_are_approved_and_rejected_with_one_key_each(
    workbench: Workbench, stack: Gateway, corrections: Corrections
) -> None:
    made = corrections(("Bouée", "Tapis", "Vélo"))
    page = workbench.open("remy", "review?order=newest")
    page.wait_for_selector(f".list-item[data-id='{made[-1]['feedback_id']}'][aria-current]")
    page.keyboard.press("Enter")
    page.keyboard.press("r")
    page.wait_for_selector(".notice:has-text('Rejected: Tapis')")

    assert ["pending", "rejected", "approved"] == list(states(stack, made).values())
    assert "Bouée" == page.inner_text("article .product-title")


def test_the_page_shows_photo_text_prediction_and_who(workbench: Workbench, corrections: Corrections) -> None:
    corrections(("Tente quatre places",))
    page = workbench.open("remy", "review?order=newest")
    page.wait_for_selector("article")
    facts = page.inner_text("article dl")

    assert "Tente quatre places" == page.get_attribute("article", "aria-label")
    assert "Neuf" == page.inner_text("article .product-text")
    assert all(part in facts for part in ("ursula (user)", "Used books", "waits for a reviewer, or a second person"))


def test_a_correction_that_another_reviewer_rejected_comes_back_with_the_reason(
    workbench: Workbench, stack: Gateway, corrections: Corrections
) -> None:
    made = corrections(("Casque audio",))
    page = workbench.open("remy", "review?order=newest")
    page.wait_for_selector("article")
    with stack.client("ada") as client:
        client.post(f"/feedback/{made[0]['feedback_id']}/reject")
    page.keyboard.press("a")
    page.wait_for_selector(".notice.bad")

    assert "Somebody else changed this meanwhile." in page.inner_text(".notice.bad")
    assert "Casque audio" == page.inner_text("article .product-title")


def test_an_empty_list_says_what_comes_there(workbench: Workbench) -> None:
    page = workbench.open("remy", "review?state=agreed")
    page.wait_for_selector(".state")

    assert "No correction matches these filters" == page.inner_text(".state h2")


def test_a_decision_is_taken_back_with_one_key_and_the_correction_is_shown_again(
    workbench: Workbench, stack: Gateway, corrections: Corrections
) -> None:
    made = corrections(("Hamac", "Gourde"))
    page = workbench.open("remy", "review?order=newest")
    page.wait_for_selector("article[aria-label=Gourde]")
    page.keyboard.press("Enter")
    page.wait_for_selector("article[aria-label=Hamac]")
    page.wait_for_selector(".notice:has-text('Approved: Gourde')")
    page.keyboard.press("u")
    page.wait_for_selector("article[aria-label=Gourde]")

    assert ["pending", "pending"] == list(states(stack, made).values())


def test_another_category_is_chosen_by_search_and_by_number(
    workbench: Workbench, stack: Gateway, corrections: Corrections
) -> None:
    made = corrections(("Fauteuil", "Guirlande"))
    page = workbench.open("remy", "review?order=newest")
    page.wait_for_selector("article[aria-label=Guirlande]")
    page.keyboard.press("c")
    page.keyboard.type("piscine")
    page.wait_for_selector("[role=option][aria-selected=true]:has-text('2583')")
    page.keyboard.press("Enter")
    page.wait_for_selector("article[aria-label=Fauteuil]")
    page.keyboard.press("1")
    page.wait_for_selector(".notice:has-text('Fauteuil')")

    assert ["corrected", "corrected"] == list(states(stack, made).values())


def test_several_corrections_are_decided_at_once(
    workbench: Workbench, stack: Gateway, corrections: Corrections
) -> None:
    made = corrections(("Tente", "Duvet", "Réchaud"))
    page = workbench.open("remy", "review?order=newest")
    page.wait_for_selector("article[aria-label=Réchaud]")
    for key in ("x", "s", "x"):
        page.keyboard.press(key)
    page.click("button:has-text('Approve 2')")
    page.wait_for_selector(".notice:has-text('2 decided')")

    assert ["pending", "approved", "approved"] == list(states(stack, made).values())


def test_filters_are_in_the_address_and_survive_a_reload(workbench: Workbench, corrections: Corrections) -> None:
    corrections(("Zèbre en peluche",))
    page = workbench.open("remy", "review")
    page.fill("[type=search] >> nth=0", "zebre")
    page.wait_for_selector("article[aria-label='Zèbre en peluche']")
    page.reload()
    page.wait_for_selector("article")

    assert "q=zebre" in page.url
    assert 1 == page.locator(".list-item").count()

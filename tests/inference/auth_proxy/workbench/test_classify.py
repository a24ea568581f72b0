"""The page Classify: one product by keyboard, its answer accepted or corrected."""

from pathlib import Path

import pytest

from tests.inference.auth_proxy.conftest import Gateway, make_photo
from tests.inference.auth_proxy.workbench.conftest import Workbench

pytestmark = pytest.mark.browser


def newest(stack: Gateway) -> dict[str, object]:
    with stack.client("remy") as client:
        found: dict[str, object] = client.get("/feedback?limit=1").json()["items"][0]
    return found


def test_a_product_is_classified_and_accepted_by_keyboard_alone(workbench: Workbench, stack: Gateway) -> None:
    page = workbench.open("ursula")
    page.keyboard.type("Ballon de plage")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#category")
    page.keyboard.press("Enter")
    page.wait_for_selector(".notice.good")

    stored = newest(stack)
    assert "Confirmed" in page.inner_text(".notice")
    assert stored["code"] == stored["predicted"]


def test_a_candidate_is_chosen_by_its_number_and_its_guideline_shown(workbench: Workbench, stack: Gateway) -> None:
    page = workbench.open("ursula")
    page.keyboard.type("Chaise pliante")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#category")
    page.keyboard.press("3")
    chosen = page.locator(".bar[aria-pressed=true]")
    code, label = chosen.get_attribute("data-code"), chosen.locator("span").first.inner_text()
    page.keyboard.press("Enter")
    page.wait_for_selector(".notice.good")

    assert label in page.inner_text(".guideline")
    assert code == str(newest(stack)["code"])


def test_any_category_is_found_by_its_code_and_chosen_with_enter(workbench: Workbench, stack: Gateway) -> None:
    page = workbench.open("ursula")
    page.keyboard.type("Parasol")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#category")
    page.keyboard.press("c")
    page.keyboard.type("2583")
    page.wait_for_selector("[role=option][aria-selected=true]:has-text('2583')")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.wait_for_selector(".notice.good")

    assert 2583 == newest(stack)["code"]


def test_a_photo_is_shown_and_the_answer_explained(workbench: Workbench, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(make_photo("PNG"))
    page = workbench.open("ursula")
    page.fill("form input", "x piscine")
    page.set_input_files("[type=file]", photo)
    page.check("form [type=checkbox]")
    page.click("#classify")
    page.wait_for_selector(".word")
    page.focus("main")
    page.keyboard.press("z")

    assert "Photo of x piscine" == page.get_attribute("dialog[open] img", "alt")


def test_a_product_without_content_is_refused_with_the_reason(workbench: Workbench) -> None:
    page = workbench.open("ursula")
    page.click("#classify")

    assert "A value is not accepted." in page.inner_text("main [role=alert]") or "neither" in page.inner_text(
        "main [role=alert]"
    )

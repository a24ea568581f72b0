"""Every page under axe-core, in both languages, both color schemes, on a desktop and a phone."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.inference.auth_proxy.workbench.conftest import Workbench

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ENVIRONMENTS = [
    pytest.param(
        {"locale": "en-GB", "color_scheme": "light", "viewport": {"width": 1280, "height": 800}}, id="desktop"
    ),
    pytest.param({"locale": "fr-FR", "color_scheme": "dark", "viewport": {"width": 360, "height": 740}}, id="phone"),
]


def violations(page: "Page") -> list[str]:
    """Return what axe-core finds on the page as it is."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_axe_finds_nothing_on_any_page(
    workbench: Workbench, corrections: Callable[..., list[dict[str, Any]]], environment: dict[str, Any]
) -> None:
    corrections(("Lanterne", "Tabouret"))
    login = workbench.visit(**environment)
    found = {"login": violations(login)}
    page = workbench.open("ada", **environment)
    names = page.evaluate("[...document.querySelectorAll('nav a')].map((link) => link.getAttribute('href'))")
    for name in names:
        page.click(f"nav a[href='{name}']")
        page.wait_for_selector(f"[data-page={name.removeprefix('#/')}] h1")
        page.wait_for_selector(".skeleton", state="detached")
        found[name] = violations(page)
    page.keyboard.press("?")
    found["shortcuts"] = violations(page)

    assert {name: [] for name in found} == found
    assert len(names) >= 9


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_axe_finds_nothing_in_an_answer_and_its_picker(workbench: Workbench, environment: dict[str, Any]) -> None:
    page = workbench.open("ursula", **environment)
    page.fill("form input", "x lampe")
    page.check("form [type=checkbox]")
    page.click("#classify")
    page.wait_for_selector("#category")
    page.focus("main")
    page.keyboard.press("c")
    page.keyboard.press("ArrowDown")

    assert [] == violations(page)

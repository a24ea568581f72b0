"""The page Training: start a run, its state and verdict."""

import pytest

from tests.inference.auth_proxy.conftest import Gateway
from tests.inference.auth_proxy.workbench.conftest import Workbench

pytestmark = pytest.mark.browser


def test_an_admin_starts_a_run_and_sees_it_wait(workbench: Workbench, stack: Gateway) -> None:
    page = workbench.open("ada", "training")
    page.click("#start-run")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Enter")
    page.wait_for_selector("#main .list-item")
    shown = page.inner_text("#main section")
    page.click("#start-run")
    page.click("dialog[open] button.primary")
    page.wait_for_selector(".notice.bad")

    assert all(part in shown for part in ("waiting", "requested by an administrator", "ada"))
    assert "A training run is already active." in page.inner_text(".notice.bad")

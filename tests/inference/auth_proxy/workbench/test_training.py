"""The page Training: start a run, its state and verdict."""

from datetime import UTC, datetime

import pytest

from product_classifier.retraining import RunStore, StepTiming, write_step_timing
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
    run_store = RunStore(stack.store)
    run_id = page.inner_text("#main section h2")
    for step, outcome in {"prepare_catalogue": "ok", "train_text": "failed"}.items():
        timing = {"run_id": run_id, "step": step, "outcome": outcome, "seconds": 3, "created": datetime.now(UTC)}
        write_step_timing(run_store, StepTiming.model_validate(timing))
        page.wait_for_selector(f".steps :text('{step}')")
    steps = page.inner_text(".steps")
    page.click("#start-run")
    page.click("dialog[open] button.primary")
    page.wait_for_selector(".notice.bad")

    assert all(part in shown for part in ("waiting", "requested by an administrator", "ada"))
    assert ["done", "failed"] == [word for word in steps.split() if word in {"done", "failed"}]
    assert "A training run is already active." in page.inner_text(".notice.bad")

"""The page Queue: one product after the other, decided by keyboard."""

import time

import pytest

from tests.inference.auth_proxy.conftest import Gateway, as_base64, make_photo
from tests.inference.auth_proxy.workbench.conftest import Workbench

pytestmark = pytest.mark.browser
WORDS = [
    "abeille",
    "ballon",
    "camion",
    "domino",
    "escargot",
    "fanfare",
    "girafe",
    "hamster",
    "igloo",
    "jardin",
    "kayak",
    "lampion",
    "marmite",
    "navire",
    "olive",
    "panier",
    "quille",
    "raquette",
    "sifflet",
    "tambour",
    "usine",
    "violon",
    "wagon",
    "zinc",
]


@pytest.fixture(scope="module", autouse=True)
def _queued(stack: Gateway) -> None:
    """Classify products before the queue is first read, which collects its items every 30 s."""
    with stack.client("ursula") as client:
        for word in WORDS:
            client.post("/predict", json={"designation": f"Objet {word}", "image": as_base64(make_photo("PNG"))})
        for _ in range(50):
            if len(client.get("/predictions", params={"q": "objet", "limit": 200}).json()["items"]) >= len(WORDS):
                return
            time.sleep(0.1)
    raise AssertionError("the predictions are not listed")


def test_products_are_decided_one_after_the_other_and_an_answer_is_taken_back(workbench: Workbench) -> None:
    page = workbench.open("ursula", "queue")
    page.wait_for_selector("article[data-id]")
    shown = [page.get_attribute("article", "data-id")]
    for key in ("Enter", "2", "s"):
        page.keyboard.press(key)
        page.wait_for_selector(f"article:not([data-id='{shown[-1]}'])")
        shown.append(page.get_attribute("article", "data-id"))
    page.wait_for_selector(".notice.good")
    page.keyboard.press("u")
    page.wait_for_selector(f"article[data-id='{shown[1]}']")

    assert 4 == len(set(shown))
    assert "Objet" in (page.get_attribute("article", "aria-label") or "")


def test_two_users_do_not_get_the_same_product(workbench: Workbench) -> None:
    names: list[str | None] = []
    for user in ("ursula", "remy"):
        page = workbench.open(user, "queue")
        page.wait_for_selector("article[data-id]")
        names.append(page.get_attribute("article", "data-id"))

    assert 2 == len(set(names))

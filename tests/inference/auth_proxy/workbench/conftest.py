"""The workbench in Chromium before a gateway with fake models and a real feedback service."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydantic import SecretStr

from inference.feedback_service.app import create_app as create_feedback_app
from inference.feedback_service.settings import Settings as FeedbackSettings
from product_classifier.store.journal import Journal
from tests.inference.auth_proxy.conftest import INTERNAL, PASSWORD, Gateway, as_base64, make_photo, start
from tests.support.fake_models import served
from tests.support.fakes import FakeStore

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TITLES = ("Piscine gonflable ronde", "Lampe de bureau", "Roman policier", "Manette sans fil")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with fake models and a feedback service on the same store."""
    store = FakeStore()
    journal = Journal(tmp_path_factory.mktemp("journal"), max_bytes=1 << 20)
    feedback = create_feedback_app(store, journal, FeedbackSettings(internal_token=SecretStr(INTERNAL)))
    with served(feedback, lifespan="on") as feedback_url:
        state = tmp_path_factory.mktemp("gateway")
        yield from start(state, {"feedback-service": feedback_url}, store, body_timeout_s=20.0)


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Chromium, for one module: its event loop would break asynchronous tests that follow."""
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        pytest.skip("no chromium on PATH: the workbench cannot be driven")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Workbench:
    """Opens pages of the workbench as a user; errors of scripts and violations of the CSP are collected."""

    browser: "Browser"
    url: str
    sessions: dict[str, list[Any]]
    """Cookies by user; a login costs half a second of hashing."""
    trouble: list[str] = field(default_factory=list)
    contexts: list[Any] = field(default_factory=list)

    def open(self, user: str, place: str = "", **context: Any) -> "Page":
        """Show the page `place` as a user, logged in; wait until its heading is there."""
        page = self.visit(place, cookies=self.sessions.get(user, []), **context)
        if page.is_visible("form[name=login]"):
            log_in(page, user)
        page.wait_for_selector("main [data-page] h1")
        self.sessions[user] = self.contexts[-1].cookies()
        return page

    def visit(self, place: str = "", cookies: Any = (), **context: Any) -> "Page":
        """Return a page that shows the login, or the page `place` to who has the cookies of a session."""
        self.contexts.append(self.browser.new_context(**{"locale": "en-GB", **context}))
        self.contexts[-1].add_cookies(cookies)
        page: Page = self.contexts[-1].new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        page.on("console", lambda line: self.trouble.append(line.text) if "Security Policy" in line.text else None)
        page.goto(f"{self.url}/#/{place}")
        page.wait_for_selector("form[name=login], main h1")
        return page


def log_in(page: "Page", user: str, password: str = PASSWORD) -> None:
    """Fill the login form and send it."""
    page.fill("form[name=login] [name=username]", user)
    page.fill("form[name=login] [name=password]", password)
    page.keyboard.press("Enter")


@pytest.fixture(scope="session")
def sessions() -> dict[str, list[Any]]:
    return {}


@pytest.fixture
def workbench(browser: "Browser", stack: Gateway, sessions: dict[str, list[Any]]) -> Iterator[Workbench]:
    opened = Workbench(browser, stack.url, sessions)
    yield opened
    for context in opened.contexts:
        context.close()
    assert opened.trouble == []


@pytest.fixture
def corrections(stack: Gateway) -> Callable[..., list[dict[str, Any]]]:
    """Return a function that classifies products as `ursula` and corrects them; they wait for a reviewer."""

    def make(titles: tuple[str, ...] = TITLES, code: int = 10, user: str = "ursula") -> list[dict[str, Any]]:
        with stack.client(user) as client:
            return [_correct(client, title, code) for title in titles]

    return make


def _correct(client: httpx.Client, title: str, code: int) -> dict[str, Any]:
    product = {"designation": title, "description": "<p>Neuf</p>", "image": as_base64(make_photo("PNG"))}
    prediction = client.post("/predict", json=product).json()
    body = {"prediction_id": prediction["prediction_id"], "code": code}
    receipt: dict[str, Any] = client.post("/feedback", json=body).json()
    return receipt

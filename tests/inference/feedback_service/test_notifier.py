"""Notifications to triggers of this and of the previous version."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from inference.feedback_service import notifier as module
from inference.feedback_service.notifier import TriggerNotifier
from tests.support.fake_models import served
from tests.support.servers import free_port

TOKEN = "t" * 40


class FakeTrigger:
    """Accepts notifications on the given paths."""

    def __init__(self, *paths: str) -> None:
        self.received: list[tuple[str, str]] = []
        self.app = Starlette(routes=[Route(path, self._accept, methods=["POST"]) for path in paths])

    async def _accept(self, request: Request) -> Response:
        self.received.append((request.url.path, request.headers["x-internal-token"]))
        return Response(status_code=202)


@contextmanager
def running(notifier: TriggerNotifier) -> Iterator[None]:
    thread = threading.Thread(target=notifier.run)
    thread.start()
    try:
        yield
    finally:
        notifier.close()
        thread.join(5)
        assert not thread.is_alive()


def wait_for(trigger: FakeTrigger, count: int) -> None:
    end = time.monotonic() + 5
    while len(trigger.received) < count and time.monotonic() < end:
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("paths", "notified"),
    [
        pytest.param(("/reconcile", "/wake"), "/reconcile", id="this version"),
        pytest.param(("/wake",), "/wake", id="previous version"),
    ],
)
def test_a_trigger_of_this_and_of_the_previous_version_is_notified(paths: tuple[str, ...], notified: str) -> None:
    trigger = FakeTrigger(*paths)
    with served(trigger.app) as url:
        notifier = TriggerNotifier(f"{url}/", TOKEN)
        with running(notifier):
            notifier.notify()
            wait_for(trigger, 1)

    assert [(notified, TOKEN)] == trigger.received


def test_notifications_are_coalesced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MIN_INTERVAL_S", 0.2)
    trigger = FakeTrigger("/reconcile")
    with served(trigger.app) as url:
        notifier = TriggerNotifier(url, TOKEN)
        with running(notifier):
            for _ in range(100):
                notifier.notify()
            wait_for(trigger, 1)
            for _ in range(100):
                notifier.notify()
            wait_for(trigger, 2)
            time.sleep(0.3)

    assert 2 == len(trigger.received)


@pytest.mark.parametrize("url", ["", "unreachable"])
def test_a_trigger_that_is_missing_or_unreachable_is_ignored(url: str) -> None:
    notifier = TriggerNotifier(url and f"http://127.0.0.1:{free_port()}", TOKEN)

    with running(notifier):
        notifier.notify()
        time.sleep(0.1)

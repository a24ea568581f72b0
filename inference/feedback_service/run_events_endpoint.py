"""Route of the events of a training run."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from fastapi import FastAPI, Header, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT

from inference.compat.uvicorn import ON_DRAIN
from inference.feedback_service.bounded_threads import BoundedThreads
from inference.feedback_service.callers import Admin
from inference.feedback_service.event_cursor import EventCursor
from inference.feedback_service.run_events import END, NewEvents, RunEvents
from inference.http.problems import Overloaded
from inference.run_events_api import EVENT_STREAM, STREAM_S, LastEventId
from product_classifier.errors import StoreUnavailable
from product_classifier.retraining import Claim

POLL_S = 1.0
"""Seconds between two reads of the records and the log of a run."""
HEARTBEAT_S = 15.0
"""Longest time without a byte, after which proxies may close a connection."""
THREADS = 2
"""Reads made concurrently, for all streams: those of corrections stay free."""
MAX_WAITING = 256


def add_run_events(
    app: FastAPI, events: RunEvents, *, poll_s: float = POLL_S, heartbeat_s: float = HEARTBEAT_S
) -> None:
    threads = BoundedThreads(THREADS, MAX_WAITING)

    async def stream(claim: Claim, first: NewEvents, stopped: asyncio.Event) -> AsyncIterator[bytes]:
        """Yield events until the run or the server ends, or `STREAM_S` have passed."""
        clock = asyncio.get_running_loop().time
        end, found, sent = clock() + STREAM_S, first, clock()
        yield first.data or KEEPALIVE_COMMENT
        while not found.has_ended and not stopped.is_set() and clock() < end:
            if not found.has_more:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopped.wait(), poll_s)
            with suppress(StoreUnavailable, Overloaded):  # the next read may succeed
                cursor = found.cursor
                found = await threads.call(lambda: events.read(claim, cursor))  # noqa: B023 - called before the next
                if found.data:
                    sent = clock()
                    yield found.data
            if clock() - sent >= heartbeat_s:
                sent = clock()
                yield KEEPALIVE_COMMENT

    @app.get("/retrain/{run_id}/events", response_model=None)
    async def run_events(
        run_id: str, request: Request, _: Admin, last_event_id: Annotated[LastEventId | None, Header()] = None
    ) -> Response:
        claim = await threads.call(lambda: events.find(run_id))
        cursor = EventCursor.parse(last_event_id) if last_event_id else EventCursor()
        if cursor.has(END):
            return Response(status_code=204)  # on which an EventSource does not connect again
        stopped = asyncio.Event()
        request.scope[ON_DRAIN] = stopped.set
        first = await threads.call(lambda: events.read(claim, cursor))
        return StreamingResponse(stream(claim, first, stopped), media_type=EVENT_STREAM)

"""Events of a training run: what `GET /retrain/{run_id}/events` sends."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from inference.http.api_models import ResponseModel
from product_classifier.retraining import Verdict
from product_classifier.retraining.run_records import Outcome

EVENT_STREAM = "text/event-stream"
STREAM_S = 600.0
"""Seconds after which a stream ends, so that the client, which connects again, is authorized again."""
MAX_EVENTS = 256
"""Step events that an event id can hold; a run has fewer than 40."""
EVENT_ID = rf"^[0-9]{{1,15}}-(?:[A-Za-z0-9_-]{{4}}){{0,{MAX_EVENTS}}}$"
LastEventId = Annotated[
    str, Field(pattern=EVENT_ID, description="`id` of the last event received; only later ones are sent.")
]


class StepEvent(ResponseModel):
    """A step of the run has started or ended."""

    step: str
    state: Literal["running", "succeeded", "failed"]
    time: datetime
    seconds: float | None = Field(description="Duration of a step that ended; null if it was not recorded.")
    reason: str | None = Field(description="Why the step failed.")


class LogEvent(ResponseModel):
    """A line of the run's log."""

    line: str


class EndEvent(ResponseModel):
    """The run has ended, and with it the events."""

    run_id: str
    state: Outcome
    reason: str
    time: datetime


class RunEventData(ResponseModel):
    """Data of each event, by the name of the event."""

    step: StepEvent
    log: LogEvent
    verdict: Verdict
    end: EndEvent


EXAMPLE = """\
event: step
data: {"step":"train_text","state":"running","time":"2027-01-31T12:00:00Z","seconds":null,"reason":null}
id: 0-k3Jd

event: log
data: {"line":"train_text: 84,916 products"}
id: 28-k3Jd

event: step
data: {"step":"train_text","state":"succeeded","time":"2027-01-31T12:01:00Z","seconds":60.0,"reason":null}
id: 28-Zp0ak3Jd

event: end
data: {"run_id":"retrain-000001-0123456789ab","state":"succeeded","reason":"","time":"2027-01-31T12:01:02Z"}
id: 28-Zp0ak3JdxY7_

"""

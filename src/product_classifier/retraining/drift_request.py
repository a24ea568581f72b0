"""A drift verdict that lowers the number of trusted corrections from which a run starts.

`retrain/drift.json` has the newest one; a monitoring run without drift deletes it, and a run that succeeded after it
has answered it.
"""

from datetime import datetime
from typing import Final

from pydantic import AwareDatetime, Field

from product_classifier.errors import ObjectNotFound, StoreUnavailable
from product_classifier.feedback.records import Record
from product_classifier.store import ObjectStore

KEY: Final = "retrain/drift.json"


class DriftRequest(Record):
    """Start a run from fewer corrections than the settings of the trigger say."""

    window_id: str
    release: str
    min_corrections: int = Field(ge=1)
    """Trusted corrections that no run has used, from which a run starts; there is none without such labels."""
    created: AwareDatetime


def write_drift_request(store: ObjectStore, request: DriftRequest) -> None:
    """Store a request in place of the one before."""
    store.put(KEY, request.to_json())


def withdraw_drift_request(store: ObjectStore) -> None:
    """Delete the request if there is one."""
    store.delete(KEY)


def read_drift_request(store: ObjectStore, after: datetime | None) -> DriftRequest | None:
    """Return the request unless it is older than `after`, or cannot be parsed."""
    try:
        request = DriftRequest.from_json(store.get(KEY), KEY)
    except (ObjectNotFound, StoreUnavailable):
        return None
    return None if after is not None and request.created <= after else request

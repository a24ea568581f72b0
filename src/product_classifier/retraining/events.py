"""What a bucket notification says: as MinIO sends it, as RustFS sends it, and as S3 sends it.

Notifications only wake the trigger, which then looks for itself; one that is lost or forged costs at most a look.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

import orjson

from product_classifier.errors import InvalidInput

WATCHED = "feedback/"
CREATED = "ObjectCreated:"


def has_feedback_event(body: bytes) -> bool:
    """Tell whether a correction or review was written; `InvalidInput` when this is no notification."""
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"the notification is not JSON: {error}") from error
    if not isinstance(message, dict):
        raise InvalidInput("the notification is not a JSON object")
    return any(key.startswith(WATCHED) for key in _created_keys(message))


def _created_keys(message: dict[str, Any]) -> Iterator[str]:
    records = message.get("Records")
    for record in records if isinstance(records, list) else []:
        match record:
            case {"eventName": str(event), "s3": {"object": {"key": str(key)}}}:
                if event.removeprefix("s3:").startswith(CREATED):
                    yield unquote_plus(key)

"""Parse bucket notifications of S3, MinIO and RustFS.

A notification only makes the trigger reconcile earlier; a lost or forged one is harmless.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

import orjson

from product_classifier.errors import InvalidInput
from product_classifier.store.object_keys import FEEDBACK_PREFIX

CREATED = "ObjectCreated:"


def has_feedback_event(body: bytes) -> bool:
    """Return whether a notification reports a new correction or review.

    Raises:
        InvalidInput: If the body is not a JSON object.
    """
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"the notification is not JSON: {error}") from error
    if not isinstance(message, dict):
        raise InvalidInput("the notification is not a JSON object")
    return any(key.startswith(FEEDBACK_PREFIX) for key in _created_keys(message))


def _created_keys(message: dict[str, Any]) -> Iterator[str]:
    records = message.get("Records")
    for record in records if isinstance(records, list) else []:
        match record:
            case {"eventName": str(event), "s3": {"object": {"key": str(key)}}}:
                if event.removeprefix("s3:").startswith(CREATED):
                    yield unquote_plus(key)

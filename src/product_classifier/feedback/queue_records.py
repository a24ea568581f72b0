"""Stored records of the queue: entries that pipelines write, leases and skips of users.

queue/entries/<reason>/<entry_id>.json     a product to label and why, written once by a pipeline
queue/leases/<item_id>/<number>.json       who has an item until when, written once, numbered from 1
queue/skips/<user digest>/<item_id>.json   a user does not want an item
"""

import hashlib
from typing import Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from product_classifier.feedback.records import Identifier, Probability, ProductContent, Record, Text
from product_classifier.taxonomy.stored_codes import StoredCode

QUEUE_PREFIX = "queue/"
ENTRIES_PREFIX = f"{QUEUE_PREFIX}entries/"
LEASES_PREFIX = f"{QUEUE_PREFIX}leases/"
SKIPS_PREFIX = f"{QUEUE_PREFIX}skips/"

EntryReason = Literal["suspected_label", "new_category", "drifted"]
"""Reasons of entries in the store. A pipeline adds one by writing entries of it."""
QueueReason = Literal[
    "uncertain", "models_disagree", "users_disagree", "split", "suspected_label", "new_category", "drifted"
]
"""Why an item is in the queue: what follows from predictions and corrections, then each `EntryReason`."""


class QueueEntry(Record):
    """A product that a pipeline wants to have labelled; its photo is in the store."""

    entry_id: Identifier
    created: AwareDatetime
    reason: EntryReason
    detail: Text = Field(default="", max_length=500)
    """One sentence about the reason, such as the categories of a disagreement."""
    score: Probability | None = None
    """The greater, the earlier it is offered."""
    prediction_id: Identifier | None = None
    product: ProductContent | None = None
    label: StoredCode | None = None
    """Category the product has now."""
    suggested: StoredCode | None = None
    taxonomy_version: int | None = Field(default=None, ge=1, exclude_if=lambda version: version is None)
    """Version of the taxonomy that the codes are of; None is the first."""

    @model_validator(mode="after")
    def _has_subject(self) -> Self:
        if self.prediction_id is None and self.product is None:
            msg = "an entry has a prediction_id or a product"
            raise ValueError(msg)
        return self

    @property
    def key(self) -> str:
        """Key of the object."""
        return f"{ENTRIES_PREFIX}{self.reason}/{self.entry_id}.json"


class QueueLease(Record):
    """A user has an item of the queue until a time."""

    item_id: Identifier
    number: int = Field(ge=1)
    user: Text
    created: AwareDatetime
    expires: AwareDatetime

    @property
    def key(self) -> str:
        """Key of the object; of two servers that lease an item at the same time one writes it."""
        return f"{leases_prefix(self.item_id)}{self.number:08d}.json"


def leases_prefix(item_id: str) -> str:
    """Return the prefix of the leases of an item."""
    return f"{LEASES_PREFIX}{item_id}/"


def skip_key(user: str, item_id: str) -> str:
    """Return the key of the object that says that a user does not want an item."""
    digest = hashlib.blake2b(user.encode(), digest_size=16).hexdigest()
    return f"{SKIPS_PREFIX}{digest}/{item_id}.json"

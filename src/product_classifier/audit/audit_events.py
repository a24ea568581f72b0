"""Events of the audit log, as objects that are written once and never changed.

    audit/dt=YYYY-MM-DD/<event_id>.<action>.<actor digest>.json           what was begun, written before it is done
    audit/dt=YYYY-MM-DD/<event_id>.<action>.<actor digest>.outcome.json   how it ended

A key has what lists are filtered by, so that a filter reads only the objects it lists. An event whose process ended
before it wrote the outcome has none.
"""

import getpass
import hashlib
import os
import uuid
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, ConfigDict, Field, JsonValue

from product_classifier.errors import ObjectExists
from product_classifier.feedback.records import UUID_VERSION, Identifier, Record, Text, day_of
from product_classifier.store import ObjectStore

AUDIT_PREFIX = "audit/"
OUTCOME_SUFFIX = ".outcome.json"
PIPELINE = "pipeline"
"""Actor of what a training run does."""

ActorKind = Literal["user", "key", "operator", "pipeline", "unknown"]
Outcome = Literal["done", "failed"]


class AuditAction(StrEnum):
    """What an event is about."""

    USER_CREATED = "user_created"
    USER_CHANGED = "user_changed"
    USER_DELETED = "user_deleted"
    KEY_CREATED = "key_created"
    KEY_DELETED = "key_deleted"
    CORRECTION_APPROVED = "correction_approved"
    CORRECTION_REJECTED = "correction_rejected"
    CORRECTION_REPLACED = "correction_replaced"
    CORRECTION_UNDONE = "correction_undone"
    CORRECTIONS_IMPORTED = "corrections_imported"
    CORRECTIONS_DECIDED = "corrections_decided"
    RUN_REQUESTED = "run_requested"
    RELEASE_PROMOTED = "release_promoted"
    RELEASE_REFUSED = "release_refused"
    RELEASE_ROLLED_BACK = "release_rolled_back"
    CANARY_CHANGED = "canary_changed"
    TAXONOMY_CHANGED = "taxonomy_changed"
    LOGIN_SUCCEEDED = "login_succeeded"
    LOGIN_FAILED = "login_failed"
    LOGGED_OUT = "logged_out"
    DATA_ERASED = "data_erased"


class AuditOutcome(Record):
    """How an action ended."""

    model_config = ConfigDict(extra="ignore")  # a newer version may have written it

    outcome: Outcome
    reason: Text = ""
    target: Text = ""
    """What the action was done to, where it was not known before, such as the id of a new run."""


class AuditEvent(Record):
    """An action; `outcome` is set if it was known when the event was written."""

    model_config = ConfigDict(extra="ignore")  # a newer version may have written it

    event_id: Identifier
    created: AwareDatetime
    action: Text = Field(pattern=r"^[a-z_]{1,60}$")
    """An `AuditAction`, or one of a newer version."""
    actor: Text
    actor_kind: ActorKind
    role: Text | None = None
    target: Text = ""
    details: dict[str, JsonValue] = Field(default_factory=dict)
    address: Text = ""
    """Address of the client, empty for what no request caused."""
    request_id: Text = ""
    outcome: AuditOutcome | None = None

    @property
    def key(self) -> str:
        """Key of the object."""
        return f"{self._stem}.json"

    @property
    def outcome_key(self) -> str:
        """Key of the object with the outcome."""
        return f"{self._stem}{OUTCOME_SUFFIX}"

    @property
    def _stem(self) -> str:
        return f"{day_prefix(day_of(self.event_id))}{self.event_id}.{self.action}.{actor_digest(self.actor)}"


def day_prefix(day: str) -> str:
    """Return the prefix of the events of a day, YYYY-MM-DD."""
    return f"{AUDIT_PREFIX}dt={day}/"


def actor_digest(actor: str) -> str:
    """Return the part of a key that stands for an actor, whose name may have any characters."""
    return hashlib.blake2b(actor.encode(), digest_size=8).hexdigest()


def record_event(store: ObjectStore, event: AuditEvent) -> None:
    """Write an event unless it was written before."""
    with suppress(ObjectExists):
        store.put(event.key, event.to_json(), only_if_absent=True)


def repeatable_id(created: datetime, subject: str) -> str:
    """Return the id of an event that is written again if its process was interrupted: always the same."""
    bits = int.from_bytes(hashlib.sha256(subject.encode()).digest()[:10])
    bits |= int(created.timestamp() * 1000) << 80
    bits = bits & ~(0xF << 76) | UUID_VERSION << 76
    bits = bits & ~(0b11 << 62) | 0b10 << 62
    return str(uuid.UUID(int=bits))


def operator_name() -> str:
    """Return the user of the operating system who runs a command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container the user may have no name
        return f"uid {os.getuid()}"

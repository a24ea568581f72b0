"""Position of a client in the events of a run, which is the `id` of an event."""

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field, replace
from typing import Self

_DIGEST_BYTES = 3
_DIGEST_CHARACTERS = 4


@dataclass(frozen=True, slots=True)
class EventCursor:
    """Which events a client has received.

    Records are written by pods with clocks of their own, so a later one can have an earlier time: an id holds a digest
    of each event from a record rather than the time or the number of the last.
    """

    log_offset: int = 0
    """Bytes of the log."""
    received: frozenset[str] = field(default_factory=frozenset)
    """Digests of the names of events from records."""

    @classmethod
    def parse(cls, event_id: str) -> Self:
        """Return the position of an id that matches `EVENT_ID`."""
        offset, _, digests = event_id.partition("-")
        starts = range(0, len(digests), _DIGEST_CHARACTERS)
        return cls(int(offset), frozenset(digests[start : start + _DIGEST_CHARACTERS] for start in starts))

    def __str__(self) -> str:
        return f"{self.log_offset}-{''.join(sorted(self.received))}"

    def has(self, name: str) -> bool:
        """Return whether the event of this name was received."""
        return _digest(name) in self.received

    def after(self, name: str) -> Self:
        """Return the position after the event of this name."""
        return replace(self, received=self.received | {_digest(name)})

    def at(self, log_offset: int) -> Self:
        """Return the position after this many bytes of the log."""
        return replace(self, log_offset=log_offset)


def _digest(name: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(name.encode()).digest()[:_DIGEST_BYTES]).decode()

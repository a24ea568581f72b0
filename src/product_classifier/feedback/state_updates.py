"""Computes the states and the label of a product again after one of its corrections changed."""

from collections.abc import Iterable
from datetime import datetime
from math import inf
from sqlite3 import Connection
from time import monotonic
from typing import NamedTuple

from product_classifier.feedback.index_database import IndexDatabase
from product_classifier.feedback.index_rows import to_datetime, to_microseconds
from product_classifier.feedback.records import Role
from product_classifier.feedback.trust import DecisionKind, own_state, product_label, product_states

LARGE_PRODUCT = 1000
"""Corrections of one product from which its states are not computed at once every time."""
LARGE_PRODUCT_SHARE = 0.02
"""Share of the time that computing the states of such products may take."""


class _Vote(NamedTuple):
    created: datetime
    feedback_id: str
    user: str
    role: Role
    code: str


class _Decision(NamedTuple):
    created: datetime
    decision: DecisionKind


class StateUpdater:
    """Updates products, and postpones large ones; belongs to the thread that writes to the database."""

    def __init__(self) -> None:
        self.large_due = -inf
        """Time (`monotonic`) until which large products are postponed."""

    def update(self, database: Connection, products: Iterable[bytes]) -> None:
        """Compute states and label of products by agreement key, unless one is so large that it has to wait."""
        for key in products:
            if monotonic() < self.large_due and _is_large(database, key):
                database.execute("INSERT OR IGNORE INTO dirty VALUES (?)", (key,))
                continue
            began = monotonic()
            if _update_product(database, key) >= LARGE_PRODUCT:
                self.large_due = monotonic() + (monotonic() - began) / LARGE_PRODUCT_SHARE

    def update_postponed(self, database: IndexDatabase) -> None:
        """Update the products that had to wait, as far as it is their time; one transaction each."""
        while monotonic() >= self.large_due:
            with database.write() as connection:
                row = connection.execute(
                    "DELETE FROM dirty WHERE agreement_key = (SELECT min(agreement_key) FROM dirty) "
                    "RETURNING agreement_key"
                ).fetchone()
                if row is None:
                    return
                self.update(connection, row)


def _update_product(database: Connection, key: bytes) -> int:
    """Compute states and label of a product; return the number of its corrections."""
    rows = database.execute(
        "SELECT id, created, user, role, read_code, state, decision_created, decision FROM corrections "
        "WHERE status = 1 AND agreement_key = ?",
        (key,),
    ).fetchall()
    group = [_Vote(to_datetime(row[1]), row[0].hex(), *row[2:5]) for row in rows if row[4] is not None]
    reviews = {row[0].hex(): _Decision(to_datetime(row[6]), row[7]) for row in rows if row[7] is not None}
    found = {row[0].hex(): own_state(row[3], row[7]) for row in rows} | product_states(group, reviews)
    changed = [(found[row[0].hex()], row[0]) for row in rows if found[row[0].hex()] != row[5]]
    database.executemany("UPDATE corrections SET state = ? WHERE id = ?", changed)
    label = product_label(group, reviews)
    if label is None:
        database.execute("DELETE FROM labels WHERE agreement_key = ?", (key,))
        return len(rows)
    identifier = bytes.fromhex(label.feedback_id)
    (spelling_key,) = database.execute("SELECT product_key FROM corrections WHERE id = ?", (identifier,)).fetchone()
    trained = database.execute("SELECT code FROM trained WHERE product_key = ?", (spelling_key,)).fetchone()
    is_new = trained is None or trained[0] != label.code
    database.execute(
        "INSERT INTO labels VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET product_key = excluded.product_key, "
        "code = excluded.code, id = excluded.id, since = excluded.since, reason = excluded.reason, "
        "is_new = excluded.is_new",
        (key, spelling_key, label.code, identifier, to_microseconds(label.since), label.reason, is_new),
    )
    return len(rows)


def _is_large(database: Connection, key: bytes) -> bool:
    query = "SELECT 1 FROM corrections WHERE status = 1 AND agreement_key = ? LIMIT 1 OFFSET ?"
    return database.execute(query, (key, LARGE_PRODUCT - 1)).fetchone() is not None

"""Columns of corrections in the index that follow from other rows: the last decision, and the words."""

from sqlite3 import Connection

from product_classifier.feedback.search_terms import search_text

LAST_REVISION = (
    "SELECT action, user, created, replacement FROM revisions WHERE status = 1 AND feedback_id = ? "
    "ORDER BY created DESC, id DESC LIMIT 1"
)
REVIEW = "SELECT decision, reviewer, created, NULL FROM reviews WHERE id = ? AND status = 1"
NUMBER_BITS = 12
"""Bits of a number of `words` below the microseconds of its correction."""
NO_DECISION = (None, None, None, None)


def update_decision(database: Connection, identifier: bytes) -> bytes | None:
    """Write the last decision about a correction, as `trust.last_decision` finds it.

    Returns:
        The group of the corrections of its product, b"" without a product, None if the correction is not indexed.
    """
    last = database.execute(LAST_REVISION, (identifier,)).fetchone()
    if last is None:
        last = database.execute(REVIEW, (identifier,)).fetchone()
    if last is None or last[0] == "reopened":
        last = NO_DECISION
    row = database.execute(
        "UPDATE corrections SET decision = ?, decision_user = ?, decision_created = ?, replacement = ? "
        "WHERE id = ? AND status = 1 RETURNING agreement_key",
        (*last, identifier),
    ).fetchone()
    if row is None:
        return None
    return b"" if row[0] is None else bytes(row[0])


def insert_words(database: Connection, identifier: bytes) -> None:
    """Make a correction found by the words of its product."""
    created, designation, description = database.execute(
        "SELECT created, designation, description FROM corrections WHERE id = ?", (identifier,)
    ).fetchone()
    number = _free_number(database, created)
    database.execute("UPDATE corrections SET words_number = ? WHERE id = ?", (number, identifier))
    words = search_text(designation, description)
    database.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (number, words))


def _free_number(database: Connection, created: int) -> int:
    """Return an unused number of `words` that is greater than those of earlier microseconds."""
    query = "SELECT max(words_number) + 1 FROM corrections WHERE words_number >= ? AND words_number < ?"
    first = created << NUMBER_BITS
    while True:
        end = first + (1 << NUMBER_BITS)
        number = database.execute(query, (first, end)).fetchone()[0]
        if number is None or number < end:
            return first if number is None else int(number)
        first = end


def delete_words(database: Connection, identifier: bytes) -> None:
    """Undo `insert_words`, before the texts of the correction change."""
    row = database.execute(
        "SELECT words_number, designation, description FROM corrections WHERE id = ? AND words_number IS NOT NULL",
        (identifier,),
    ).fetchone()
    if row is not None:
        words = search_text(*row[1:])
        database.execute("INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)", (row[0], words))
        database.execute("UPDATE corrections SET words_number = NULL WHERE id = ?", (identifier,))

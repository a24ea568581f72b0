"""Queries of corrections by what they are of: a prediction, a product, a photo or another correction."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from product_classifier.errors import IndexUnavailable
from product_classifier.feedback.index_database import IndexDatabase
from product_classifier.feedback.index_rows import (
    SELECT_CORRECTIONS,
    IndexedCorrection,
    correction_of,
    product_keys,
    to_blob,
    to_datetime,
    to_microseconds,
    to_text,
)
from product_classifier.feedback.records import Correction
from product_classifier.observability import get_logger

MAX_OF_PREDICTION = 20
MAX_COMPARED = 5000
"""Newest pending corrections among which contradictions are found."""
REFUSED = "('rejected', 'corrected', 'withdrawn')"
NEWEST_FIRST = "ORDER BY c.created DESC, c.id DESC"

log = get_logger()


class CorrectionQueries:
    """What the index holds now. Each method raises `IndexUnavailable` if its file cannot be read."""

    def __init__(self, database: IndexDatabase) -> None:
        self._database = database

    def of_predictions(self, prediction_ids: Sequence[str]) -> dict[str, list[IndexedCorrection]]:
        """Return the newest corrections of each of some predictions, at most `MAX_OF_PREDICTION` each."""
        found: dict[str, list[IndexedCorrection]] = {}
        query = f"{SELECT_CORRECTIONS} WHERE c.status = 1 AND c.prediction_id = ? {NEWEST_FIRST} LIMIT ?"
        with self._database.read() as database:
            for one in prediction_ids:
                if rows := database.execute(query, (to_blob(one), MAX_OF_PREDICTION)).fetchall():
                    found[one] = [correction_of(row) for row in rows]
        return found

    def replaced_by(self, correction: Correction) -> IndexedCorrection | None:
        """Return the newest earlier correction of the user and product, if it has another category."""
        prediction = None if correction.prediction_id is None else to_blob(correction.prediction_id)
        subjects = [("c.prediction_id", prediction)]
        if correction.product is not None:
            subjects.append(("c.agreement_key", product_keys(correction.product)[1]))
        found, own = [], to_blob(correction.feedback_id)
        try:
            with self._database.read() as database:
                for column, value in subjects:
                    where = f"c.status = 1 AND c.state <> 'withdrawn' AND {column} = ? AND c.user = ? AND c.id <> ?"
                    query = f"{SELECT_CORRECTIONS} WHERE {where} {NEWEST_FIRST} LIMIT 1"
                    found += database.execute(query, (value, correction.user, own)).fetchall()
        except IndexUnavailable as error:
            log.warning("replaced_correction_unknown", key=correction.key, reason=str(error))
        last = max(map(correction_of, found), key=lambda one: (one.created, one.feedback_id), default=None)
        return last if last is not None and last.reading.code != correction.code else None

    def count_agreement(self, keys: Iterable[bytes]) -> dict[tuple[bytes, str], int]:
        """Return the number of users whose vote a category has, by group of corrections and code."""
        groups = sorted(set(keys))
        query = (
            "SELECT agreement_key, read_code, count(DISTINCT user) FROM corrections WHERE status = 1 AND state IN "  # noqa: S608
            f"('pending', 'trusted', 'approved', 'agreed') AND agreement_key IN ({', '.join('?' * len(groups))}) "
            "AND read_code IS NOT NULL GROUP BY 1, 2"
        )
        with self._database.read() as database:
            return {(bytes(key), code): number for key, code, number in database.execute(query, groups)}

    def newest_vote(self, item: IndexedCorrection) -> str | None:
        """Return the id of the newest correction of the same user and product that its user did not take back."""
        query = (
            "SELECT id FROM corrections WHERE status = 1 AND agreement_key = ? AND user = ? AND state NOT IN "  # noqa: S608
            f"{REFUSED} ORDER BY created DESC, id DESC LIMIT 1"
        )
        found = self._database.value(query, item.agreement_key, item.user)
        return None if found is None else to_text(found)

    def undecided(self, limit: int) -> list[IndexedCorrection]:
        """Return corrections of split categories whose product has no later correction, oldest first."""
        later = (
            "EXISTS (SELECT 1 FROM corrections o WHERE o.status = 1 AND o.agreement_key = c.agreement_key "
            "AND o.decided = 1 AND o.created > c.created)"
        )
        where = f"c.status = 1 AND c.decided = 0 AND c.state NOT IN {REFUSED} AND NOT {later} ORDER BY c.id LIMIT ?"
        return self._select(where, limit)

    def contradicted(self, limit: int) -> list[IndexedCorrection]:
        """Return one of the newest pending corrections of each product whose users disagree."""
        pending = (
            "SELECT id, agreement_key, read_code FROM corrections WHERE status = 1 AND state = 'pending' "
            "ORDER BY created DESC, id DESC LIMIT ?"
        )
        ids = f"SELECT max(id) FROM ({pending}) GROUP BY agreement_key HAVING count(DISTINCT read_code) > 1"  # noqa: S608
        where = (
            f"c.status = 1 AND c.id IN ({ids}) AND NOT EXISTS "  # noqa: S608
            f"(SELECT 1 FROM labels l WHERE l.agreement_key = c.agreement_key) {NEWEST_FIRST} LIMIT ?"
        )
        return self._select(where, MAX_COMPARED, limit)

    def newest_of_product(self, key: str) -> datetime | None:
        """Return when the newest correction of a product was submitted, by its agreement key."""
        query = "SELECT max(created) FROM corrections WHERE status = 1 AND agreement_key = ?"
        found = self._database.value(query, bytes.fromhex(key))
        return None if found is None else to_datetime(found)

    def _select(self, condition: str, *values: object) -> list[IndexedCorrection]:
        with self._database.read() as database:
            rows = database.execute(f"{SELECT_CORRECTIONS} WHERE {condition}", values)
            return [correction_of(row) for row in rows]

    def has_vote(self, item: IndexedCorrection, user: str, *, since: datetime | None = None) -> bool:
        """Return whether a user has a standing correction of a product.

        With `since`, only those after it count whose category no change of the taxonomy split.
        """
        query = (
            "SELECT 1 FROM corrections WHERE status = 1 AND agreement_key = ? AND user = ? AND state NOT IN "  # noqa: S608
            f"{REFUSED} AND created > ? AND (decided = 1 OR ? < 0) LIMIT 1"
        )
        after = -1 if since is None else to_microseconds(since)
        return self._database.value(query, item.agreement_key, user, after, after) is not None

    def compared_votes(self, since: datetime) -> list[tuple[bytes, str, str]]:
        """Return the votes of products that several users labelled, see `user_agreement.agreement_by_user`.

        Votes are standing corrections from a time on, and approvals of those of others.
        """
        votes = (
            "SELECT agreement_key, user, read_code, created FROM corrections WHERE status = 1 AND created >= ?1 AND "
            "agreement_key IS NOT NULL AND read_code IS NOT NULL AND state IN "
            "('pending', 'trusted', 'approved', 'agreed') UNION ALL "
            "SELECT agreement_key, decision_user, read_code, decision_created FROM corrections WHERE status = 1 AND "
            "created >= ?1 AND agreement_key IS NOT NULL AND read_code IS NOT NULL AND decision = 'approved'"
        )
        query = (
            f"WITH votes AS ({votes}), several AS (SELECT agreement_key FROM votes GROUP BY 1 "  # noqa: S608
            "HAVING count(DISTINCT user) > 1) SELECT agreement_key, user, read_code FROM votes "
            "JOIN several USING (agreement_key) ORDER BY created"
        )
        with self._database.read() as database:
            rows = database.execute(query, (to_microseconds(since),))
            return [(bytes(key), user, code) for key, user, code in rows]

    def decided_by_reviewer(self, user: str, after: bytes) -> IndexedCorrection | None:
        """Return the first label after a group that reviewers other than the user decided."""
        where = (
            "c.status = 1 AND c.id = (SELECT l.id FROM labels l JOIN corrections o ON o.id = l.id WHERE "
            "l.agreement_key > ? AND l.reason IN ('trusted', 'approved') AND o.user <> ? AND o.decided = 1 AND "
            "o.decision_user IS NOT ? ORDER BY l.agreement_key LIMIT 1)"
        )
        return next(iter(self._select(where, after, user, user)), None)

    def has_review(self, feedback_id: str) -> bool:
        """Return whether a correction has a review, which may have been superseded."""
        return (
            self._database.value("SELECT 1 FROM reviews WHERE id = ? AND status = 1", to_blob(feedback_id)) is not None
        )

    def last_decided(self, feedback_id: str) -> datetime | None:
        """Return the time of the last review or revision of a correction, None without one."""
        identifier = to_blob(feedback_id)
        query = (
            "SELECT max(created) FROM (SELECT created FROM revisions WHERE status = 1 AND feedback_id = ? "
            "UNION ALL SELECT created FROM reviews WHERE status = 1 AND id = ?)"
        )
        found = self._database.value(query, identifier, identifier)
        return None if found is None else to_datetime(found)

    def count_revisions(self, feedback_id: str) -> int:
        """Return the number of later decisions about a correction."""
        query = "SELECT count(*) FROM revisions WHERE status = 1 AND feedback_id = ?"
        return int(self._database.value(query, to_blob(feedback_id)))

    def has_photo(self, sha256: str, user: str) -> bool:
        """Return whether a correction of the user is of a product with this photo."""
        query = "SELECT 1 FROM corrections WHERE status = 1 AND image_sha256 = ? AND user = ? LIMIT 1"
        return self._database.value(query, sha256, user) is not None

"""Products with a known answer, which the queue offers now and then to see how well users label.

queue/known/<item_id>.json                   offered to one user, with the answer
queue/answers/dt=YYYY-MM-DD/<item_id>.json   what the user answered, written once; it is no correction
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime

from pydantic import AwareDatetime, Field

from product_classifier.errors import ObjectExists, ObjectNotFound, StoreUnavailable
from product_classifier.feedback.index_rows import IndexedCorrection
from product_classifier.feedback.queue_records import QUEUE_PREFIX
from product_classifier.feedback.records import Identifier, ProductContent, Record, Text, day_of, new_id
from product_classifier.observability import get_logger
from product_classifier.store import ObjectStore
from product_classifier.taxonomy.stored_codes import StoredCode

KNOWN_PREFIX = f"{QUEUE_PREFIX}known/"
ANSWERS_PREFIX = f"{QUEUE_PREFIX}answers/"

log = get_logger()


class KnownAnswer(Record):
    """A product whose category a reviewer decided, offered to another user."""

    item_id: Identifier
    created: AwareDatetime
    user: Text
    feedback_id: Identifier
    """The trusted correction that has the answer."""
    product: ProductContent
    code: StoredCode
    taxonomy_version: int | None = Field(default=None, ge=1)

    @property
    def key(self) -> str:
        """Key of the object."""
        return known_key(self.item_id)


class GivenAnswer(Record):
    """The category that a user gave for a product with a known answer."""

    item_id: Identifier
    created: AwareDatetime
    user: Text
    expected: StoredCode
    given: StoredCode

    @property
    def key(self) -> str:
        """Key of the object."""
        return f"{ANSWERS_PREFIX}dt={day_of(self.item_id)}/{self.item_id}.json"


@dataclass(frozen=True, slots=True)
class AnswerCounts:
    """Products with a known answer that a user labelled, and those labelled right."""

    answered: int
    right: int


class KnownAnswers:
    """Offers products with known answers and stores what users give. Thread-safe."""

    def __init__(self, store: ObjectStore, now: Callable[[], datetime]) -> None:
        """Take the store and the time in UTC."""
        self._store = store
        self._now = now

    def offer(self, user: str, correction: IndexedCorrection, product: ProductContent) -> KnownAnswer:
        """Offer the product of a trusted correction to a user; raises `StoreUnavailable`."""
        now = self._now()
        offered = KnownAnswer(
            item_id=new_id(now),
            created=now,
            user=user,
            feedback_id=correction.feedback_id,
            product=product,
            code=correction.code,
            taxonomy_version=correction.taxonomy_version,
        )
        self._store.put(offered.key, offered.to_json(), only_if_absent=True)
        return offered

    def find(self, user: str, item_id: str) -> KnownAnswer | None:
        """Return what was offered to a user under an id, None if that is no product with a known answer."""
        key = known_key(item_id)
        try:
            found = KnownAnswer.from_json(self._store.get(key), key)
        except ObjectNotFound:
            return None
        return found if found.user == user else None

    def answer(self, offered: KnownAnswer, expected: str, given: str) -> GivenAnswer:
        """Store an answer, the first one of an item, and return that; codes are of the newest taxonomy."""
        answer = GivenAnswer(
            item_id=offered.item_id, created=self._now(), user=offered.user, expected=expected, given=given
        )
        try:
            self._store.put(answer.key, answer.to_json(), only_if_absent=True)
        except ObjectExists:
            answer = GivenAnswer.from_json(self._store.get(answer.key), answer.key)
        return answer


def known_key(item_id: str) -> str:
    """Return the key of an offered product with a known answer."""
    return f"{KNOWN_PREFIX}{item_id}.json"


def count_answers(store: ObjectStore, since: date) -> dict[str, AnswerCounts]:
    """Return the known answers by user of the items that were offered from a day (UTC) on."""
    answered: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for answer in _answers(store, since):
        answered[answer.user] += 1
        right[answer.user] += answer.given == answer.expected
    return {user: AnswerCounts(count, right[user]) for user, count in answered.items()}


def _answers(store: ObjectStore, since: date) -> Iterator[GivenAnswer]:
    for key in store.list(ANSWERS_PREFIX, start_after=f"{ANSWERS_PREFIX}dt={since.isoformat()}"):
        with suppress(ObjectNotFound):
            data = store.get(key)
            try:
                yield GivenAnswer.from_json(data, key)
            except StoreUnavailable as error:
                log.warning("record_damaged", key=key, reason=str(error))

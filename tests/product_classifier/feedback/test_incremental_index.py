"""The index computes the same as the rule applied to everything, whatever arrives in whatever order."""

import os
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from product_classifier.errors import UnknownFeedback
from product_classifier.feedback.correction_filter import CorrectionFilter
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.records import (
    Correction,
    ProductContent,
    Review,
    Revision,
    new_id,
)
from product_classifier.feedback.trust import last_decisions, states, trusted_labels
from product_classifier.limits import LISTED_CHARACTERS
from tests.support.corrections import (
    NOW,
    ROLES,
    make_correction,
    make_review,
    put,
)
from tests.support.fakes import FakeStore

STEPS = int(os.environ.get("STATE_MACHINE_STEPS", "2000"))
STEPS_EACH = 40
SPELLINGS = ("Chemise bleue", "CHEMISE  bleue", "Chemise, <b>bleue</b>", "Robe")


class IndexAgainstRule(RuleBasedStateMachine):
    """Corrections and reviews arrive late, twice, before or after each other, in the store or by `add`."""

    @initialize()
    def begin(self) -> None:
        self.store = FakeStore()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "index.sqlite"
        self.index = FeedbackIndex(self.store, self.path)
        self.made: list[Correction] = []
        self.stored: dict[str, Correction] = {}
        self.reviews: dict[str, Review] = {}
        self.revisions: list[Revision] = []
        self.watermark: set[str] = set()

    def teardown(self) -> None:
        if hasattr(self, "index"):
            self.index.close()
            self.folder.cleanup()

    @rule(
        spelling=st.sampled_from(SPELLINGS),
        user=st.sampled_from(sorted(ROLES)),
        code=st.integers(0, 1),
        days=st.integers(-3, 0),
        seconds=st.integers(0, 3),
        stored=st.booleans(),
    )
    def submit(self, spelling: str, user: str, code: int, days: int, seconds: int, *, stored: bool) -> None:
        """A correction is made; it may reach the store later."""
        created = NOW + timedelta(days=days, seconds=seconds)
        self.made.append(make_correction(spelling, user, code, created=created))
        if stored:
            self.store_correction(len(self.made) - 1, added=False)

    @rule(number=st.integers(0, 30), added=st.booleans())
    def store_correction(self, number: int, *, added: bool) -> None:
        """A correction reaches the store, perhaps again, and the index if this server stored it."""
        if number >= len(self.made):
            return
        correction = self.made[number]
        self.stored[correction.feedback_id] = correction
        put(self.store, correction)
        if added:
            self.index.add(correction)

    @rule(number=st.integers(0, 30), decision=st.sampled_from(["approved", "rejected"]), added=st.booleans())
    def review(self, number: int, decision: Any, *, added: bool) -> None:
        """A review reaches the store, perhaps before its correction."""
        if number >= len(self.made):
            return
        review = self.reviews.setdefault(
            self.made[number].feedback_id, make_review(self.made[number], decision, NOW + timedelta(minutes=number))
        )
        put(self.store, review)
        if added:
            self.index.add(review)

    @rule(
        number=st.integers(0, 30),
        action=st.sampled_from(["approved", "rejected", "corrected", "reopened", "withdrawn"]),
        seconds=st.integers(0, 5),
        added=st.booleans(),
    )
    def revise(self, number: int, action: Any, seconds: int, *, added: bool) -> None:
        """A later decision reaches the store, perhaps before its correction, its review and earlier ones."""
        if number >= len(self.made):
            return
        created = NOW + timedelta(seconds=seconds)
        revision = Revision(
            revision_id=new_id(created),
            feedback_id=self.made[number].feedback_id,
            created=created,
            user="rita",
            action=action,
        )
        self.revisions.append(revision)
        put(self.store, revision)
        if added:
            self.index.add(revision)

    @rule(number=st.integers(0, 30))
    def delete(self, number: int) -> None:
        """Delete an object from the store, as an erasure does."""
        if number < len(self.made) and self.made[number].feedback_id in self.stored:
            correction = self.made[number]
            del self.stored[correction.feedback_id]
            self.store.delete(correction.key)
            self.index.sweep()

    @rule()
    def use_all_labels(self) -> None:
        """A run succeeds with all labels."""
        self.index.sweep()
        labels = self.index.labels()
        self.watermark = {label.fingerprint for label in labels}
        self.index.set_watermark(str(len(self.watermark)), [(label.product_key, label.code) for label in labels])

    @rule()
    def restart(self) -> None:
        """The process ends and starts again."""
        self.index.close()
        self.index = FeedbackIndex(self.store, self.path)

    @invariant()
    def agrees_with_the_rule(self) -> None:
        """States, labels, counts and pages are those of the rule applied to all that is stored."""
        self.index.refresh()
        self.index.sweep()
        corrections = list(self.stored.values())
        decisions = last_decisions(self.reviews, self.revisions)
        expected = states(corrections, decisions)
        labels = trusted_labels(corrections, decisions)

        assert expected == self.index.states()
        assert labels == self.index.labels()
        assert len([one for one in labels if one.fingerprint not in self.watermark]) == self.index.new_label_count()
        newest = sorted(corrections, key=lambda one: (one.created, one.feedback_id), reverse=True)
        assert [one.feedback_id for one in newest] == listed(self.index)
        for user in ROLES:
            own = [one.feedback_id for one in newest if one.user == user]
            pending = [one for one in own if expected[one] == "pending"]
            assert (own, pending) == (listed(self.index, user=user), listed(self.index, user=user, state="pending"))
            today = [one for one in corrections if one.user == user and one.created.date() == NOW.date()]
            assert len(today) == self.index.count_of_day(user, NOW.date())


def listed(index: FeedbackIndex, **filters: Any) -> list[str]:
    """Return the ids of all pages, and check that each page states the same total."""
    found: list[str] = []
    totals = set()
    cursor = None
    while True:
        page = index.page(CorrectionFilter(**filters), limit=3, cursor=cursor)
        found += [item.feedback_id for item in page.items]
        totals.add(page.total)
        cursor = page.next_cursor
        if cursor is None:
            assert totals == {len(found)}
            return found


TestIndexAgainstRule = IndexAgainstRule.TestCase
TestIndexAgainstRule.settings = settings(
    max_examples=max(1, STEPS // STEPS_EACH // 5),
    stateful_step_count=STEPS_EACH,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_an_object_that_waits_in_the_journal_stays_indexed() -> None:
    store = FakeStore()
    index = FeedbackIndex(store)
    waiting, lost = make_correction("a"), make_correction("b")
    put(store, make_correction("c"))
    index.refresh()
    index.add(waiting)
    index.add(lost)
    index.is_pending = lambda key: key == waiting.key
    index.sweep()

    assert {"a", "c"} == {one.product.designation for one in index.corrections() if one.product}


def test_long_texts_are_cut_in_the_index_and_whole_in_labels() -> None:
    store, texts = FakeStore(), ("é" * 2000, "ü" * 40_000)
    product = ProductContent(designation=texts[0], description=texts[1])
    put(store, make_correction("", "rita", product=product))
    index = FeedbackIndex(store)
    index.refresh()
    (item,) = index.page(limit=5).items
    (label,) = index.labels()

    assert item.is_cut
    assert item.product is not None
    assert "é" * LISTED_CHARACTERS + "…" == item.product.designation
    assert "ü" * LISTED_CHARACTERS + "…" == item.product.description
    assert product == label.product


def test_a_cursor_of_another_user_is_unknown() -> None:
    index = FeedbackIndex(FakeStore())
    mine, other = make_correction("a", "ann"), make_correction("b", "bob")
    index.add(mine)
    index.add(other)

    assert () == tuple(index.page(CorrectionFilter(user="ann"), limit=1, cursor=mine.feedback_id).items)
    with pytest.raises(UnknownFeedback):
        index.page(CorrectionFilter(user="ann"), limit=1, cursor=other.feedback_id)


def test_states_of_a_large_product_are_not_computed_at_every_correction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("product_classifier.feedback.state_updates.LARGE_PRODUCT", 20)
    monkeypatch.setattr("product_classifier.feedback.state_updates.LARGE_PRODUCT_SHARE", 1e-9)
    index = FeedbackIndex(FakeStore())
    for number in range(30):
        index.add(make_correction("Chemise", "ann", created=NOW + timedelta(seconds=number)))
    index.add(make_correction("Chemise", "bob", created=NOW + timedelta(minutes=1)))
    index.add(make_correction("Robe", "rita"))
    postponed = set(index.states().values())
    index._states.large_due = 0.0
    index.refresh()

    assert {"pending", "trusted"} == postponed
    assert {"agreed", "trusted"} == set(index.states().values())


def test_the_cost_of_a_correction_does_not_grow_with_their_number() -> None:
    def statements(history: int) -> int:
        index = FeedbackIndex(FakeStore())
        for number in range(history):
            index.add(make_correction(f"produit {number}"))
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        with index._database.write() as database:
            database.set_progress_handler(count, 10)
        index.add(make_correction("Robe", "rita"))
        index.new_label_count()
        index.page(limit=1)
        index.page(CorrectionFilter(state="pending"), limit=1)
        index.page(CorrectionFilter(user="ann", state="rejected"), limit=1)
        index.count_of_day("ann", NOW.date())
        return steps

    assert statements(1000) <= 2 * statements(50) + 20

"""The index of predictions lists what the store has, whatever the filter, and follows the store."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import InvalidInput, UnknownPrediction
from product_classifier.feedback.prediction_index import PredictionFilter, PredictionIndex
from product_classifier.feedback.records import PredictionRecord, ProductContent, new_id
from product_classifier.stored_taxonomy.change_store import StoredTaxonomy
from tests.support.corrections import NOW, CountingStore, make_prediction
from tests.support.fakes import FakeStore

WORDS = ("théière", "bouilloire", "tasse", "急須セット")


def predictions() -> st.SearchStrategy[PredictionRecord]:
    return st.builds(
        lambda minutes, words, photo, **fields: make_prediction("x", NOW + timedelta(minutes=minutes)).model_copy(
            update=fields | {"product": ProductContent(designation=" ".join(words), image_sha256=photo or None)}
        ),
        minutes=st.integers(0, 3000),
        words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3),
        photo=st.sampled_from(["", "0" * 64, "1" * 64]),
        user=st.sampled_from(["ann", "bob"]),
        code=st.sampled_from(CHALLENGE.codes[:2]),
        decision=st.sampled_from(["accept", "review", None]),
        release=st.sampled_from(["r-1", "r-2"]),
    )


def filters() -> st.SearchStrategy[PredictionFilter]:
    moments = st.none() | st.integers(0, 3000).map(lambda minutes: NOW + timedelta(minutes=minutes))
    return st.builds(
        PredictionFilter,
        user=st.sampled_from([None, "ann", "bob", "cid"]),
        since=moments,
        until=moments,
        category=st.sampled_from([None, *CHALLENGE.codes[:3]]),
        decision=st.sampled_from([None, "accept", "review"]),
        release=st.sampled_from([None, "r-1"]),
        q=st.sampled_from(["", "theiere", "TASSE bouil", "急須"]),
    )


def open_index(store: FakeStore, path: Path | None = None) -> PredictionIndex:
    return PredictionIndex(store, StoredTaxonomy(store), path, today=NOW.date)


def put(store: FakeStore, records: Sequence[PredictionRecord]) -> None:
    for record in records:
        store.put(record.key, record.to_json())


def all_ids(index: PredictionIndex, chosen: PredictionFilter, limit: int = 3) -> Iterator[str]:
    cursor = None
    while True:
        page = index.page(chosen, limit=limit, cursor=cursor)
        yield from (item.prediction_id for item in page.items)
        if (cursor := page.next_cursor) is None:
            return


def matches(record: PredictionRecord, chosen: PredictionFilter) -> bool:
    text = record.product.designation.replace("é", "e").replace("è", "e")
    return (
        (chosen.user in {None, record.user})
        and (chosen.category in {None, record.code})
        and (chosen.decision in {None, record.decision})
        and (chosen.release in {None, record.release})
        and (chosen.since is None or record.created >= chosen.since)
        and (chosen.until is None or record.created < chosen.until)
        and all(word in text for word in chosen.q.lower().split())
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(predictions(), max_size=25, unique_by=lambda one: one.prediction_id), filters())
def test_all_pages_of_a_filter_list_the_matching_predictions_newest_first(
    records: list[PredictionRecord], chosen: PredictionFilter
) -> None:
    store = FakeStore()
    put(store, records)
    index = open_index(store)
    index.refresh()

    found = list(all_ids(index, chosen))

    assert sorted(one.prediction_id for one in records if matches(one, chosen)) == sorted(found)
    times = [{one.prediction_id: one.created for one in records}[identifier] for identifier in found]
    assert times == sorted(times, reverse=True)


def test_refreshing_reads_only_what_is_new_from_the_newest_record_on() -> None:
    store = CountingStore()
    put(store, [make_prediction(f"produit {i}", NOW + timedelta(minutes=20 * i)) for i in range(50)])
    index = open_index(store)
    index.refresh()
    store.reads, store.listings = 0, []

    put(store, [new := make_prediction("nouveau", NOW + timedelta(minutes=20 * 49))])
    index.refresh()

    assert 1 == store.reads
    assert new.prediction_id in set(all_ids(index, PredictionFilter()))
    (_, start), *_ = store.listings
    assert f"predictions/dt={NOW + timedelta(minutes=20 * 49 - 10):%Y-%m-%d}/01" == start[:28]


def test_records_written_late_and_deleted_ones_are_found_by_the_listing_of_all_days(tmp_path: Path) -> None:
    store = FakeStore()
    old, newer = make_prediction("vieux", NOW - timedelta(days=3)), make_prediction("récent")
    put(store, [newer, deleted := make_prediction("supprimé", NOW - timedelta(days=3, hours=1))])
    index = open_index(store, tmp_path / "predictions.sqlite")
    index.refresh()

    put(store, [old])
    store.delete(deleted.key)
    index.sweep()

    assert [newer.prediction_id, old.prediction_id] == list(all_ids(index, PredictionFilter()))
    assert [] == list(all_ids(index, PredictionFilter(q="supprime")))
    index.close()


def test_an_id_of_a_wrong_clock_does_not_hide_new_predictions() -> None:
    store = FakeStore()
    put(store, [make_prediction("futur", datetime(2090, 1, 1, tzinfo=UTC)), make_prediction("un")])
    index = open_index(store)
    index.refresh()
    put(store, [new := make_prediction("deux", NOW + timedelta(seconds=1))])

    index.refresh()

    assert index.get(new.prediction_id) is not None


def test_a_damaged_record_is_skipped() -> None:
    store = FakeStore()
    damaged = make_prediction("abîmé")
    store.put(damaged.key, b"{}")
    store.put("predictions/other", b"{}")
    put(store, [good := make_prediction("bon")])
    index = open_index(store)

    assert index.refresh()
    assert [good.prediction_id] == list(all_ids(index, PredictionFilter()))


def test_photos_belong_to_the_users_who_sent_them() -> None:
    store = FakeStore()
    photo = ProductContent(image_sha256="a" * 64)
    put(store, [make_prediction("x").model_copy(update={"product": photo})])
    index = open_index(store)
    index.refresh()

    assert index.has_photo("a" * 64, "ann")
    assert not index.has_photo("a" * 64, "bob")
    assert not index.has_photo("b" * 64, "ann")


def test_a_query_without_words_and_an_unknown_cursor_are_refused() -> None:
    index = open_index(FakeStore())

    with pytest.raises(InvalidInput, match="q: '---' has no letter or digit"):
        index.page(PredictionFilter(q="---"), limit=1)
    with pytest.raises(UnknownPrediction, match="cursor: no page ends with"):
        index.page(PredictionFilter(), limit=1, cursor=new_id())

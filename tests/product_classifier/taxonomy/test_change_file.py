"""Tests of change files: what is refused, what they do, and how codes are read through several."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from product_classifier.errors import TaxonomyError
from product_classifier.taxonomy.category import Category
from product_classifier.taxonomy.change_file import ChangeFile, apply_changes, json_schema, parse_change_file
from product_classifier.taxonomy.tree import Taxonomy
from product_classifier.taxonomy.version_history import CodeMap, History, Reading, compose


def taxonomy(*pairs: str, **options: Any) -> Taxonomy:
    """Return a taxonomy of "code" or "parent/code" texts."""
    split = [text.rpartition("/") for text in pairs]
    return Taxonomy(tuple(Category(code, {"en": code}, parent or None) for parent, _, code in split), **options)


def changed(*changes: dict[str, Any], version: int = 1) -> ChangeFile:
    document = {"from": version, "to": version + 1, "changes": list(changes)}
    return parse_change_file(json.dumps(document).encode(), "change.json")


BASE = taxonomy("food", "food/green", "food/black", "toys", "old", tombstones=frozenset({"gone"}))
TEA = {"do": "add", "code": "tea", "parent": "food", "labels": {"en": "Tea"}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([{"do": "rename", "code": "blck", "labels": {}}], "change 1 (rename): category code 'blck' is not one of"),
        ([{"do": "rename", "code": "gone", "labels": {}}], "it is retired"),
        ([{"do": "merge", "codes": ["green"], "into": "gone"}], "change 1 (merge): 'gone' is retired in version 2"),
        ([{"do": "merge", "codes": ["green"], "into": "tea"}], "change 1 (merge): 'tea' is not there in version 2"),
        ([{"do": "split", "code": "old", "into": ["toys", "x"]}], "change 1 (split): 'x' is not there in version 2"),
        ([{"do": "retire", "code": "old", "to": "x"}], "change 1 (retire): 'x' is not there in version 2"),
        ([{"do": "retire", "code": "old"}, {"do": "merge", "codes": ["toys"], "into": "old"}], "'old' is retired in"),
        ([{"do": "retire", "code": "old"}, {"do": "retire", "code": "old"}], "is removed by change 1 too; keep one"),
        (
            [{"do": "split", "code": "old", "into": ["old", "toys"]}, {"do": "merge", "codes": ["old"], "into": "old"}],
            "'old' is mapped by change 1 too",
        ),
        ([{"do": "retire", "code": "old"}, {"do": "rename", "code": "old", "labels": {}}], "'old' is retired in"),
        ([{"do": "retire", "code": "food"}], "its parent 'food' is removed; move it or remove it"),
        ([{"do": "move", "code": "food", "parent": "green"}], "is below itself; correct its parent"),
        ([{"do": "move", "code": "toys", "parent": "nowhere"}], "'nowhere' is not there in version 2"),
        ([TEA, TEA], "change 2 (add): 'tea' is added twice; remove one"),
        ([TEA | {"code": "toys"}], "change 1 (add): 'toys' was given before; choose a code that never was"),
        ([TEA | {"code": "gone"}], "change 1 (add): 'gone' was given before"),
        ([TEA | {"code": " "}], "is empty; give each category a code"),
        ([TEA | {"parrent": "food"}], "change.json: changes.0.add.parrent"),
        ([{"do": "delete", "code": "old"}], "change.json: changes.0"),
        ([], "change.json: changes"),
    ],
)
def test_an_invalid_change_is_refused_with_its_place(changes: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(TaxonomyError) as refused:
        apply_changes(BASE, changed(*changes))

    assert message in str(refused.value)


@pytest.mark.parametrize("versions", [(1, 3), (2, 1), (2, 2), (0, 1)])
def test_a_file_is_one_step(versions: tuple[int, int]) -> None:
    document = {"from": versions[0], "to": versions[1], "changes": [TEA]}
    with pytest.raises(TaxonomyError, match=r"change\.json: "):
        parse_change_file(json.dumps(document).encode(), "change.json")


def test_a_file_for_another_version_is_refused() -> None:
    with pytest.raises(TaxonomyError, match="from: 2 is not the newest version 1; write the change for that one"):
        apply_changes(BASE, changed(TEA, version=2))


def test_the_order_of_changes_in_a_file_has_no_meaning() -> None:
    changes = [
        TEA,
        {"do": "merge", "codes": ["green", "black"], "into": "tea"},
        {"do": "move", "code": "toys", "parent": "tea"},
    ]

    forward, backward = (apply_changes(BASE, changed(*order)) for order in (changes, changes[::-1]))

    assert {one.code: one.parent for one in forward} == {"food": None, "toys": "tea", "old": None, "tea": "food"}
    assert set(forward.categories) == set(backward.categories)
    assert forward.tombstones == {"gone", "green", "black"}


def test_an_added_category_is_known_and_not_answerable_before_it_has_products() -> None:
    found = apply_changes(BASE, changed(TEA))

    assert (BASE.codes, 2) == (found.codes, found.version)
    assert "tea" in found
    products = dict.fromkeys(BASE.codes, 9)
    assert found.with_answerable(products).codes == BASE.codes
    assert found.with_answerable(products | {"tea": 5}).codes == (*BASE.codes, "tea")


def test_a_rename_keeps_the_code_and_the_answerable_categories() -> None:
    found = apply_changes(
        BASE, changed({"do": "rename", "code": "old", "labels": {"en": "Antiques", "fr": "Antiquités"}})
    )

    assert found.codes == BASE.codes
    assert found["old"].labels == {"en": "Antiques", "fr": "Antiquités"}
    assert found.tombstones == BASE.tombstones


def test_a_merge_moves_the_counts_of_two_and_of_no_other() -> None:
    history = History(BASE, [changed(TEA, {"do": "merge", "codes": ["green", "black"], "into": "tea"})])
    products = {"green": 3, "black": 4, "toys": 5, "old": 6, "food": 7}

    counts: dict[str | None, int] = {}
    for code, number in products.items():
        reading = history.read(code, 1)
        counts[reading.code] = counts.get(reading.code, 0) + number

    assert counts == {"tea": 7, "toys": 5, "old": 6, "food": 7}


def test_a_split_counts_at_the_parent_and_needs_a_decision() -> None:
    parts = [{"do": "add", "code": code, "parent": "food"} for code in ("sencha", "matcha")]
    history = History(BASE, [changed(*parts, {"do": "split", "code": "green", "into": ["sencha", "matcha"]})])

    assert history.read("green", 1) == Reading("food", decided=False)
    assert history.read("black", 1) == Reading("black")
    assert history.read("sencha", 2) == Reading("sencha")


def test_a_code_that_stays_after_its_split_is_read_by_its_version() -> None:
    history = History(BASE, [changed(TEA, {"do": "split", "code": "old", "into": ["old", "tea"]})])

    assert history.read("old", 1) == Reading(None, decided=False)
    assert history.read("old", 2) == Reading("old")


@pytest.mark.parametrize(
    ("code", "version", "reading"),
    [
        ("green", 1, Reading("drinks")),
        ("black", 1, Reading("drinks")),
        ("tea", 2, Reading("drinks")),
        ("old", 1, Reading(None)),
        ("toys", 1, Reading("toys")),
        ("toys", 4, Reading("toys")),
    ],
)
def test_a_code_is_read_through_all_later_files(code: str, version: int, reading: Reading) -> None:
    history = History(
        BASE,
        [
            changed(TEA, {"do": "merge", "codes": ["green"], "into": "tea"}),
            changed({"do": "merge", "codes": ["black"], "into": "tea"}, {"do": "retire", "code": "old"}, version=2),
            changed({"do": "add", "code": "drinks"}, {"do": "merge", "codes": ["tea"], "into": "drinks"}, version=3),
        ],
    )

    assert history.read(code, version) == reading
    assert history.newest.version == 4


@pytest.mark.parametrize("version", [0, 3, 99])
def test_an_unknown_version_is_one_error(version: int) -> None:
    with pytest.raises(TaxonomyError, match=f"taxonomy version: {version} is not one of 1 to 2"):
        History(BASE, [changed(TEA)]).read("toys", version)


def test_each_of_a_moved_subtree_goes_by_its_own_rule() -> None:
    children = [f"c{number}" for number in range(100)]
    base = taxonomy("a", "b", "a/s", *(f"s/{child}" for child in children))
    found = apply_changes(
        base, changed({"do": "move", "code": "s", "parent": "b"}, {"do": "move", "code": "c7", "parent": "a"})
    )

    assert found.path_of("c7") == ("a", "c7")
    assert {found.path_of(child) for child in children if child != "c7"} == {
        ("b", "s", child) for child in children if child != "c7"
    }


READINGS = st.builds(Reading, st.one_of(st.none(), st.sampled_from("abcdef")), st.booleans())
MAPS = st.dictionaries(st.sampled_from("abcdef"), READINGS)


@given(MAPS, MAPS, MAPS)
def test_composition_is_associative(first: CodeMap, second: CodeMap, third: CodeMap) -> None:
    assert compose(compose(first, second), third) == compose(first, compose(second, third))


@st.composite
def chains(draw: st.DrawFn) -> History:
    """Return a taxonomy and valid change files, each built on the version before it."""
    base = taxonomy("root", *(f"root/n{number}" for number in range(6)))
    files, now, number = [], base, 10
    for _ in range(draw(st.integers(0, 5))):
        leaves = list(now.children("root"))
        changes: list[dict[str, Any]] = [{"do": "add", "code": f"n{number}", "parent": "root"}]
        for code in draw(st.sets(st.sampled_from(leaves), max_size=len(leaves) - 1)):
            kind = draw(st.sampled_from(["rename", "merge", "split", "retire", "retire to"]))
            changes.append(
                {
                    "rename": {"do": "rename", "code": code, "labels": {"en": f"{code} {number}"}},
                    "merge": {"do": "merge", "codes": [code], "into": f"n{number}"},
                    "split": {"do": "split", "code": code, "into": [f"n{number}", "root"]},
                    "retire": {"do": "retire", "code": code},
                    "retire to": {"do": "retire", "code": code, "to": f"n{number}"},
                }[kind]
            )
        files.append(changed(*changes, version=now.version))
        now = apply_changes(now, files[-1])
        number += 1
    return History(base, files)


@settings(max_examples=60, deadline=None)
@given(chains())
def test_every_code_of_every_version_is_read_as_step_by_step_and_is_live(history: History) -> None:
    for first in history.versions:
        for code in (category.code for category in first):
            stepwise = Reading(code)
            for at in range(first.version, history.newest.version):
                one = History(history.at(at), history.files[at - 1 : at])
                if stepwise.code is not None:
                    found = one.read(stepwise.code, at)
                    stepwise = Reading(found.code, stepwise.decided and found.decided)
            assert history.read(code, first.version) == stepwise
            assert stepwise.code is None or stepwise.code in history.newest


@settings(max_examples=60, deadline=None)
@given(chains())
def test_a_code_is_never_given_again(history: History) -> None:
    given_codes: set[str] = set()
    for taxonomy_ in history.versions:
        codes = {category.code for category in taxonomy_}
        assert not codes & (given_codes - codes)
        assert taxonomy_.tombstones.isdisjoint(codes)
        assert given_codes <= codes | taxonomy_.tombstones
        given_codes |= codes


def test_integer_codes_are_accepted_as_numbers_and_texts() -> None:
    base = taxonomy("10", "40", "50", code_type="integer")
    file = changed({"do": "merge", "codes": [10, "40"], "into": 60}, {"do": "add", "code": 60})

    assert apply_changes(base, file).tombstones == {"10", "40"}
    assert parse_change_file(file.to_json(), "stored") == file


def test_the_schema_names_every_change() -> None:
    schema = json.dumps(json_schema())

    assert all(f'"{name}"' in schema for name in ("from", "to", "add", "rename", "move", "merge", "split", "retire"))

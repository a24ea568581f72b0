from collections import Counter, defaultdict

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_classifier.catalogue.content_keys import content_keys, text_key
from product_classifier.catalogue.splits import (
    QUARANTINED,
    SPLITS,
    SplitAssigner,
    SplitShares,
    assign_splits,
    known_splits,
)
from product_classifier.errors import CatalogueError

COLUMNS = ["designation", "description", "image_sha256"]

# Few texts and photos, so that products meet in every way: by text, by photo, and by rows that join two groups.
products = st.lists(
    st.tuples(
        st.sampled_from(["", *(f"le grand titre {n}" for n in range(8))]), st.sampled_from(["", *"abcdefgh"])
    ).filter(any),
    min_size=1,
    max_size=40,
)


def _frame(rows: list[tuple[str, str]]) -> pd.DataFrame:
    return pd.DataFrame([(title, "", photo) for title, photo in rows], columns=COLUMNS)


@given(products, products)
def test_adding_rows_moves_no_product(old: list[tuple[str, str]], new: list[tuple[str, str]]) -> None:
    before, after = assign_splits(_frame(old)), assign_splits(_frame(old + new))

    assert list(before) == list(after[: len(old)])


@given(products)
def test_near_duplicates_share_a_split(rows: list[tuple[str, str]]) -> None:
    holders = defaultdict(set)
    for (title, photo), side in zip(rows, assign_splits(_frame(rows)), strict=True):
        if side != QUARANTINED:
            for key in content_keys(title, "", photo):
                holders[key].add(side)

    assert all(len(sides) == 1 for sides in holders.values())


@given(products)
def test_only_a_row_that_would_leak_is_quarantined(rows: list[tuple[str, str]]) -> None:
    assigner = SplitAssigner()
    known: dict[str, str] = {}
    for title, photo in rows:
        keys = content_keys(title, "", photo)
        expected = {known[key] for key in keys if key in known}
        split = assigner.place(keys)
        if split != QUARANTINED:
            known.update(dict.fromkeys(keys, split))

        assert (split == QUARANTINED) == (len(expected) > 1)


@given(products, st.randoms())
def test_known_splits_hold_in_any_order(rows: list[tuple[str, str]], random: object) -> None:
    frame = _frame(rows)
    frame["side"] = assign_splits(frame)
    known = known_splits({side: frame[frame["side"] == side] for side in SPLITS})
    shuffled = frame.sample(frac=1, random_state=len(rows))

    assert list(shuffled["side"]) == list(assign_splits(shuffled, known=known))


def test_a_row_with_keys_of_two_splits_is_quarantined() -> None:
    sides = SplitAssigner(known={"text:a": "train", "photo:b": "test"})

    assert QUARANTINED == sides.place(["text:a", "photo:b"])
    assert ("train", "test") == (sides.place(["text:a"]), sides.place(["photo:b"]))


def test_the_splits_have_the_requested_shares() -> None:
    frame = _frame([(f"un titre assez long numéro {n}", "") for n in range(5000)])

    counts = Counter(assign_splits(frame))

    expected = {"train": 0.7, "validation": 0.1, "test": 0.1, "unseen": 0.1}
    assert expected == {side: pytest.approx(counts[side] / 5000, abs=0.02) for side in SPLITS}


def test_the_hash_is_stable() -> None:
    titles = ["Piscine tubulaire ronde", "Roman policier poche", "Parure de lit bleue", "Magazine de mars 1987"]

    assert ["train", "test", "validation", "test"] == list(assign_splits(_frame([(title, "") for title in titles])))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("Été à la PLAGE", ""), ("ete a la plage", "")),
        (("Caf&eacute; moulu <b>bio</b>", ""), ("Café, moulu: bio!", "")),
        (("Coussin 40 x 40 cm", ""), ("Coussin 40x40 cm", "")),
        (("Le cœur des hommes", ""), ("le coeur des hommes", "")),
        (("Housse de couette bleue", "douce"), ("Housse de couette bleue", "")),
        (("Housse de couette Réf 12345678", ""), ("Housse de couette Réf 87654321", "")),
        (("", "Une description seule"), ("", "une  DESCRIPTION seule.")),
        (("ﬁgurine n° ②", ""), ("Figurine N 2", "")),
    ],
)
def test_near_duplicates_have_one_key(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert text_key(*one) == text_key(*other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("Puzzle", "1000 pièces, un château"), ("Puzzle", "500 pièces, un chat")),
        (("Astérix tome 3 relié", ""), ("Astérix tome 4 relié", "")),
        (("Produit 1000001", ""), ("Produit 1000002", "")),
    ],
)
def test_different_products_have_different_keys(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert text_key(*one) != text_key(*other)


@given(st.text(max_size=200), st.text(max_size=200))
def test_every_text_with_a_word_has_a_key(designation: str, description: str) -> None:
    key = text_key(designation, description)

    assert key == "" or key.startswith("text:")
    assert key == text_key(f"  {designation}  ", f" {description} ")


def test_a_product_without_keys_is_an_error() -> None:
    with pytest.raises(CatalogueError, match="neither text nor photo"):
        SplitAssigner().place(content_keys("", "<br>", ""))


def test_a_row_without_keys_is_quarantined_and_no_other() -> None:
    frame = pd.DataFrame({"designation": ["un bon titre", "!!!"], "description": ["", ""], "image_sha256": ["", ""]})

    splits = list(assign_splits(frame))

    assert (True, QUARANTINED) == (splits[0] in SPLITS, splits[1])


@pytest.mark.parametrize("shares", [(0.5, 0.1, 0.1, 0.1), (1.2, -0.2, 0, 0), (0.7, 0.1, 0.1, 0.2)])
def test_shares_that_do_not_add_up_to_one_are_refused(shares: tuple[float, float, float, float]) -> None:
    with pytest.raises(CatalogueError, match="add up to 1"):
        SplitShares(*shares)

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_classifier.catalogue.merging import COLUMNS, merge
from product_classifier.catalogue.splits import SPLITS, assign_splits, content_keys, known_splits

TITLES = [f"un titre parmi d'autres numero {number}" for number in range(30)]
PHOTOS = ["", *(f"{number:064x}" for number in range(6))]

products = st.lists(st.tuples(st.sampled_from(TITLES), st.sampled_from(PHOTOS), st.sampled_from([10, 40])), max_size=60)


def catalogue(rows: list[tuple[str, str, int]]) -> dict[str, pd.DataFrame]:
    values = [(n, title, "", photo and "photo.jpg", code, n, photo) for n, (title, photo, code) in enumerate(rows)]
    frame = pd.DataFrame(values, columns=list(COLUMNS[:-1]))
    sides = assign_splits(frame)
    return {side: frame[sides == side].reset_index(drop=True) for side in SPLITS}


def corrected(rows: list[tuple[str, str, int]]) -> pd.DataFrame:
    values = [
        (-1 - n, title, "", photo and f"images/{photo}", code, 0, photo, b"x" if photo else None)
        for n, (title, photo, code) in enumerate(rows)
    ]
    return pd.DataFrame(values, columns=list(COLUMNS))


def keys_of(frame: pd.DataFrame) -> list[tuple[str, ...]]:
    return [content_keys(*row) for row in frame[["designation", "description", "image_sha256"]].itertuples(index=False)]


@given(products, products)
def test_corrections_of_held_out_products_are_never_merged(
    rows: list[tuple[str, str, int]], given: list[tuple[str, str, int]]
) -> None:
    sides = catalogue(rows)
    merged = merge(sides["train"], corrected(given), known_splits(sides))

    learned = {key for keys in keys_of(merged.train) for key in keys}
    frozen = {key for side in ("validation", "test") for keys in keys_of(sides[side]) for key in keys}
    assert set() == learned & frozen
    assert len(given) == sum(merged.counts().values())


@given(products, products)
def test_every_other_correction_is_merged_once_with_its_newest_label(
    rows: list[tuple[str, str, int]], given: list[tuple[str, str, int]]
) -> None:
    sides = catalogue(rows)
    merged = merge(sides["train"], corrected(given), known_splits(sides))

    keys = keys_of(merged.train)
    opinions = [(set(content_keys(title, "", photo)), code) for title, photo, code in given]
    for row_keys, code, product_id in zip(keys, merged.train["code"], merged.train["product_id"], strict=True):
        about_it = [said_code for said_keys, said_code in opinions if said_keys <= set(row_keys)]
        assert about_it or product_id >= 0
        assert not about_it or about_it[-1] == code
    for (said_keys, _), outcome in zip(opinions, merged.outcomes, strict=True):
        assert (outcome == "held_out") != any(said_keys <= set(row_keys) for row_keys in keys)
    added = [row_keys for row_keys, number in zip(keys, merged.train["product_id"], strict=True) if number < 0]
    assert len(added) == len(set(added)) == merged.counts()["added"]


@given(products, products)
def test_products_without_a_correction_are_unchanged(
    rows: list[tuple[str, str, int]], given: list[tuple[str, str, int]]
) -> None:
    sides = catalogue(rows)
    train = sides["train"]
    merged = merge(train, corrected(given), known_splits(sides)).train

    kept = merged[merged["product_id"] >= 0]
    touched = {key for keys in keys_of(corrected(given)) for key in keys}
    alone = [not touched & set(keys) for keys in keys_of(train)]
    assert list(train["product_id"]) == list(kept["product_id"])
    assert list(train["code"][alone]) == list(kept["code"].reset_index(drop=True)[alone])


TRAINED, PHOTO = TITLES[0], PHOTOS[1]
HELD = {content_keys(TITLES[5], "")[0]: "test", content_keys(TITLES[6], "")[0]: "unseen"}


@pytest.mark.parametrize(
    ("title", "photo", "code", "outcome"),
    [
        pytest.param(TRAINED, PHOTO, 40, "relabelled", id="a product to learn from"),
        pytest.param(TRAINED, "", 40, "relabelled", id="its title alone"),
        pytest.param("UN TITRE parmi d’autres, numéro 0", PHOTO, 40, "relabelled", id="written otherwise"),
        pytest.param(TRAINED, PHOTO, 10, "unchanged", id="the label it has"),
        pytest.param(TRAINED, PHOTOS[2], 40, "added", id="its title with another photo"),
        pytest.param(TITLES[5], "", 40, "held_out", id="a product of the hold-out"),
        pytest.param(TITLES[5], PHOTO, 40, "held_out", id="the hold-out's title with a photo to learn from"),
        pytest.param(TITLES[6], "", 40, "added", id="an unseen product"),
        pytest.param(TITLES[9], "", 40, "added", id="a product nobody knows"),
    ],
)
def test_the_outcome_of_a_correction(title: str, photo: str, code: int, outcome: str) -> None:
    train = corrected([(TRAINED, PHOTO, 10)]).drop(columns="photo")
    held = HELD | dict.fromkeys(content_keys(TRAINED, "", PHOTO), "train")

    merged = merge(train, corrected([(title, photo, code)]), held)

    assert (outcome,) == merged.outcomes
    assert {"relabelled": [40], "unchanged": [10], "held_out": [10], "added": [10, 40]}[outcome] == list(
        merged.train["code"]
    )


def test_of_two_corrections_of_near_duplicates_the_later_applies() -> None:
    merged = merge(corrected([]).drop(columns="photo"), corrected([(TRAINED, "", 10), (TRAINED.upper(), "", 40)]), {})

    assert (("added", "relabelled"), [40]) == (merged.outcomes, list(merged.train["code"]))

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_classifier.catalogue.content_keys import content_keys
from product_classifier.catalogue.merging import COLUMNS, merge
from product_classifier.catalogue.splits import SPLITS, assign_splits, known_splits

TITLES = [f"un titre parmi d'autres numero {number}" for number in range(30)]
PHOTOS = ["", *(f"{number:064x}" for number in range(6))]

products = st.lists(st.tuples(st.sampled_from(TITLES), st.sampled_from(PHOTOS), st.sampled_from([10, 40])), max_size=60)


def catalogue(rows: list[tuple[str, str, int]]) -> dict[str, pd.DataFrame]:
    values = [(n, title, "", photo and "photo.jpg", code, n, photo) for n, (title, photo, code) in enumerate(rows)]
    frame = pd.DataFrame(values, columns=list(COLUMNS[:-1]))
    splits = assign_splits(frame)
    return {split: frame[splits == split].reset_index(drop=True) for split in SPLITS}


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
    splits = catalogue(rows)
    merged = merge(splits["train"], corrected(given), known_splits(splits))

    merged_keys = {key for keys in keys_of(merged.train) for key in keys}
    frozen = {key for split in ("validation", "test") for keys in keys_of(splits[split]) for key in keys}
    assert set() == merged_keys & frozen
    assert len(given) == sum(merged.counts().values())


@given(products, products)
def test_every_other_correction_is_merged_once_with_its_newest_label(
    rows: list[tuple[str, str, int]], given: list[tuple[str, str, int]]
) -> None:
    splits = catalogue(rows)
    merged = merge(splits["train"], corrected(given), known_splits(splits))

    keys = keys_of(merged.train)
    labels = [(set(content_keys(title, "", photo)), code) for title, photo, code in given]
    for row_keys, code, product_id in zip(keys, merged.train["code"], merged.train["product_id"], strict=True):
        matching = [code_given for keys_given, code_given in labels if keys_given <= set(row_keys)]
        assert matching or product_id >= 0
        assert not matching or matching[-1] == code
    for (keys_given, _), outcome in zip(labels, merged.outcomes, strict=True):
        assert (outcome == "held_out") != any(keys_given <= set(row_keys) for row_keys in keys)
    added = [row_keys for row_keys, number in zip(keys, merged.train["product_id"], strict=True) if number < 0]
    assert len(added) == len(set(added)) == merged.counts()["added"]


@given(products, products)
def test_products_without_a_correction_are_unchanged(
    rows: list[tuple[str, str, int]], given: list[tuple[str, str, int]]
) -> None:
    splits = catalogue(rows)
    train = splits["train"]
    merged = merge(train, corrected(given), known_splits(splits)).train

    remaining = merged[merged["product_id"] >= 0]
    touched = {key for keys in keys_of(corrected(given)) for key in keys}
    alone = [not touched & set(keys) for keys in keys_of(train)]
    assert list(train["product_id"]) == list(remaining["product_id"])
    assert list(train["code"][alone]) == list(remaining["code"].reset_index(drop=True)[alone])


TRAINED, PHOTO = TITLES[0], PHOTOS[1]
HELD = {content_keys(TITLES[5], "")[0]: "test", content_keys(TITLES[6], "")[0]: "unseen"}


@pytest.mark.parametrize(
    ("title", "photo", "code", "outcome"),
    [
        pytest.param(TRAINED, PHOTO, 40, "relabelled", id="a training product"),
        pytest.param(TRAINED, "", 40, "relabelled", id="its title alone"),
        pytest.param("UN TITRE parmi d’autres, numéro 0", PHOTO, 40, "relabelled", id="the title in other writing"),
        pytest.param(TRAINED, PHOTO, 10, "unchanged", id="the same label"),
        pytest.param(TRAINED, PHOTOS[2], 40, "added", id="its title with another photo"),
        pytest.param(TITLES[5], "", 40, "held_out", id="a product of the hold-out"),
        pytest.param(TITLES[5], PHOTO, 40, "held_out", id="the title of a test product with a training photo"),
        pytest.param(TITLES[6], "", 40, "added", id="an unseen product"),
        pytest.param(TITLES[9], "", 40, "added", id="a new product"),
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

from collections import Counter, defaultdict
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_classifier.evaluation.folds import assign_folds, content_groups

FOLDS = 5
KEYS = st.lists(st.sampled_from([f"text:{number}" for number in range(12)]), max_size=2)
PRODUCTS = st.lists(st.tuples(KEYS, st.sampled_from("abc")), min_size=1, max_size=30)


@given(PRODUCTS, st.integers(0, 99))
def test_products_that_share_a_key_share_a_fold(products: list[tuple[list[str], str]], seed: int) -> None:
    keys, categories = zip(*products, strict=True)
    folds = assign_folds(keys, categories, FOLDS, seed)

    by_key = defaultdict(set)
    for own, fold in zip(keys, folds.tolist(), strict=True):
        for key in own:
            by_key[key].add(fold)
    assert all(len(found) == 1 for found in by_key.values())
    assert set(folds.tolist()) <= set(range(FOLDS))


@given(PRODUCTS, st.randoms(use_true_random=False))
def test_folds_do_not_depend_on_the_order_of_the_products(
    products: list[tuple[list[str], str]], random: Random
) -> None:
    products = [(own or [f"own:{row}"], category) for row, (own, category) in enumerate(products)]
    order = list(range(len(products)))
    random.shuffle(order)
    keys, categories = zip(*products, strict=True)

    folds = assign_folds(keys, categories, FOLDS, 27)
    shuffled = assign_folds([keys[row] for row in order], [categories[row] for row in order], FOLDS, 27)

    assert folds[order].tolist() == shuffled.tolist()


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=60))
def test_each_category_of_single_products_is_spread_evenly(categories: list[str]) -> None:
    folds = assign_folds([[f"text:{row}"] for row in range(len(categories))], categories, FOLDS, 27)

    for category in set(categories):
        counts = Counter(fold for fold, own in zip(folds.tolist(), categories, strict=True) if own == category)
        assert max(counts.values()) - min(counts.get(fold, 0) for fold in range(FOLDS)) <= 1
    sizes = np.bincount(folds, minlength=FOLDS)
    assert sizes.max() - sizes.min() <= 1


def test_another_seed_gives_other_folds() -> None:
    keys, categories = [[f"text:{row}"] for row in range(50)], ["a"] * 50

    assert assign_folds(keys, categories, 5, 1).tolist() != assign_folds(keys, categories, 5, 2).tolist()


def test_folds_are_stable_between_versions() -> None:
    keys = [["text:a"], ["text:b", "photo:1"], ["photo:1"], ["text:c"], [], ["text:d"]]

    assert [1, 0, 0, 2, 1, 2] == assign_folds(keys, [10, 10, 40, 10, 40, 40], 3, 27).tolist()


def test_a_group_is_joined_through_others() -> None:
    keys = [["text:b", "photo:1"], ["text:a", "photo:2"], ["text:c", "photo:1"], ["photo:2", "text:c"], []]

    assert ["photo:1"] * 4 + ["row:4"] == content_groups(keys)


@pytest.mark.parametrize("folds", [0, 1])
def test_a_single_fold_is_an_error(folds: int) -> None:
    with pytest.raises(ValueError, match=f"{folds} folds: at least 2"):
        assign_folds([["a"]], ["a"], folds, 27)

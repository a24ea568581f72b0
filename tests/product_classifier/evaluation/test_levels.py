import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from product_classifier.evaluation.levels import Level, levels
from product_classifier.taxonomy import Category, Taxonomy
from product_classifier.top_probabilities import TopProbabilities


@st.composite
def trees(draw: st.DrawFn) -> Taxonomy:
    """Draw a tree of uneven depth, whose inner categories may be answerable too."""
    parents = [draw(st.integers(-1, position - 1)) for position in range(draw(st.integers(2, 90)))]
    categories = tuple(
        Category(f"c{position}", parent=None if parent < 0 else f"c{parent}") for position, parent in enumerate(parents)
    )
    leaves = Taxonomy(categories).codes
    inner = [one.code for one in categories if one.code not in leaves and draw(st.booleans())]
    return Taxonomy(categories, codes=(*leaves, *inner))


@settings(max_examples=60, deadline=None)
@given(trees(), st.integers(0, 2**31))
def test_a_category_has_the_sum_of_the_probabilities_below_it(taxonomy: Taxonomy, seed: int) -> None:
    codes = taxonomy.codes
    probabilities = np.random.default_rng(seed).dirichlet(np.full(len(codes), 0.3), 5).astype(np.float32)
    top = TopProbabilities.of(probabilities)
    kept = top.dense()

    below = kept.max(axis=1)
    for level in reversed(levels(taxonomy, codes)):
        summed = level.sum_upward(top)
        for position, code in enumerate(level.codes):
            under = [
                at for at, one in enumerate(codes) if code in taxonomy.path_of(one) and level.positions[at] == position
            ]
            expected = kept[:, under].sum(axis=1)
            assert summed.of_columns(np.full(5, position)) == pytest.approx(expected, abs=1e-5)
        assert summed.kept.sum(axis=1) == pytest.approx(kept.sum(axis=1), abs=1e-5)
        assert (summed.confidence >= below - 1e-5).all()
        below = summed.confidence


def test_a_catalogue_without_a_tree_has_no_levels() -> None:
    flat = Taxonomy((Category("a"), Category("b")))

    assert [] == levels(flat, flat.codes)


def test_a_shallow_category_is_one_of_each_deeper_level() -> None:
    taxonomy = Taxonomy((Category("a"), Category("b"), Category("b > c", parent="b"), Category("b > d", parent="b")))

    assert ("a", "b > c", "b > d") == taxonomy.codes
    assert ("a", "b") == Level.of(taxonomy, taxonomy.codes, 1).codes
    assert taxonomy.codes == Level.of(taxonomy, taxonomy.codes, 2).codes

"""Tests of the taxonomy: what is refused, paths, answerable categories and the digest."""

import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_classifier.errors import TaxonomyError, UnknownCategory
from product_classifier.taxonomy.category import Category, normalize_code
from product_classifier.taxonomy.folder import from_bytes, read_taxonomy, to_bytes, write_taxonomy
from product_classifier.taxonomy.tree import CodeType, Taxonomy


def tree(*pairs: str, **options: Any) -> Taxonomy:
    """Return a taxonomy of "code" or "parent/code" texts."""
    split = [text.rpartition("/") for text in pairs]
    return Taxonomy(tuple(Category(code, {"en": code}, parent or None) for parent, _, code in split), **options)


FOOD = tree("food", "food/tea", "food/coffee", "tea/green", "toys")


@pytest.mark.parametrize(
    ("categories", "options", "message"),
    [
        (["a", "a"], {}, "category 'a': is given twice; remove one"),
        (["a", "b", "a/c", "b/c"], {}, "category 'c': has two parents, 'a' and 'b'; keep one"),
        (["x/a", "b"], {}, "category 'a': its parent 'x' is missing; add it"),
        (["b/a", "a/b", "c", "d"], {}, "category 'a': is below itself"),
        (["0", *(f"{depth}/{depth + 1}" for depth in range(100)), "z"], {}, "category '100': is 101 levels deep"),
        (["a/a", "c", "d"], {}, "category 'a': is below itself; correct its parent"),
        ([], {}, "categories: there is none; two or more are needed"),
        (["a", "b"], {"codes": ("a", "z")}, "codes: 'z' is not a category"),
        (["a", "b"], {"codes": ("a", "a")}, "codes: an answerable code is given twice"),
        (["a", "b"], {"tombstones": frozenset("b")}, "category 'b': its code was retired before"),
        (["a", "b"], {"version": 0}, "version: 0 is not a version"),
        (["1", "0870"], {"code_type": "integer"}, "category '0870': is not an integer; write codes: string"),
        (["1", "²"], {"code_type": "integer"}, "category '²': is not an integer"),
        ([str(number) for number in range(10_001)], {}, "10001 would be answered, 10000 are accepted"),
        ([str(number) for number in range(100_001)], {}, "100001 are given, 100000 are accepted"),
    ],
)
def test_an_invalid_taxonomy_is_refused_with_its_category(
    categories: list[str], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TaxonomyError, match=message.replace("(", r"\(")):
        tree(*categories, **options)


@pytest.mark.parametrize(
    ("written", "code"),
    [("0870", "0870"), (" 870\n", "870"), ("1e5", "1e5"), ("Cafe\u0301", "Café"), ("A > B", "A > B")],
)
def test_a_code_is_trimmed_and_composed_and_nothing_else(written: str, code: str) -> None:
    assert normalize_code(written) == code


@pytest.mark.parametrize("written", ["", "  ", "a\0b", "a\nb", "x" * 1001])
def test_a_code_that_is_empty_too_long_or_has_control_characters_is_refused(written: str) -> None:
    with pytest.raises(TaxonomyError):
        normalize_code(written)


def test_codes_equal_after_normalization_are_the_same_code() -> None:
    with pytest.raises(TaxonomyError, match="not trimmed NFC"):
        Category("Cafe\u0301")
    codes = [normalize_code(one) for one in ("Café", "Cafe\u0301 ")]
    with pytest.raises(TaxonomyError, match="is given twice"):
        tree(*codes)


def test_leaves_are_answerable_in_their_order_by_default() -> None:
    assert FOOD.codes == ("coffee", "green", "toys")
    assert [FOOD.index_of(code) for code in FOOD.codes] == [0, 1, 2]
    assert len(FOOD) == 3
    with pytest.raises(UnknownCategory, match="'food' is known, but not answered"):
        FOOD.index_of("food")


def test_paths_lead_from_the_root_and_a_root_has_no_path_to_show() -> None:
    assert FOOD.path_of("green") == ("food", "tea", "green")
    assert FOOD.ancestors("green") == ("tea", "food")
    assert FOOD.children("food") == ("tea", "coffee")
    assert FOOD.children() == ("food", "toys")
    assert FOOD.path_labels("green") == ("food", "tea", "green")
    assert FOOD.path_labels("toys") == ()


@pytest.mark.parametrize(
    ("products", "codes", "classes"),
    [
        ({"green": 9, "coffee": 9, "toys": 9}, ("coffee", "green", "toys"), {"tea": None, "green": "green"}),
        ({"green": 4, "coffee": 9, "toys": 9}, ("coffee", "toys"), {"green": None}),
        ({"green": 4, "tea": 4, "coffee": 9}, ("tea", "coffee"), {"green": "tea", "toys": None}),
        ({"green": 3, "coffee": 3, "toys": 9}, ("food", "toys"), {"green": "food", "coffee": "food"}),
        ({"food": 5, "green": 5}, ("food", "green"), {"coffee": "food", "tea": "food"}),
    ],
)
def test_a_small_category_counts_at_its_parent_where_one_exists(
    products: dict[str, int], codes: tuple[str, ...], classes: dict[str, str | None]
) -> None:
    found = tree("food", "food/tea", "food/coffee", "tea/green", "toys", minimum_products=5).with_answerable(products)

    assert found.codes == codes
    assert {code: found.class_of(code) for code in classes} == classes


def test_fewer_than_two_answerable_categories_are_one_error() -> None:
    small = tree("a", "b", minimum_products=5)
    with pytest.raises(TaxonomyError, match="1 of 2 have 5 products; add products"):
        small.with_answerable({"a": 5, "b": 4})
    assert tree("a", "b").with_answerable({}).codes == ("a", "b")


def test_integer_codes_are_numbers_in_json_only() -> None:
    numbers = tree("10", "2583", code_type="integer")

    assert numbers.codes == ("10", "2583")
    assert numbers.to_json_code("2583") == 2583
    assert FOOD.to_json_code("toys") == "toys"


def test_labels_fall_back_to_any_language_and_to_the_code() -> None:
    tea = Category("t", {"fr": "Thé", "en": "Tea"})

    assert [tea.label(), tea.label("en"), tea.label("de"), Category("t").label("fr")] == ["Thé", "Tea", "Thé", "t"]


@given(
    st.lists(st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn", "Zl", "Zp")), min_size=1, max_size=8)),
    st.sampled_from(["string"]),
    st.integers(1, 9),
)
def test_a_taxonomy_survives_its_document_with_the_same_digest(
    texts: list[str], code_type: CodeType, version: int
) -> None:
    codes = dict.fromkeys(unicodedata.normalize("NFC", text).strip() for text in ["a", "b", *texts])
    parents = [None, None]
    categories = []
    for number, code in enumerate(filter(None, codes)):
        parent = parents[number] if number < 2 else categories[number // 2].code
        categories.append(Category(code, {"fr": code * 2, "en": code}, parent, ("s",) * (number % 2)))
    found = Taxonomy(tuple(categories), version=version, code_type=code_type, tombstones=frozenset({"gone gone"}))

    again = from_bytes(to_bytes(found), "taxonomy.json")

    assert (again, again.digest) == (found, found.digest)
    assert [one.label() for one in again] == [one.label() for one in found]  # the first language is preferred


@pytest.mark.parametrize(
    "changed", [{"version": 2}, {"codes": ("b", "a")}, {"tombstones": frozenset({"z"})}, {"minimum_products": 1}]
)
def test_whatever_differs_changes_the_digest(changed: dict[str, Any]) -> None:
    assert tree("a", "b", **changed).digest != tree("a", "b").digest


def test_the_folder_is_written_and_read(tmp_path: Path) -> None:
    write_taxonomy(tmp_path / "taxonomy", FOOD)

    assert read_taxonomy(tmp_path / "taxonomy") == FOOD
    assert [path.name for path in (tmp_path / "taxonomy").iterdir()] == ["taxonomy.json"]
    with pytest.raises(TaxonomyError, match="cannot be read"):
        read_taxonomy(tmp_path)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"version": 1}', to_bytes(FOOD).replace(b'"toys"', b"7"), to_bytes(FOOD)[:-20]]
)
def test_a_malformed_document_is_refused_with_its_name(data: bytes) -> None:
    with pytest.raises(TaxonomyError, match=r"taxonomy\.json: "):
        from_bytes(data, "taxonomy.json")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("éle", ["b", "c"]),
        ("ELECTRIC", ["b", "c"]),
        ("kettle", ["b"]),
        ("bouilloire", ["b"]),
        ("0870", ["0870"]),
        ("toy electric", ["c"]),
        ("nothing", []),
        ("", ["0870", "b", "c"]),
    ],
)
def test_search_finds_code_label_and_synonym_without_case_and_accents(query: str, found: list[str]) -> None:
    taxonomy = Taxonomy(
        (
            Category("0870", {"fr": "Thé"}),
            Category("b", {"fr": "Électriques", "en": "Electric kettles"}, synonyms=("Bouilloire",)),
            Category("c", {"en": "Toys, electric"}),
        )
    )

    assert sorted(one.code for one in taxonomy.search(query)) == sorted(found)


def test_an_exact_code_is_found_first() -> None:
    taxonomy = tree("tea set", "tea", "green tea")

    assert [one.code for one in taxonomy.search("tea")] == ["tea", "tea set", "green tea"]
    assert [one.code for one in taxonomy.search("tea", limit=1)] == ["tea"]


def test_an_unknown_code_names_the_nearest_ones() -> None:
    taxonomy = tree("0870", "1234", "Baby Care")

    assert taxonomy.nearest("870")[0] == "0870"
    assert taxonomy.nearest("baby-care") == ("Baby Care",)
    assert taxonomy.nearest("#") == ()
    with pytest.raises(UnknownCategory, match="'870' is not one of the 3 known codes; the nearest are '0870'"):
        taxonomy["870"]


def test_the_largest_taxonomy_is_read_and_searched_in_linear_work() -> None:
    nodes = [Category("root", {"en": "Root"})]
    for number in range(99_000):
        nodes.append(Category(f"n{number}", {"en": f"Node {number}"}, nodes[number // 9].code))
    taxonomy = Taxonomy(tuple(nodes), codes=("n1", "n2"))

    assert taxonomy.nearest("n 98999")[0] in taxonomy

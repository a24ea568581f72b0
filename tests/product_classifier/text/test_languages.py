"""Texts of any writing system: a model learns them, near copies are grouped, categories are found.

Titles are generated: each category has words of its own, mixed with words that all have. No word list of a language is
in the product; here letters of a script are drawn into words, with its marks, and joined with blanks or without.
"""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.train_text import step as train_text
from product_classifier.catalogue.content_keys import content_keys
from product_classifier.releases.release import load_text
from product_classifier.taxonomy import Taxonomy
from product_classifier.taxonomy.category import Category
from product_classifier.text.normalization import normalize
from product_classifier.text.spelling import letters
from product_classifier.text.word_spans import word_spans
from product_classifier.text.writing_systems import comparison_terms

SCRIPTS = {
    "Arabic": ("ابتثجحخدرزسشصضطعغفقكلمنهوي", "", " "),
    "Hebrew": ("אבגדהוזחטיכלמנסעפצקרשת", "", " "),
    "Chinese": ("".join(map(chr, range(0x4E00, 0x4F00))), "", ""),
    "Japanese": ("".join(map(chr, range(0x3041, 0x3094))), "\u3099", ""),
    "Korean": ("".join(map(chr, range(0xAC00, 0xB000))), "", " "),
    "Thai": ("".join(map(chr, range(0x0E01, 0x0E2F))), "\u0e34\u0e35\u0e38\u0e48\u0e49", ""),
    "Hindi": ("".join(map(chr, range(0x0915, 0x093A))), "\u093e\u093f\u0940\u0941\u094d", " "),
    "Russian": ("абвгдежзиклмнопрстуфхцчшщэюя", "", " "),
    "Greek": ("αβγδεζηθικλμνξοπρστυφχψω", "\u0301", " "),
}
"""Letters of a script, marks that may follow one, and what stands between words."""
CATEGORIES = 6
EACH = 50


class Titles:
    """Generated titles of one script."""

    def __init__(self, script: str, seed: int = 27) -> None:
        self._rng = np.random.default_rng(seed)
        self._letters, self._marks, self._blank = SCRIPTS[script]
        self._own = [self.words(12) for _ in range(CATEGORIES)]
        self._shared = self.words(40)

    def words(self, count: int) -> list[str]:
        return ["".join(self._letter() for _ in range(self._rng.integers(2, 6))) for _ in range(count)]

    def _letter(self) -> str:
        mark = self._rng.choice(list(self._marks)) if self._marks and self._rng.random() < 0.4 else ""
        return str(self._rng.choice(list(self._letters))) + mark

    def title(self, category: int) -> str:
        chosen = [*self._rng.choice(self._own[category], 2), *self._rng.choice(self._shared, 4)]
        self._rng.shuffle(chosen)
        return self._blank.join(map(str, chosen))


def weighted_f1(labels: Sequence[str], predicted: Sequence[str]) -> float:
    truth, found = pd.Series(labels), pd.Series(predicted)
    total = 0.0
    for code, count in truth.value_counts().items():
        hits = int(((truth == code) & (found == code)).sum())
        total += count * 2 * hits / (count + int((found == code).sum()))
    return total / len(truth)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_model_is_trained_on_titles_of_any_script(script: str, tmp_path: Path) -> None:
    titles = Titles(script)
    codes = [f"c{number}" for number in range(CATEGORIES)]
    taxonomy = Taxonomy(tuple(Category(code) for code in codes))
    tables = {}
    for at, name in enumerate(("train", "validation")):
        rows = [
            {
                "product_id": 1000 * at + EACH * number + copy,
                "designation": titles.title(number),
                "description": "",
                "image_path": "",
                "code": codes[number],
                "line": 2,
                "image_sha256": "",
            }
            for number in range(CATEGORIES)
            for copy in range(EACH if name == "train" else EACH // 3)
        ]
        tables[name] = pd.DataFrame(rows)
        tables[name].to_parquet(tmp_path / f"{name}.parquet")
    files = tmp_path / "train.parquet", tmp_path / "validation.parquet"
    train_text.run(*files, tmp_path / "text", tmp_path / "out_of_fold.parquet", taxonomy, buckets=2**13)
    model, _ = load_text(tmp_path / "text")

    held = [titles.title(number) for number in range(CATEGORIES) for _ in range(20)]
    labels = [codes[number] for number in range(CATEGORIES) for _ in range(20)]
    predicted = [codes[one] for one in model.probabilities(held, [""] * len(held)).argmax(axis=1)]

    majority = weighted_f1(labels, [codes[0]] * len(labels))
    assert weighted_f1(labels, predicted) > majority + 0.5


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("กาต้มน้ำ ไฟฟ้า", "กาต้มน้ำ ไฟฟ้า"),
        ("हिन्दी केतली", "हिन्दी केतली"),
        ("ガラス製のポット", "ガラス製のポット"),
        ("أحمر كِتَابٌ كـــتاب", "احمر كتاب كتاب"),
        ("שָׁלוֹם ספר", "שלום ספר"),
        ("Thé Électrique", "the electrique"),
    ],
)
def test_a_word_keeps_the_signs_of_its_spelling_and_loses_optional_marks(text: str, normalized: str) -> None:
    assert unicodedata.normalize("NFKD", normalized) == normalize(text, "")
    assert normalize(text, "").split() == [one.word for one in word_spans(text, "")]


@pytest.mark.parametrize("script", SCRIPTS)
def test_near_copies_are_grouped_whatever_the_script(script: str) -> None:
    titles = Titles(script)
    title, other = titles.title(0), titles.title(1)

    assert content_keys(title, "") == content_keys(f"*{title}!", "")
    assert content_keys(title, "one") == content_keys(title, "two")  # a long title alone is the key
    assert content_keys(title, "") != content_keys(other, "")
    assert len(set(comparison_terms(normalize(title, "")))) >= 3


def test_words_that_differ_by_a_vowel_sign_are_different() -> None:
    assert letters("ปี") != letters("ปู")
    assert letters("कि") != letters("की")
    assert content_keys("ปี", "") != content_keys("ปู", "")


@pytest.mark.parametrize(
    ("label", "query"),
    [("电水壶和茶壶", "茶壶"), ("กาต้มน้ำไฟฟ้า", "ไฟฟ้า"), ("غلاية كهربائية", "كهربائية"), ("קומקום חשמלי", "חשמלי")],
)
def test_a_category_is_found_by_a_part_of_its_label(label: str, query: str) -> None:
    taxonomy = Taxonomy((Category("1", {"x": label}), Category("2", {"x": "kettle"})))

    assert ["1"] == [one.code for one in taxonomy.search(query)]
    assert ("1",) == taxonomy.nearest(label[:-1])

"""Contributions of words add up to the score of a linear model; others are explained by occlusion."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from product_classifier.probabilities import Floats
from product_classifier.releases import release
from product_classifier.text.hashed_linear import HashedLinear
from product_classifier.text.word_contributions import MAX_OCCLUDED_WORDS, Method, explain_by_occlusion

_DISTORTIONS = (
    lambda text: text,
    lambda text: f"<p>{text.replace(' ', '<br/> ')}</p>",
    lambda text: text.replace("e", "&eacute;"),
    lambda text: f"{text} été déjà".encode().decode("latin-1"),
    lambda text: f"{text.upper()} e\u0301te\u0301 {text} {text}",
)


@pytest.fixture(scope="module")
def model(release_dir: Path) -> HashedLinear:
    found, _ = release.load_text(release_dir)
    assert isinstance(found, HashedLinear)
    return found


@pytest.fixture(scope="module")
def texts(splits_dir: Path) -> list[tuple[str, str]]:
    """200 products with markup, character references, mojibake, accents and repeated words."""
    frame = pd.read_parquet(splits_dir / "train.parquet").fillna("").head(200)
    fields = zip(frame["designation"], frame["description"], strict=True)
    products = [tuple(_DISTORTIONS[row % 5](field) for field in product) for row, product in enumerate(fields)]
    assert len(products) == 200
    return [(one[0], one[1]) for one in products]


def test_contributions_and_intercept_add_up_to_the_margin(model: HashedLinear, texts: list[tuple[str, str]]) -> None:
    for row, (designation, description) in enumerate(texts):
        category = row % len(model.codes)
        explanation = model.explain(designation, description, category)
        if explanation.method is Method.PRIOR:
            continue
        assert explanation.intercept is not None
        total = explanation.intercept + sum(one.contribution for one in explanation.words)

        assert explanation.score == pytest.approx(total, abs=1e-9)
        margin = model.margins([model.prepare(designation, description)])[0, category]
        assert float(margin) == pytest.approx(total, abs=2e-4)


def test_a_word_contributes_what_the_text_without_its_features_lacks(model: HashedLinear) -> None:
    """With one word, all that the margin has beyond the intercept comes from it."""
    explanation = model.explain("livre", "", 0)

    (word,) = explanation.words
    assert float(model.margins(["livre"])[0, 0] - model.bias[0]) == pytest.approx(word.contribution, abs=1e-4)


def test_the_word_of_the_category_contributes_most(model: HashedLinear) -> None:
    """The sample names each category by its label, the other words are shared by all."""
    designation = "solide piscine bleu"
    explanation = model.explain(designation, "", model.codes.index("2583"))

    most = max(explanation.words, key=lambda one: one.contribution)
    assert "piscine" == designation[most.span.start : most.span.end]


def test_words_contribute_to_some_categories_and_against_others(model: HashedLinear) -> None:
    found = [model.explain("piscine", "", category).words[0].contribution for category in range(len(model.codes))]

    assert min(found) < 0 < max(found)


@pytest.mark.parametrize("text", ["", "<br>", "nan", "!?"])
def test_a_text_without_words_is_explained_by_the_prior(model: HashedLinear, text: str) -> None:
    explanation = model.explain(text, "", 3)

    assert (Method.PRIOR, ()) == (explanation.method, explanation.words)
    assert float(model.probabilities([text], [""])[0, 3]) == explanation.score


class _CountsWords:
    """A model whose probability of category 0 is the number of words "oui" over 100; it counts its calls."""

    calls = 0

    def __call__(self, designations: Sequence[str], descriptions: Sequence[str]) -> Floats:
        self.calls += 1
        texts = [f"{one} {two}" for one, two in zip(designations, descriptions, strict=True)]
        share = np.array([text.split().count("oui") / 100 for text in texts], np.float32)
        return np.stack([share, 1 - share], axis=1)


def test_occlusion_measures_the_loss_of_each_word_in_one_call() -> None:
    model = _CountsWords()
    explanation = explain_by_occlusion(model, "oui non", "x oui", 0)

    assert [0.01, 0, 0, 0.01] == pytest.approx([one.contribution for one in explanation.words])
    assert (Method.OCCLUSION, None, 1) == (explanation.method, explanation.intercept, model.calls)
    assert 0.02 == pytest.approx(explanation.score)


def test_occlusion_examines_a_bounded_number_of_words() -> None:
    explanation = explain_by_occlusion(_CountsWords(), "oui " * 50, "non", 0)

    assert (MAX_OCCLUDED_WORDS, 51 - MAX_OCCLUDED_WORDS) == (len(explanation.words), explanation.omitted)


def test_occlusion_of_a_text_without_words_returns_the_prediction() -> None:
    assert Method.PRIOR is explain_by_occlusion(_CountsWords(), "", "", 1).method

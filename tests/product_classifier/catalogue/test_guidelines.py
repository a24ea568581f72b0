"""Guidelines of categories: those of the catalogue, else of the challenge."""

from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.catalogue.challenge.guidelines import guidelines_of
from product_classifier.taxonomy import Category


def test_each_category_of_the_challenge_has_a_french_and_an_english_guideline() -> None:
    assert {code: ["fr", "en"] for code in CHALLENGE.codes} == {
        category.code: [language for language, text in guidelines_of(category).items() if text]
        for category in CHALLENGE
    }


def test_the_guideline_of_a_catalogue_wins_and_another_catalogue_gets_none() -> None:
    own = Category("10", CHALLENGE["10"].labels, guideline="Only paper.")

    assert {"und": "Only paper."} == guidelines_of(own)
    assert {} == guidelines_of(Category("10", {"en": "Tea"}))

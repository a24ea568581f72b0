"""What each word of a product contributes to the prediction of a category."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from product_classifier.limits import EXPLANATION_PREDICTIONS
from product_classifier.probabilities import Floats
from product_classifier.text.word_spans import WordSpan, word_spans

MAX_OCCLUDED_WORDS: Final = EXPLANATION_PREDICTIONS - 1
"""Words that are removed one by one; each costs a prediction. The first ones are the most informative."""


class Method(StrEnum):
    """How contributions were computed."""

    LINEAR = "linear"
    """The score is a sum over words; contributions and intercept add up to it."""
    OCCLUSION = "occlusion"
    """The score is a probability; a contribution is what it loses without the word. They do not add up."""
    PRIOR = "prior"
    """The text has no words; the score is the share of the category in training."""


class WordContribution(NamedTuple):
    """A word with its contribution to the score; negative if the word speaks against the category."""

    span: WordSpan
    contribution: float


@dataclass(frozen=True, slots=True)
class TextExplanation:
    """The score of a category, and the contributions of the words in their order."""

    method: Method
    score: float
    intercept: float | None
    words: tuple[WordContribution, ...]
    omitted: int = 0
    """Words that were not examined."""


def explain_without_words(prior: Floats, category: int) -> TextExplanation:
    """Return the explanation of a text without words, whose prediction is the prior `[classes]`."""
    return TextExplanation(Method.PRIOR, float(prior[category]), float(prior[category]), ())


def explain_by_occlusion(
    probabilities: Callable[[Sequence[str], Sequence[str]], Floats], designation: str, description: str, category: int
) -> TextExplanation:
    """Return what the probability of a category loses without each of the first words.

    Args:
        probabilities: Returns probabilities `[n, classes]` of designations and descriptions; it is called once.
        designation: The title of the product.
        description: Its longer text.
        category: Position of the category in the probabilities.
    """
    words = word_spans(designation, description)
    examined = words[:MAX_OCCLUDED_WORDS]
    products = [(designation, description), *(_without(word, designation, description) for word in examined)]
    scores = probabilities(*zip(*products, strict=True))[:, category].astype(float)
    if not words:
        return TextExplanation(Method.PRIOR, float(scores[0]), float(scores[0]), ())
    losses = (scores[0] - scores[1:]).tolist()
    contributions = tuple(map(WordContribution, examined, losses))
    return TextExplanation(Method.OCCLUSION, float(scores[0]), None, contributions, len(words) - len(examined))


def _without(word: WordSpan, designation: str, description: str) -> tuple[str, str]:
    if word.field == "designation":
        return f"{designation[: word.start]} {designation[word.end :]}", description
    return designation, f"{description[: word.start]} {description[word.end :]}"

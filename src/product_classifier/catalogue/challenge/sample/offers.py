"""The products of the sample, each a function of the seed and its number.

Time per product and memory do not depend on the size of the catalogue.

The last products are the new season, a simulated drift: new names, and one category (`SHIFTED`) whose products are
named like those of other categories. The hash of its text determines the split of a product, so titles are redrawn
until the hash selects the intended split: mostly `unseen`, where users of the simulation correct them, and partly
`test`, where the gate measures the effect of the corrections. None are in `train`.
"""

from dataclasses import dataclass, replace
from random import Random
from typing import Final

from product_classifier.catalogue.challenge.sample.texts import GROUP_OF, near_duplicate, write_offer
from product_classifier.catalogue.challenge.sample.words import SHIFTED, VOCABULARIES
from product_classifier.catalogue.content_keys import text_key
from product_classifier.catalogue.splits import split_of_key
from product_classifier.text.mojibake import repair

SEASON: Final = 0.06
"""Share of the catalogue in the new season."""
SEASON_IN_TEST: Final = 0.2
SHIFTED_IN_SEASON: Final = 0.25
WRONG_LABEL: Final = 0.035
COPIES: Final = 0.03
NO_PHOTO: Final = 0.05
NO_TITLE: Final = 0.015

_CODES: Final = tuple(VOCABULARIES)
_WEIGHTS: Final = tuple(vocabulary.weight for vocabulary in VOCABULARIES.values())
_SEASONAL: Final = tuple(code for code, own in VOCABULARIES.items() if own.season and code != SHIFTED)
_TRIES: Final = 400


@dataclass(frozen=True, slots=True)
class Offer:
    """A product as entered by a seller."""

    code: int
    """True category."""
    label: int
    """Labelled category, wrong for a share of `WRONG_LABEL`."""
    title: str
    description: str
    photo: int | None
    """Number of the product whose photo it has: its own, or that of the duplicated offer."""
    season: bool = False
    copy: bool = False


def season_start(products: int) -> int:
    """Return the number of the first product of the new season."""
    return products - round(products * SEASON)


def offer(seed: int, number: int, season_from: int) -> Offer:
    """Return the offer with this number."""
    random = Random(f"{seed}/{number}")  # noqa: S311 - reproducible, not secret
    if number >= season_from:
        made = _seasonal(random, number)
    else:
        made = _copy(random, seed, number, season_from) or _ordinary(random, number)
    if random.random() < WRONG_LABEL:
        made = replace(made, label=random.choice([c for c in GROUP_OF[made.code].codes if c != made.code]))
    return made


def _ordinary(random: Random, number: int) -> Offer:
    code = random.choices(_CODES, _WEIGHTS)[0]
    title, description = write_offer(random, code)
    chance = random.random()
    if chance < NO_TITLE:
        title = ""
    return Offer(code, code, title, description, None if chance > 1 - NO_PHOTO else number)


def _seasonal(random: Random, number: int) -> Offer:
    code = SHIFTED if random.random() < SHIFTED_IN_SEASON else random.choice(_SEASONAL)
    split = "test" if random.random() < SEASON_IN_TEST else "unseen"
    for _ in range(_TRIES):
        title, description = write_offer(random, code, season=True)
        if split_of_key(text_key(repair(title), repair(description))) == split:
            break
    return Offer(code, code, title, description, None if random.random() < NO_PHOTO else number, season=True)


def _copy(random: Random, seed: int, number: int, season_from: int) -> Offer | None:
    """Return a near duplicate of an earlier product with the same text, the same photo, or both."""
    if random.random() >= COPIES or not number:
        return None
    other = offer(seed, random.randrange(number), season_from)
    if other.copy or other.photo is None or not other.title:
        return None
    code = other.code
    kind = random.randrange(3)
    title, description = (
        write_offer(random, code) if kind == 0 else (near_duplicate(random, other.title), other.description)
    )
    return Offer(code, code, title, description, number if kind == 1 else other.photo, copy=True)

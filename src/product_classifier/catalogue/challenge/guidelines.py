"""Guidelines of the challenge's categories, in French and English.

They are no part of its taxonomy, whose digest is in every bundle that was trained with it.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.taxonomy import Category

UNDETERMINED = "und"
"""Language tag of a guideline whose language is not stated (BCP 47)."""


def guidelines_of(category: Category) -> Mapping[str, str]:
    """Return when a product belongs to a category, by language; empty if it has no guideline."""
    if category.guideline:
        return {UNDETERMINED: category.guideline}
    is_of_challenge = category.code in CHALLENGE and CHALLENGE[category.code].labels == category.labels
    return _guidelines()[category.code] if is_of_challenge else {}


@cache
def _guidelines() -> Mapping[str, Mapping[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("guidelines.json").read_text("utf-8"))
    return found

"""The taxonomy of what earlier versions wrote: datasets, releases and stores without `taxonomy/`."""

from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.taxonomy import Taxonomy


def earlier_taxonomy() -> Taxonomy:
    """Return the only taxonomy there was before taxonomies were data, the challenge's."""
    return CHALLENGE

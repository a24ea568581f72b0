"""The categories of a catalogue as data: codes, labels, tree and order of every probability vector."""

from product_classifier.taxonomy.category import Category
from product_classifier.taxonomy.tree import Codes, Taxonomy

__all__ = ["Category", "Codes", "Taxonomy"]

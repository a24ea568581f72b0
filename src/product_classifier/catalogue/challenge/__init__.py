"""The catalogue of the Rakuten challenge; no other module knows its categories.

Datasets, releases and stores without a `taxonomy/` were written before taxonomies were data, and are this catalogue's.
"""

from pathlib import Path

from product_classifier.taxonomy.folder import read_taxonomy

CHALLENGE = read_taxonomy(Path(__file__).parent)

"""The catalogue of the Rakuten challenge: its categories, its files and a generated sample of it.

No module outside this package names a category, or imports the table of them: it reads the taxonomy of its dataset,
release or store. What has none was written before taxonomies were data, see `earlier_versions`.
"""

from pathlib import Path

from product_classifier.taxonomy.folder import read_taxonomy

CHALLENGE = read_taxonomy(Path(__file__).parent)

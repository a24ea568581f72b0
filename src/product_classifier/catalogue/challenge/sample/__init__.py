"""A generated catalogue of any size in the layout of the challenge, determined by its seed.

It has the difficulties of the real one: similar categories share words, titles are vague or misleading, descriptions,
photos and titles are missing, labels are wrong, offers are duplicated, text is damaged. Text and photo carry
complementary information, so fusion beats either model.
"""

from product_classifier.catalogue.challenge.sample.sample_writer import MARKER, is_sample, make_sample, seasonal_ids

__all__ = ["MARKER", "is_sample", "make_sample", "seasonal_ids"]

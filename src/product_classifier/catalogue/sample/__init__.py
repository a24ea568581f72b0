"""A catalogue to start with: as many products as wanted, in the challenge's raw layout, the same for the same seed.

It is made to be hard in the ways the real one is: neighbouring categories share their words, titles are vague or
misleading, descriptions, photos and titles are missing, labels are wrong, offers are copied, text is damaged. What a
title leaves open the photo mostly decides, and the other way round, so both together beat either alone.
"""

from product_classifier.catalogue.sample.sample_writer import is_sample, make_sample, seasonal_ids

__all__ = ["is_sample", "make_sample", "seasonal_ids"]

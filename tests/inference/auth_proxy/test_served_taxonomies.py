"""Tests of the gateway's taxonomies: a response is labelled by the taxonomy it names, or not sent."""

import asyncio

import pytest

from inference.auth_proxy.predictions.served_taxonomies import KEPT, ServedTaxonomies
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import ModelUnavailable
from product_classifier.taxonomy import Category, Taxonomy
from product_classifier.taxonomy.folder import to_bytes


def taxonomy(size: int) -> Taxonomy:
    return Taxonomy(tuple(Category(f"c{number}", {"en": f"{size} {number}"}) for number in range(size)))


class Fusion:
    """A fusion that serves some taxonomies and counts what is read."""

    def __init__(self, *served: Taxonomy) -> None:
        self.documents = {one.digest: to_bytes(one) for one in served}
        self.current = served[0].digest if served else ""
        self.reads = 0

    async def current_taxonomy(self) -> str:
        return self.current

    async def taxonomy(self, digest: str) -> bytes:
        self.reads += 1
        await asyncio.sleep(0)
        if digest not in self.documents:
            raise ModelUnavailable("not in memory")
        return self.documents[digest]


OLD, NEW = taxonomy(7), taxonomy(47)


async def test_each_response_gets_the_taxonomy_it_names_while_releases_switch() -> None:
    fusion = Fusion(OLD, NEW)
    served = ServedTaxonomies(fusion)

    found = await asyncio.gather(*(served.get((OLD, NEW)[number % 2].digest) for number in range(100)))

    assert found == [(OLD, NEW)[number % 2] for number in range(100)]
    assert fusion.reads == 2


async def test_a_response_that_names_no_taxonomy_has_that_of_earlier_versions() -> None:
    assert await ServedTaxonomies(Fusion()).get("") == CHALLENGE
    assert await ServedTaxonomies(Fusion()).current() == CHALLENGE


async def test_a_taxonomy_that_cannot_be_read_is_no_response() -> None:
    fusion = Fusion(NEW)
    served = ServedTaxonomies(fusion)
    with pytest.raises(ModelUnavailable):
        await served.get("0" * 64)

    fusion.documents = {NEW.digest: to_bytes(OLD)}
    with pytest.raises(ModelUnavailable, match="instead of"):
        await served.get(NEW.digest)

    fusion.documents = {NEW.digest: b"{}"}
    with pytest.raises(ModelUnavailable, match="invalid taxonomy"):
        await served.get(NEW.digest)

    fusion.documents = {NEW.digest: to_bytes(NEW)}
    assert await served.get(NEW.digest) == NEW


async def test_few_taxonomies_are_kept() -> None:
    many = [taxonomy(size) for size in range(2, 12)]
    served = ServedTaxonomies(Fusion(*many))
    for one in many:
        await served.get(one.digest)

    assert sum(served.known(one.digest) is not None for one in many) == KEPT

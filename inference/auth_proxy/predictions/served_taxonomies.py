"""Taxonomies of the releases that the fusion serves, by the digest that each response names.

A response names its taxonomy, so a label is that of the release which made the response, also while servers switch from
one taxonomy to another. Without its taxonomy there is no response: 503, never a label of another one.
"""

import asyncio
from collections import OrderedDict
from time import monotonic
from typing import Protocol

from product_classifier.catalogue.challenge.earlier_versions import earlier_taxonomy
from product_classifier.errors import ModelUnavailable, TaxonomyError
from product_classifier.stored_taxonomy.change_store import StoredTaxonomy
from product_classifier.taxonomy import Taxonomy
from product_classifier.taxonomy.folder import from_bytes

KEPT = 4
"""Taxonomies in memory: those of champion, challenger, and the ones before."""
CURRENT_S = 1.0
"""How long the digest of the fusion's current release is used before it is read again."""


class TaxonomySource(Protocol):
    """What the fusion's server offers."""

    async def current_taxonomy(self) -> str:
        """Return the digest of the current release's taxonomy; "" from a server that names none."""

    async def taxonomy(self, digest: str) -> bytes:
        """Return the document of a taxonomy."""


class ServedTaxonomies:
    """Reads each taxonomy once; its methods belong to one event loop."""

    def __init__(self, source: TaxonomySource, deployed: StoredTaxonomy | None = None) -> None:
        """Take where to read, and the store's taxonomies, which are listed while the fusion is unavailable.

        A fusion of an earlier version names no taxonomy.
        """
        self._source = source
        self._deployed = deployed
        self._unnamed = unnamed = earlier_taxonomy()
        self._known: OrderedDict[str, Taxonomy] = OrderedDict({unnamed.digest: unnamed})
        self._reading = asyncio.Lock()
        self._current = ""
        self._current_until = 0.0

    def known(self, digest: str) -> Taxonomy | None:
        """Return a taxonomy that is in memory."""
        return self._known.get(digest or self._unnamed.digest)

    async def get(self, digest: str) -> Taxonomy:
        """Return a taxonomy by its digest; raise `ModelUnavailable` if it cannot be read."""
        if (found := self.known(digest)) is not None:
            return found
        async with self._reading:
            if (found := self.known(digest)) is not None:
                return found
            document = await self._source.taxonomy(digest)
            try:
                taxonomy = from_bytes(document, f"taxonomy {digest:.12}")
            except TaxonomyError as error:
                raise ModelUnavailable(f"the models serve an invalid taxonomy: {error}") from error
            if taxonomy.digest != digest:
                raise ModelUnavailable(f"the models sent taxonomy {taxonomy.digest:.12} instead of {digest:.12}")
            self._known[digest] = taxonomy
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
            return taxonomy

    async def current(self) -> Taxonomy:
        """Return the taxonomy of the release in service."""
        now = monotonic()
        if now >= self._current_until:
            try:
                self._current = await self._source.current_taxonomy()
            except ModelUnavailable:
                if (deployed := await self._of_store()) is None:
                    raise
                return deployed
            self._current_until = now + CURRENT_S
        return await self.get(self._current)

    async def _of_store(self) -> Taxonomy | None:
        if self._deployed is None:
            return None
        return (await asyncio.to_thread(self._deployed.current)).in_service

"""The change files in the object store, applied to the taxonomy in service.

    taxonomy/taxonomy.json            that of the release in service, replaced whenever another one is deployed
    taxonomy/products.json            labelled products by code of the catalogue and the corrections it learned
    taxonomy/changes/0000000002.json  the change file from version 1 to 2 and what it did, written once; the first
                                      one has the taxonomy that it was applied to

One object is one step, so that of any number of servers one applies it. Codes in records stay as they were given: they
are read through the change files (`TaxonomyState.read`).
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import inf
from time import monotonic

from product_classifier.catalogue.challenge.earlier_versions import earlier_taxonomy
from product_classifier.errors import (
    ChangeConflict,
    ChangeRefused,
    ObjectExists,
    ObjectNotFound,
    StoreUnavailable,
    TaxonomyError,
    UnknownCategory,
)
from product_classifier.observability import get_logger
from product_classifier.store import ObjectStore
from product_classifier.stored_taxonomy.applied_change import AppliedChange, effects_of, parse_applied_change
from product_classifier.taxonomy.change_file import ChangeFile, apply_changes
from product_classifier.taxonomy.folder import FILE, FOLDER, from_bytes, from_json, to_bytes
from product_classifier.taxonomy.tree import Taxonomy
from product_classifier.taxonomy.version_history import History, Reading

IN_SERVICE_KEY = f"{FOLDER}/{FILE}"
PRODUCTS_KEY = f"{FOLDER}/products.json"
CHANGES_PREFIX = f"{FOLDER}/changes/"
FIRST_VERSION = 1
"""Version of records that name none: those from before the first change."""
MAX_AGE_S = 2.0
"""Age from which `StoredTaxonomy.current` reads the store again."""

log = get_logger()


@dataclass(frozen=True)
class TaxonomyState:
    """What the store says at one moment."""

    in_service: Taxonomy
    history: History
    """From the base to the newest version; without a change, the taxonomy in service alone."""
    applied: tuple[AppliedChange, ...] = ()
    """Oldest first."""
    products: Mapping[str, int] = field(default_factory=dict)
    """Labelled products that the release in service was trained with, by their code."""

    @property
    def newest(self) -> Taxonomy:
        """The taxonomy after all changes."""
        return self.history.newest

    def read(self, code: str, version: int | None) -> Reading:
        """Return a code of a record in the newest version; `version` is None if the record names none.

        A code of a version that is not known here yet stays as it is.
        """
        given = max(version or FIRST_VERSION, self.history.base.version)
        return Reading(code) if given > self.newest.version else self.history.read(code, given)

    def until(self, version: int) -> "TaxonomyState":
        """Return the state with the changes up to a version, in which `read` reads codes."""
        applied = tuple(one for one in self.applied if one.change.to_version <= version)
        return replace(self, applied=applied, history=History(self.history.base, [one.change for one in applied]))

    @staticmethod
    def version_to_store(version: int) -> int | None:
        """Return the version that a record names: None for the first, as records of earlier services."""
        return None if version == FIRST_VERSION else version

    def locate(self, code: str) -> int:
        """Return the version in which a code that is given now is to be read: the newest one that has it.

        Raises:
            UnknownCategory: If neither a version nor the taxonomy in service has it; names the nearest codes.
        """
        for taxonomy in reversed(self.history.versions):
            if code in taxonomy:
                return taxonomy.version
        if code in self.in_service:
            return self.in_service.version
        self.newest[code]  # raises with the nearest codes
        raise AssertionError(code)

    def label(self, code: str) -> str:
        """Return the label of a code in the newest version that has it; the code itself if none has."""
        taxonomies = (*reversed(self.history.versions), self.in_service)
        return next((taxonomy.label(code) for taxonomy in taxonomies if code in taxonomy), code)

    def products_by_code(self) -> dict[str, int]:
        """Return the labelled products by their code in the newest version."""
        counts: Counter[str] = Counter()
        for code, count in self.products.items():
            reading = self.read(code, self.in_service.version)
            if reading.code is not None:
                counts[reading.code] += count
        return dict(counts)


class StoredTaxonomy:
    """Reads the state at most once in `MAX_AGE_S`, and uses the last one while the store is unavailable.

    Thread-safe: concurrent calls may read twice.
    """

    def __init__(self, store: ObjectStore, clock: Callable[[], float] = monotonic) -> None:
        """Take the store and a clock in seconds."""
        self.store = store
        self._clock = clock
        self._state = TaxonomyState(earlier_taxonomy(), History(earlier_taxonomy()))
        self._read_until = -inf

    @property
    def known(self) -> TaxonomyState:
        """The state that was read last; the first access reads it."""
        return self.current() if self._read_until == -inf else self._state

    def read(self, code: str, version: int | None) -> Reading:
        """Return a code of a record in the newest version that was read, see `TaxonomyState.read`."""
        return self.known.read(code, version)

    def with_code(self, code: str) -> TaxonomyState:
        """Return the known state, or the one in the store if the known one does not have the code."""
        try:
            self.known.locate(code)
        except UnknownCategory:
            with suppress(StoreUnavailable, TaxonomyError):
                self.refresh()
        return self._state

    def current(self) -> TaxonomyState:
        """Return the state; it is at most `MAX_AGE_S` old while the store can be reached."""
        if (now := self._clock()) >= self._read_until:
            try:
                self.refresh()
            except (StoreUnavailable, TaxonomyError) as error:
                log.warning("taxonomy_unreadable", reason=str(error))
            self._read_until = now + MAX_AGE_S
        return self._state

    def refresh(self) -> TaxonomyState:
        """Read the store now; raise `StoreUnavailable`, or `TaxonomyError` for a damaged object."""
        self._state = read_state(self.store, self._state)
        return self._state


def read_state(store: ObjectStore, known: TaxonomyState | None = None) -> TaxonomyState:
    """Return what the store says.

    Args:
        store: The object store.
        known: An earlier state, whose change files are not read again.

    Raises:
        StoreUnavailable: If the store cannot be reached.
        TaxonomyError: If an object is damaged, or a change file is missing.
    """
    in_service = _read(store, IN_SERVICE_KEY) or earlier_taxonomy()
    products = _read_products(store)
    keys = list(store.list(CHANGES_PREFIX))
    if not keys:
        return TaxonomyState(in_service, History(in_service), (), products)
    if known is not None and known.applied and len(known.applied) == len(keys):
        return TaxonomyState(in_service, known.history, known.applied, products)
    applied = tuple(parse_applied_change(store.get(key), key) for key in keys)
    if (document := applied[0].base) is None:
        raise TaxonomyError(f"{keys[0]}: is not the first change file; restore those before it")
    base = from_json(document, f"{keys[0]}: base")
    return TaxonomyState(in_service, History(base, [one.change for one in applied]), applied, products)


def write_in_service(store: ObjectStore, taxonomy: Taxonomy) -> None:
    """Record the taxonomy of the release that servers switch to."""
    store.put(IN_SERVICE_KEY, to_bytes(taxonomy))


def write_products(store: ObjectStore, products: Mapping[str, int]) -> None:
    """Record the labelled products by code that the release in service was trained with."""
    store.put(PRODUCTS_KEY, json.dumps(dict(products), ensure_ascii=False).encode())


def apply_change_file(
    store: ObjectStore,
    file: ChangeFile,
    *,
    actor: str,
    now: datetime,
    corrections: Mapping[str, int],
    dry_run: bool = False,
) -> tuple[AppliedChange, bool]:
    """Check a change file, store it, and return what it does and whether it is new.

    A file that was applied before, or by another process at the same time, is returned as it is stored.

    Args:
        store: The object store.
        file: The changes.
        actor: Who applies it.
        now: Current time.
        corrections: Number of corrections by their code in the newest version.
        dry_run: Whether nothing is to be stored.

    Raises:
        ChangeConflict: If the file does not start from the newest version.
        ChangeRefused: If the file is not valid for the newest version.
        StoreUnavailable: If the store cannot be reached; whether the file was stored is unknown, apply it again.
        TaxonomyError: If an object in the store is damaged.
    """
    state = read_state(store)
    if (known := next((one for one in state.applied if one.change == file), None)) is not None:
        return known, False
    try:
        following = apply_changes(state.newest, file)
    except TaxonomyError as error:
        refused = ChangeRefused if file.from_version == state.newest.version else ChangeConflict
        raise refused(str(error)) from error
    effects = effects_of(state.newest, file, following, state.products_by_code(), corrections)
    base = None if state.applied else state.newest.to_json()
    applied = AppliedChange(change=file, created=now, actor=actor, effects=effects, base=base)
    if dry_run:
        return applied, True
    key = change_key(file.to_version)
    try:
        store.put(key, applied.to_json(), only_if_absent=True)
    except ObjectExists as error:
        stored = parse_applied_change(store.get(key), key)
        if stored.change == file:
            return stored, False
        raise ChangeConflict(
            f"from: another change of version {file.from_version} was applied meanwhile; write the change for "
            f"version {file.to_version}"
        ) from error
    return applied, True


def change_key(version: int) -> str:
    """Return the key of the change file to a version; keys sort by version."""
    return f"{CHANGES_PREFIX}{version:010d}.json"


def _read(store: ObjectStore, key: str) -> Taxonomy | None:
    try:
        return from_bytes(store.get(key), key)
    except ObjectNotFound:
        return None


def _read_products(store: ObjectStore) -> dict[str, int]:
    try:
        values = json.loads(store.get(PRODUCTS_KEY))
        return {str(code): int(count) for code, count in values.items()}
    except ObjectNotFound:
        return {}
    except (ValueError, TypeError, AttributeError) as error:
        raise TaxonomyError(f"{PRODUCTS_KEY}: is not an object of numbers; deploy the release again") from error

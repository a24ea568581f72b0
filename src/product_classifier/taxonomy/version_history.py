"""Read codes of an earlier version of a taxonomy in a later one, through the files between them.

    history = History(base, change_files)
    history.read("tea > green", version=1)     # Reading(code="tea > leaf", decided=True)

A file maps codes of its version to the next one, and the maps are composed when they are read: no file is rewritten.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from product_classifier.errors import TaxonomyError
from product_classifier.taxonomy.change_file import ChangeFile, Merge, Retire, Split, apply_changes
from product_classifier.taxonomy.tree import Taxonomy


@dataclass(frozen=True, slots=True)
class Reading:
    """A code in a later version of the taxonomy."""

    code: str | None
    """The category; after a split the one above it, None if there is none."""
    decided: bool = True
    """False after a split: which category the product belongs to is to be decided anew."""


CodeMap = Mapping[str, Reading]
"""By code of an earlier version, for the codes that do not stay as they are."""


def code_map(taxonomy: Taxonomy, file: ChangeFile, following: Taxonomy) -> CodeMap:
    """Return where products of the changed codes of one file count in the version that follows."""
    found: dict[str, Reading] = {}
    for change in file.changes:
        match change:
            case Merge():
                found |= {code: Reading(change.into) for code in change.codes if code != change.into}
            case Retire():
                found[change.code] = Reading(change.to)
            case Split():
                above = next((code for code in taxonomy.ancestors(change.code) if code in following), None)
                found[change.code] = Reading(above, decided=False)
            case _:
                pass
    return found


def compose(first: CodeMap, second: CodeMap) -> CodeMap:
    """Return the map that reads through `first`, then through `second`."""
    composed = {code: then(reading, second) for code, reading in first.items()}
    return {**{code: reading for code, reading in second.items() if code not in composed}, **composed}


def then(reading: Reading, following: CodeMap) -> Reading:
    """Return a reading brought through one more map."""
    if reading.code is None or (found := following.get(reading.code)) is None:
        return reading
    return Reading(found.code, reading.decided and found.decided)


@dataclass(frozen=True)
class History:
    """A taxonomy and the change files applied to it, oldest first."""

    base: Taxonomy
    files: Sequence[ChangeFile] = ()
    versions: tuple[Taxonomy, ...] = field(init=False, repr=False)
    """The taxonomy in each version, the base first."""
    _maps: dict[int, CodeMap] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        versions, steps = [self.base], []
        for file in self.files:
            versions.append(apply_changes(versions[-1], file))
            steps.append(code_map(versions[-2], file, versions[-1]))
        maps: dict[int, CodeMap] = {versions[-1].version: {}}
        for taxonomy, step in zip(reversed(versions[:-1]), reversed(steps), strict=True):
            maps[taxonomy.version] = compose(step, maps[taxonomy.version + 1])
        object.__setattr__(self, "versions", tuple(versions))
        object.__setattr__(self, "_maps", maps)

    @property
    def newest(self) -> Taxonomy:
        """The taxonomy after all changes."""
        return self.versions[-1]

    def at(self, version: int) -> Taxonomy:
        """Return the taxonomy of one version; raise `TaxonomyError` if it is unknown."""
        self._check(version)
        return self.versions[version - self.base.version]

    def read(self, code: str, version: int) -> Reading:
        """Return a code of one version in the newest one; an unknown code stays as it is.

        Raises:
            TaxonomyError: If the version is before the base or after the newest one.
        """
        self._check(version)
        return self._maps[version].get(code, Reading(code))

    def changed(self, version: int) -> CodeMap:
        """Return what `read` changes of one version, to be used for many codes."""
        self._check(version)
        return self._maps[version]

    def _check(self, version: int) -> None:
        if version not in self._maps:
            raise TaxonomyError(
                f"taxonomy version: {version} is not one of {self.base.version} to {self.newest.version}; "
                "apply the missing change files"
            )

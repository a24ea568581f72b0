"""One change file: the step of a taxonomy from a version to the next, checked when it is applied.

    {"from": 1, "to": 2, "changes": [
      {"do": "add", "code": "tea > white", "parent": "tea", "labels": {"en": "White tea"}},
      {"do": "merge", "codes": ["tea > green", "tea > herbal"], "into": "tea > leaf"}]}

The changes of a file are one step: their order has no meaning. Inputs are codes of the version `from`, outputs codes of
the version `to`.
"""

from collections.abc import Iterator
from dataclasses import replace
from operator import not_
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from product_classifier.errors import ChangeRefused, TaxonomyError, UnknownCategory
from product_classifier.taxonomy.category import Category, normalize_code
from product_classifier.taxonomy.stored_codes import StoredCode
from product_classifier.taxonomy.tree import NODES, Taxonomy
from product_classifier.validation_messages import described

MINIMUM_PRODUCTS = 5
"""Products that a category of a changed taxonomy needs to be answerable, if the catalogue states no number."""


def _normalized(code: str) -> str:
    try:
        return normalize_code(code)
    except TaxonomyError as error:  # as an error of pydantic, which knows the place in the file
        raise ValueError(str(error).removeprefix("code: ")) from error


Code = Annotated[StoredCode, AfterValidator(_normalized)]


def _is_none(value: object) -> bool:
    return value is None


class _Change(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def inputs(self) -> tuple[str, ...]:
        """Codes of the earlier version."""
        return ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Codes of the later version."""
        return ()

    @property
    def removed(self) -> tuple[str, ...]:
        """Codes that the later version does not have."""
        return ()


class Add(_Change):
    """Add a category; its code was never given before."""

    do: Literal["add"]
    code: Code
    parent: Code | None = Field(default=None, exclude_if=_is_none)
    labels: dict[str, str] = Field(default_factory=dict, exclude_if=not_)
    synonyms: tuple[str, ...] = Field(default=(), exclude_if=not_)
    guideline: str = Field(default="", exclude_if=not_)

    @property
    def outputs(self) -> tuple[str, ...]:
        return (self.code,) if self.parent is None else (self.code, self.parent)


class Rename(_Change):
    """Change labels, synonyms or the guideline; the code stays, and so does what was learned."""

    do: Literal["rename"]
    code: Code
    labels: dict[str, str] | None = Field(default=None, exclude_if=_is_none)
    synonyms: tuple[str, ...] | None = Field(default=None, exclude_if=_is_none)
    guideline: str | None = Field(default=None, exclude_if=_is_none)

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.code,)

    @property
    def outputs(self) -> tuple[str, ...]:
        return (self.code,)


class Move(_Change):
    """Put a category with all below it under another parent; null makes it a root."""

    do: Literal["move"]
    code: Code
    parent: Code | None

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.code,)

    @property
    def outputs(self) -> tuple[str, ...]:
        return (self.code,) if self.parent is None else (self.code, self.parent)


class Merge(_Change):
    """Make several categories one, which exists, is one of them, or is added in the same file."""

    do: Literal["merge"]
    codes: Annotated[tuple[Code, ...], Field(min_length=1)]
    into: Code

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.codes

    @property
    def outputs(self) -> tuple[str, ...]:
        return (self.into,)

    @property
    def removed(self) -> tuple[str, ...]:
        return tuple(code for code in self.codes if code != self.into)


class Split(_Change):
    """Divide a category; which part a product belongs to is decided anew, never guessed."""

    do: Literal["split"]
    code: Code
    into: Annotated[tuple[Code, ...], Field(min_length=2)]

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.code,)

    @property
    def outputs(self) -> tuple[str, ...]:
        return self.into

    @property
    def removed(self) -> tuple[str, ...]:
        return () if self.code in self.into else (self.code,)


class Retire(_Change):
    """End a category; its products count at `to`, or at none."""

    do: Literal["retire"]
    code: Code
    to: Code | None = Field(default=None, exclude_if=_is_none)

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.code,)

    @property
    def outputs(self) -> tuple[str, ...]:
        return () if self.to is None else (self.to,)

    @property
    def removed(self) -> tuple[str, ...]:
        return (self.code,)


Change = Annotated[Add | Rename | Move | Merge | Split | Retire, Field(discriminator="do")]


class ChangeFile(BaseModel):
    """The changes from one version of a taxonomy to the next."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    from_version: Annotated[int, Field(alias="from", ge=1, strict=True)]
    to_version: Annotated[int, Field(alias="to", ge=2, strict=True)]
    changes: Annotated[tuple[Change, ...], Field(min_length=1, max_length=NODES)]

    @model_validator(mode="after")
    def _is_one_step(self) -> Self:
        if self.to_version != self.from_version + 1:
            raise ValueError(f"to is {self.to_version}, not {self.from_version + 1}; write one file per version")
        return self

    def to_json(self) -> bytes:
        """Return the document to store."""
        return self.model_dump_json(by_alias=True).encode()


def parse_change_file(data: bytes, where: str) -> ChangeFile:
    """Return a change file; raise `ChangeRefused` with the first invalid field."""
    try:
        return ChangeFile.model_validate_json(data)
    except ValidationError as error:
        field, reason = described(error)[0]
        raise ChangeRefused(f"{where}: {field or 'document'}: {reason}; see the schema of change files") from error


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of change files."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | ChangeFile.model_json_schema()


def apply_changes(taxonomy: Taxonomy, file: ChangeFile) -> Taxonomy:
    """Return the next version of a taxonomy.

    A category that gets the products of an answerable one by a merge or a retirement is answerable; an added one is not
    before it has enough products. Raise `TaxonomyError` if an input is not in the
    earlier version, an output not in the later one, a code is given again or removed twice, or a category would lose
    its parent or be below itself.
    """
    if file.from_version != taxonomy.version:
        raise TaxonomyError(
            f"from: {file.from_version} is not the newest version {taxonomy.version}; write the change for that one"
        )
    removed = _check_inputs(taxonomy, file)
    by_code = {category.code: category for category in taxonomy if category.code not in removed}
    for number, change in enumerate(file.changes, 1):
        _apply(by_code, taxonomy, change, f"change {number} ({change.do})")
    for number, change in enumerate(file.changes, 1):
        for code in change.outputs:
            if code not in by_code:
                state = "is retired" if code in taxonomy.tombstones or code in removed else "is not there"
                raise TaxonomyError(
                    f"change {number} ({change.do}): {code!r:.80} {state} in version {file.to_version}; "
                    "name a category of that version, or add it"
                )
    _check_children(taxonomy, by_code, removed)
    return replace(
        taxonomy,
        categories=tuple(by_code.values()),
        codes=_answerable(taxonomy, by_code, file),
        version=file.to_version,
        minimum_products=taxonomy.minimum_products or MINIMUM_PRODUCTS,
        tombstones=taxonomy.tombstones | removed,
    )


def _answerable(taxonomy: Taxonomy, by_code: dict[str, Category], file: ChangeFile) -> tuple[str, ...]:
    """Return the answerable codes of the later version in their order; those that stay keep theirs."""
    kept = [code for code in taxonomy.codes if code in by_code]
    for change in file.changes:
        if isinstance(change, Merge | Retire) and any(map(taxonomy.is_answerable, change.inputs)):
            kept += [code for code in change.outputs if code not in kept]
    return tuple(kept)


def _check_inputs(taxonomy: Taxonomy, file: ChangeFile) -> frozenset[str]:
    """Return the codes that a file removes."""
    removed: dict[str, int] = {}
    for number, change in enumerate(file.changes, 1):
        where = f"change {number} ({change.do})"
        for code in change.inputs:
            try:
                taxonomy[code]
            except UnknownCategory as error:
                state = "; it is retired" if code in taxonomy.tombstones else ""
                raise TaxonomyError(f"{where}: {error}{state}") from error
        for code in change.removed:
            if (other := removed.setdefault(code, number)) != number:
                raise TaxonomyError(f"{where}: {code!r:.80} is removed by change {other} too; keep one of both")
    if doubled := next(_decided_twice(file), None):
        raise TaxonomyError(f"{doubled}; keep one of both")
    return frozenset(removed)


def _decided_twice(file: ChangeFile) -> Iterator[str]:
    """Yield the codes whose products two changes map, for example a split of a category that another merge names."""
    mapped: dict[str, int] = {}
    for number, change in enumerate(file.changes, 1):
        if isinstance(change, Merge | Split | Retire):
            for code in set(change.inputs):
                if (other := mapped.setdefault(code, number)) != number:
                    yield f"change {number} ({change.do}): {code!r:.80} is mapped by change {other} too"


def _apply(by_code: dict[str, Category], taxonomy: Taxonomy, change: Change, where: str) -> None:
    match change:
        case Add():
            if change.code in taxonomy or change.code in taxonomy.tombstones:
                raise TaxonomyError(f"{where}: {change.code!r:.80} was given before; choose a code that never was")
            if change.code in by_code:
                raise TaxonomyError(f"{where}: {change.code!r:.80} is added twice; remove one")
            by_code[change.code] = Category(
                change.code, change.labels, change.parent, change.synonyms, change.guideline
            )
        case Rename() if change.code in by_code:
            old = by_code[change.code]
            by_code[change.code] = replace(
                old,
                labels=old.labels if change.labels is None else dict(old.labels) | change.labels,
                synonyms=old.synonyms if change.synonyms is None else change.synonyms,
                guideline=old.guideline if change.guideline is None else change.guideline,
            )
        case Move() if change.code in by_code:
            by_code[change.code] = replace(by_code[change.code], parent=change.parent)
        case _:
            pass  # what becomes of products is read from the file, see `product_classifier.taxonomy.version_history`


def _check_children(taxonomy: Taxonomy, by_code: dict[str, Category], removed: frozenset[str]) -> None:
    for code in removed:
        if left := next(
            (one for one in taxonomy.children(code) if one in by_code and by_code[one].parent == code), None
        ):
            raise TaxonomyError(
                f"category {left!r:.80}: its parent {code!r:.80} is removed; move it or remove it in the same file"
            )

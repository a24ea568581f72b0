"""A change file that was applied, and what it did to products and corrections."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from product_classifier.errors import TaxonomyError
from product_classifier.taxonomy.change_file import Change, ChangeFile, Merge, Retire, Split
from product_classifier.taxonomy.stored_codes import StoredCode
from product_classifier.taxonomy.tree import Taxonomy
from product_classifier.taxonomy.version_history import code_map
from product_classifier.validation_messages import described

Outcome = Literal["kept", "mapped", "undecided", "uncategorized"]


class ChangeEffect(BaseModel):
    """What one change does to the products and corrections of one code."""

    model_config = ConfigDict(frozen=True)

    do: str
    code: StoredCode
    outcome: Outcome
    """`kept`, `mapped` to `to`, `undecided`: counted at `to` until it is decided anew, or without a category."""
    to: StoredCode | None = None
    products: int
    corrections: int


class AppliedChange(BaseModel):
    """A change file with who applied it and what it did: one object in the store, written once."""

    model_config = ConfigDict(frozen=True)  # unknown fields are ignored: a newer version may have written it

    change: ChangeFile
    created: AwareDatetime
    actor: str
    effects: tuple[ChangeEffect, ...]
    base: dict[str, Any] | None = Field(default=None, exclude_if=lambda base: base is None)
    """The taxonomy that the first change file was applied to, as `Taxonomy.to_json` returns it; None in later ones."""

    def to_json(self) -> bytes:
        """Return the document to store."""
        return self.model_dump_json(by_alias=True).encode()

    def count(self, outcome: Outcome) -> tuple[int, int]:
        """Return the products and corrections with an outcome."""
        found = [effect for effect in self.effects if effect.outcome == outcome]
        return sum(one.products for one in found), sum(one.corrections for one in found)


def parse_applied_change(data: bytes, key: str) -> AppliedChange:
    """Return a stored change; raise `TaxonomyError` with the first invalid field."""
    try:
        return AppliedChange.model_validate_json(data)
    except ValidationError as error:
        field, reason = described(error)[0]
        raise TaxonomyError(f"{key}: {field or 'document'}: {reason}; restore the object") from error


def effects_of(
    taxonomy: Taxonomy,
    file: ChangeFile,
    following: Taxonomy,
    products: Mapping[str, int],
    corrections: Mapping[str, int],
) -> tuple[ChangeEffect, ...]:
    """Return what a valid change file does, one entry per changed code, in the order of the file.

    Args:
        taxonomy: The version the file is applied to.
        file: The changes.
        following: The version that follows.
        products: Labelled products by code of `taxonomy`.
        corrections: Corrections by code of `taxonomy`.
    """
    mapped = code_map(taxonomy, file, following)
    effects = []
    for change in file.changes:
        for code in _changed_codes(change):
            reading = mapped.get(code)
            outcome: Outcome = "kept"
            if reading is not None:
                outcome = "uncategorized" if reading.code is None else "mapped" if reading.decided else "undecided"
            effects.append(
                ChangeEffect(
                    do=change.do,
                    code=code,
                    outcome=outcome,
                    to=None if reading is None else reading.code,
                    products=products.get(code, 0),
                    corrections=corrections.get(code, 0),
                )
            )
    return tuple(effects)


def _changed_codes(change: Change) -> tuple[str, ...]:
    """Return the codes whose products a change concerns; those of an added category have none yet."""
    if isinstance(change, Merge):
        return change.removed
    if isinstance(change, Split | Retire):
        return (change.code,)
    return change.inputs

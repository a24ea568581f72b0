"""The categories above the answerable ones at which an uncertain prediction is answered.

The probability of such an ancestor is the sum of those of the answerable categories that it is, or that are below it.
A prediction is answered at the deepest ancestor of its category whose probability exceeds the ancestor's threshold
(the climbing inference rule of Goren et al. 2024, "Hierarchical Selective Classification").
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from product_classifier.errors import BundleRefused
from product_classifier.probabilities import Floats
from product_classifier.taxonomy import Codes, Taxonomy
from product_classifier.taxonomy.stored_codes import StoredCode, all_to_stored
from product_classifier.validation_messages import described


class AncestorAnswer(NamedTuple):
    """A category above the predicted one, and its probability."""

    code: str
    probability: float


@dataclass(frozen=True)
class Ancestors:
    """Ancestors of the answerable categories that have a threshold."""

    answerable: Codes
    codes: Codes
    thresholds: tuple[float, ...]
    """Probability above which a prediction is answered at each of them."""
    above: tuple[tuple[int, ...], ...]
    """For each answerable category, positions in `codes` of those above it, the deepest first."""

    @classmethod
    def of(cls, taxonomy: Taxonomy, codes: Codes, thresholds: Mapping[str, float]) -> Self:
        """Return the ancestors of answerable categories `codes` that have one of these thresholds."""
        found = {code: position for position, code in enumerate(thresholds)}
        above = tuple(tuple(found[one] for one in taxonomy.ancestors(code) if one in found) for code in codes)
        return cls(codes, tuple(found), tuple(thresholds.values()), above)

    def answer(self, probabilities: Floats, predicted: int) -> AncestorAnswer | None:
        """Return the deepest certain ancestor of a predicted category; None if none is certain.

        Args:
            probabilities: Those of one product `[classes]`.
            predicted: Column of its most probable category.
        """
        for position in self.above[predicted]:
            probability = float(probabilities[self._columns[position]].sum())
            if probability > self.thresholds[position]:
                return AncestorAnswer(self.codes[position], min(1.0, probability))
        return None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object of `model.json`."""
        return {
            "codes": all_to_stored(self.codes),
            "thresholds": [round(one, 9) for one in self.thresholds],
            "above": [list(one) for one in self.above],
        }

    @classmethod
    def from_json(cls, values: Any, codes: Codes) -> Self:
        """Return the ancestors of answerable categories `codes`; raise BundleRefused if malformed."""
        try:
            found = _StoredAncestors.model_validate(values)
        except ValidationError as error:
            field, reason = described(error)[0]
            raise BundleRefused(f"model.json: ancestors.{field}: {reason}") from error
        size = len(found.codes)
        if len(found.thresholds) != size or len(found.above) != len(codes):
            raise BundleRefused(f"model.json: ancestors are not thresholds and paths of {len(codes)} categories")
        if any(position >= size for path in found.above for position in path):
            raise BundleRefused(f"model.json: ancestors.above has a position beyond the {size} ancestors")
        return cls(codes, found.codes, found.thresholds, found.above)

    @cached_property
    def _columns(self) -> list[NDArray[np.int64]]:
        """Columns of the answerable categories that each ancestor is, or that are below it."""
        own = {code: column for column, code in enumerate(self.answerable)}
        columns = [[own[code]] if code in own else [] for code in self.codes]
        for column, path in enumerate(self.above):
            for position in path:
                columns[position].append(column)
        return [np.array(one, np.int64) for one in columns]


class _StoredAncestors(BaseModel):
    model_config = ConfigDict(extra="forbid")

    codes: tuple[StoredCode, ...]
    thresholds: tuple[Annotated[float, Field(ge=0, le=1)], ...]
    above: tuple[tuple[NonNegativeInt, ...], ...]

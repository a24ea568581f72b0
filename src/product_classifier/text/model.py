"""The text model: one product's words to 27 probabilities."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from product_classifier.bundles.arrays import read_arrays, read_json, write_arrays, write_json
from product_classifier.errors import BundleRefused
from product_classifier.taxonomy import CODES
from product_classifier.text.features import TextFeatures, pages
from product_classifier.text.normalization import normalize

Floats = NDArray[np.float32]
LEAST = np.float32(-80)
"""Below it e^margin is too small for a float."""


class TextModel(ABC):
    """Answers one probability vector per product; a product without words gets the prior.

    `load` finds the kind by the bundle's model.json.
    """

    codes: tuple[int, ...]
    prior: Floats

    def probabilities(self, designations: Sequence[str], descriptions: Sequence[str]) -> Floats:
        """Return probabilities `[n, classes]` in the order of `codes`."""
        if len(designations) != len(descriptions):
            raise ValueError(f"{len(designations)} designations but {len(descriptions)} descriptions")
        texts = [self.prepare(*product) for product in zip(designations, descriptions, strict=True)]
        found = np.tile(self.prior, (len(texts), 1))
        if spoken := [row for row, text in enumerate(texts) if text]:
            found[spoken] = self.classify([texts[row] for row in spoken])
        return found

    @staticmethod
    def prepare(designation: str, description: str) -> str:
        """Return the text as the model reads it, empty without words."""
        return normalize(designation, description)

    @abstractmethod
    def classify(self, texts: list[str]) -> Floats:
        """Return probabilities of prepared, non-empty texts."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the model's files into an existing folder."""

    @staticmethod
    def load(folder: Path) -> "TextModel":
        """Read a model of either kind.

        Raises:
            BundleRefused: If the files are not a text model.
        """
        settings = read_json(folder / "model.json")
        match settings.get("type"):
            case HashedLinear.TYPE:
                return HashedLinear.read(folder, settings)
            case "encoder":
                from product_classifier.text.encoder import TextEncoder  # noqa: PLC0415 - needs ONNX Runtime

                return TextEncoder.read(folder, settings)
            case other:
                raise BundleRefused(f"model.json: type is {other!r}, not 'hashed-linear' or 'encoder'")


@dataclass(frozen=True)
class HashedLinear(TextModel):
    """A dense table of weights, one row per bucket with idf folded in: gather, scale each view to length one, sum.

    Table and bias are scaled such that `softplus_logits` makes calibrated logits of the margins.
    """

    TYPE: ClassVar[str] = "hashed-linear"

    features: TextFeatures
    table: Floats  # [buckets, classes]
    idf: Floats  # [buckets], 0 where training never saw the bucket
    bias: Floats  # [classes]
    prior: Floats  # [classes]
    codes: tuple[int, ...] = field(default=CODES)

    def margins(self, texts: Sequence[str]) -> Floats:
        """Return how much speaks for each category; a text of unknown words has the bias alone."""
        parts = [self._margins_of(page) for page in pages(texts)]
        return np.concatenate(parts) if len(parts) != 1 else parts[0]

    def _margins_of(self, texts: Sequence[str]) -> Floats:
        found = np.tile(self.bias, (len(texts), 1))
        keys, counts = self.features.counted(texts)
        starts = self.features.starts(keys, len(texts))
        buckets = (keys % self.features.buckets).astype(np.intp)
        weights = self._weights(buckets, counts, starts)
        edges = starts[:: len(self.features.views) - 1].tolist()
        for row, (start, end) in enumerate(pairwise(edges)):
            found[row] += weights[start:end] @ self.table.take(buckets[start:end], axis=0)
        return found

    def classify(self, texts: list[str]) -> Floats:
        return softmax(softplus_logits(self.margins(texts)))

    def _weights(self, buckets: NDArray[np.intp], counts: Floats, starts: NDArray[np.intp]) -> Floats:
        """Return for each term what it counts within the view it belongs to, whose length becomes one."""
        terms = 1 + np.log(counts)
        if not len(terms):
            return terms
        squares = (terms * self.idf[buckets]).astype(np.float64) ** 2
        sizes = starts[1:] - starts[:-1]
        filled = sizes > 0  # what is empty has no sum
        lengths = np.sqrt(np.maximum(np.add.reduceat(squares, starts[:-1][filled]), 1e-12))
        shares: Floats = (terms / np.repeat(lengths, sizes[filled])).astype(np.float32)
        return shares

    def save(self, folder: Path) -> None:
        settings = {"type": self.TYPE, "codes": list(self.codes), "features": self.features.to_json()}
        write_json(folder / "model.json", settings)
        used = np.flatnonzero(self.idf)
        write_arrays(
            folder / "weights.npz",
            rows=used.astype(np.int64),
            weights=self.table[used],
            idf=self.idf[used],
            bias=self.bias,
            prior=self.prior,
        )

    @classmethod
    def read(cls, folder: Path, settings: dict[str, Any]) -> Self:
        """Read the files beside `settings`, which came from model.json."""
        codes = codes_of(settings)
        try:
            features = TextFeatures.from_json(settings["features"])
        except (KeyError, TypeError, ValueError) as error:
            raise BundleRefused(f"model.json: features are not usable: {error}") from error
        kinds = {"rows": "int64", "weights": "float32", "idf": "float32", "bias": "float32", "prior": "float32"}
        arrays = read_arrays(folder / "weights.npz", kinds)
        rows = arrays["rows"]
        shapes = {"rows": rows.shape, "weights": (len(rows), len(codes)), "idf": (len(rows),)}
        for name, shape in (shapes | {"bias": (len(codes),), "prior": (len(codes),)}).items():
            if arrays[name].shape != shape or arrays["rows"].ndim != 1:
                raise BundleRefused(f"weights.npz: {name} has shape {arrays[name].shape}, not {shape}")
        if len(rows) and (rows.min() < 0 or rows.max() >= features.buckets):
            raise BundleRefused(f"weights.npz: rows reach {rows.max()}, beyond {features.buckets} buckets")
        table = np.zeros((features.buckets, len(codes)), np.float32)
        idf = np.zeros(features.buckets, np.float32)
        table[rows], idf[rows] = arrays["weights"], arrays["idf"]
        return cls(features, table, idf, arrays["bias"], arrays["prior"], codes)


def softplus_logits(margins: Floats) -> Floats:
    """Return logits of support vector margins: log(1 + e^margin), whose order is the same.

    What speaks against a category counts in full. What speaks for it counts less the more there is, as a support
    vector machine does not care how far beyond its margin a text lies.
    """
    return np.log(np.logaddexp(0, np.maximum(margins, LEAST))).astype(np.float32)


def softmax(logits: Floats) -> Floats:
    """Return probabilities along the last axis."""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: Floats = (raised / raised.sum(axis=-1, keepdims=True)).astype(np.float32)
    return shares


def codes_of(settings: dict[str, Any]) -> tuple[int, ...]:
    """Return the class order a model was trained with.

    Raises:
        BundleRefused: If it is not the order of this product's categories.
    """
    codes = settings.get("codes")
    if codes != list(CODES):
        raise BundleRefused(f"model.json: codes are not the {len(CODES)} categories in ascending order: {codes!r:.120}")
    return CODES

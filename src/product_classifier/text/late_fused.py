"""Hashed n-grams and frozen encoders, combined by their log-probabilities."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from product_classifier.bundles.arrays import write_json
from product_classifier.errors import BundleRefused
from product_classifier.probabilities import Floats, softmax, softplus_logits
from product_classifier.text.hashed_linear import HashedLinear
from product_classifier.text.model import TextModel
from product_classifier.text.normalization import normalize, strip_markup
from product_classifier.text.token_graph import TokenGraph

HIGHEST_WEIGHT = 10.0
MAX_TOKENS = 4096
_NAME = re.compile("[a-z0-9][a-z0-9-]{0,39}")


@dataclass(frozen=True)
class FrozenEncoder:
    """The files of an encoder with its linear head: from tokens to logits `[n, classes]`."""

    name: str
    """File names are `<name>.onnx` and `<name>.tokenizer.json`."""
    folder: Path
    max_tokens: int
    classes: int
    graph: TokenGraph = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        opened = TokenGraph(*self.files, self.max_tokens, "logits", self.classes)
        object.__setattr__(self, "graph", opened)

    @property
    def files(self) -> tuple[Path, Path]:
        """Paths of the graph and of the tokenizer."""
        return self.folder / f"{self.name}.onnx", self.folder / f"{self.name}.tokenizer.json"


@dataclass(frozen=True)
class LateFused(TextModel):
    """The softmax of a weighted sum of log-probabilities: those of the hashed n-grams and of each encoder."""

    TYPE: ClassVar[str] = "late-fused"
    gains_from_batches: ClassVar[bool] = False

    linear: HashedLinear
    encoders: tuple[FrozenEncoder, ...]
    weights: Floats
    """Weights `[1 + encoders]`, that of the hashed n-grams first."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "codes", self.linear.codes)
        object.__setattr__(self, "prior", self.linear.prior)

    def probabilities(self, designations: Sequence[str], descriptions: Sequence[str]) -> Floats:
        products = list(zip(designations, descriptions, strict=True))
        result = np.tile(self.prior, (len(products), 1))
        if rows := [row for row, product in enumerate(products) if normalize(*product)]:
            normalized = [normalize(*products[row]) for row in rows]
            stripped = [strip_markup(*products[row]) for row in rows]
            result[rows] = self._combine(normalized, stripped)
        return result

    def classify(self, texts: list[str]) -> Floats:
        """Return probabilities `[n, classes]` of texts that are read as designations."""
        return self.probabilities(texts, [""] * len(texts))

    def save(self, folder: Path) -> None:
        encoders = [{"name": one.name, "max_tokens": one.max_tokens} for one in self.encoders]
        settings = {"type": self.TYPE, "linear": self.linear.settings(), "encoders": encoders}
        write_json(folder / "model.json", settings | {"weights": self.weights.astype(float).tolist()})
        self.linear.save_arrays(folder)
        for encoder in self.encoders:
            for file in encoder.files:
                if file.parent != folder:
                    shutil.copyfile(file, folder / file.name)

    @classmethod
    def read(cls, folder: Path, settings: dict[str, Any]) -> Self:
        """Read the model whose `model.json` holds `settings`.

        Raises:
            BundleRefused: If the files are not a model of this type.
        """
        match settings:
            case {"linear": dict(linear), "encoders": [_, *_] as listed, "weights": list(weights)}:
                fitted = HashedLinear.read(folder, linear)
                encoders = tuple(_read_encoder(folder, one, len(fitted.codes)) for one in listed)
            case _:
                raise BundleRefused("model.json: linear, encoders or weights are missing or malformed")
        if len({one.name for one in encoders}) != len(encoders):
            raise BundleRefused("model.json: encoders have the same name")
        is_valid = [type(one) in {int, float} and 0 <= one <= HIGHEST_WEIGHT for one in weights]
        if not all(is_valid) or len(weights) != 1 + len(encoders):
            raise BundleRefused(
                f"model.json: weights are {weights!r:.80}, not {1 + len(encoders)} numbers from 0 to {HIGHEST_WEIGHT:g}"
            )
        return cls(fitted, encoders, np.array(weights, np.float32))

    def _combine(self, normalized: list[str], stripped: list[str]) -> Floats:
        logits = self.weights[0] * softplus_logits(self.linear.margins(normalized))
        for weight, encoder in zip(self.weights[1:], self.encoders, strict=True):
            logits += weight * encoder.graph.run(stripped)
        return softmax(logits)


def _read_encoder(folder: Path, settings: object, classes: int) -> FrozenEncoder:
    match settings:
        case {"name": str(name), "max_tokens": int(max_tokens)} if (
            _NAME.fullmatch(name) and 2 <= max_tokens <= MAX_TOKENS
        ):
            return FrozenEncoder(name, folder, max_tokens, classes)
        case _:
            raise BundleRefused(
                f"model.json: encoder is {settings!r:.80}, not a name of letters, digits and hyphens "
                f"with max_tokens from 2 to {MAX_TOKENS}"
            )

"""A fine-tuned text encoder, served by ONNX Runtime without torch."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from product_classifier.bundles.arrays import write_json
from product_classifier.bundles.bundle import read_codes
from product_classifier.bundles.onnx_guard import check_onnx
from product_classifier.bundles.onnx_session import open_session
from product_classifier.errors import BundleRefused
from product_classifier.probabilities import Floats
from product_classifier.taxonomy import Codes
from product_classifier.taxonomy.stored_codes import all_to_stored
from product_classifier.text.model import TextModel
from product_classifier.text.normalization import strip_markup

_BATCH = 16
_GRAPH, _TOKENIZER = "model.onnx", "tokenizer.json"


@dataclass(frozen=True)
class TextEncoder(TextModel):
    """An ONNX graph from token ids and attention mask `[n, tokens]` to probabilities `[n, classes]`."""

    TYPE: ClassVar[str] = "encoder"

    folder: Path
    max_tokens: int
    prior: Floats  # [classes]
    codes: Codes
    _tokenizer: Any = field(init=False, repr=False, compare=False)
    _session: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_tokenizer", open_tokenizer(self.folder / _TOKENIZER, self.max_tokens))
        session = open_session(self.folder / _GRAPH)
        inputs = sorted((one.name, one.type) for one in session.get_inputs())
        if inputs != [("attention_mask", "tensor(int64)"), ("input_ids", "tensor(int64)")]:
            raise BundleRefused(f"{_GRAPH}: inputs are not int64 input_ids and attention_mask")
        if [one.name for one in session.get_outputs()] != ["probabilities"]:
            raise BundleRefused(f"{_GRAPH}: the only output is not named 'probabilities'")
        object.__setattr__(self, "_session", session)

    @staticmethod
    def prepare(designation: str, description: str) -> str:
        return strip_markup(designation, description)

    def classify(self, texts: list[str]) -> Floats:
        parts = [self._run(texts[at : at + _BATCH]) for at in range(0, len(texts), _BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.codes)), np.float32)

    def save(self, folder: Path) -> None:
        settings = {"type": self.TYPE, "codes": all_to_stored(self.codes), "max_tokens": self.max_tokens}
        write_json(folder / "model.json", settings | {"prior": self.prior.astype(float).tolist()})
        if folder != self.folder:
            for name in (_GRAPH, _TOKENIZER):
                shutil.copyfile(self.folder / name, folder / name)

    @classmethod
    def read(cls, folder: Path, settings: dict[str, Any]) -> Self:
        """Read the model whose `model.json` holds `settings`.

        Raises:
            BundleRefused: If the files are not a model of this type.
        """
        codes = read_codes(settings, "model.json")
        max_tokens = settings.get("max_tokens")
        if not isinstance(max_tokens, int) or not 2 <= max_tokens <= 4096:
            raise BundleRefused(f"model.json: max_tokens is {max_tokens!r}, not from 2 to 4096")
        try:
            prior = np.asarray(settings.get("prior"), np.float32)
        except (TypeError, ValueError) as error:
            raise BundleRefused("model.json: prior is not a list of numbers") from error
        if prior.shape != (len(codes),) or not np.isfinite(prior).all():
            raise BundleRefused(f"model.json: prior is not {len(codes)} finite numbers")
        check_onnx(folder / _GRAPH)
        return cls(folder, max_tokens, prior, codes)

    def _run(self, texts: list[str]) -> Floats:
        encoded = self._encode(texts)
        feeds: dict[str, NDArray[np.int64]] = {
            "input_ids": np.array([one.ids for one in encoded], np.int64),
            "attention_mask": np.array([one.attention_mask for one in encoded], np.int64),
        }
        probabilities: Floats = self._session.run(["probabilities"], feeds)[0]
        return probabilities

    def _encode(self, texts: list[str]) -> Any:
        """Return the encoded texts; raise ValueError for texts on which the bindings panic."""
        try:
            return self._tokenizer.encode_batch(texts)
        except (Exception, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of the bindings is no Exception
            raise ValueError(f"the tokenizer fails on one of {len(texts)} texts") from error


def open_tokenizer(path: Path, max_tokens: int) -> Any:
    """Read a tokenizer; it truncates to `max_tokens` and pads to the longest text of a batch.

    Raises:
        BundleRefused: If the file is not a tokenizer.
    """
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the bindings raise Exception itself
        raise BundleRefused(f"{path.name}: is not a tokenizer: {str(error)[:120]}") from error
    padding = tokenizer.padding or {}
    tokenizer.enable_truncation(max_tokens)
    tokenizer.enable_padding(pad_id=padding.get("pad_id", 0), pad_token=padding.get("pad_token", "[PAD]"))
    return tokenizer

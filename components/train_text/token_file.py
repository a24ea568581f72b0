"""The token ids of texts in a temporary file, so that memory holds those of one batch."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from components.shared.fine_tuning.examples import Batch

_TEXTS_AT_ONCE = 10_000


class TokenizedTexts:
    """Labelled texts as token ids; batches are padded to their longest text."""

    def __init__(self, ids: NDArray[np.int32], ends: NDArray[np.int64], labels: NDArray[np.int64], pad_id: int) -> None:
        self._ids, self._ends, self._pad_id = ids, ends, pad_id
        self.lengths = np.diff(ends, prepend=0)
        self.labels = labels

    def load(self, rows: NDArray[np.int64], random: torch.Generator | None) -> Batch:  # noqa: ARG002 - not augmented
        """Return ids and attention mask `[n, tokens]` of these rows."""
        lengths = self.lengths[rows]
        mask = np.arange(lengths.max()) < lengths[:, None]
        ids = np.full(mask.shape, self._pad_id, np.int64)
        for number, row in enumerate(rows):
            ids[number, : lengths[number]] = self._ids[self._ends[row] - lengths[number] : self._ends[row]]
        inputs = torch.from_numpy(ids), torch.from_numpy(mask.astype(np.int64))
        return Batch(inputs, torch.from_numpy(self.labels[rows]))


@contextmanager
def tokenize(tokenizer: Any, texts: Sequence[str], labels: NDArray[np.int64]) -> Iterator[TokenizedTexts]:
    """Encode texts into a file that lasts for the block; the tokenizer truncates them."""
    with tempfile.TemporaryDirectory() as folder:
        path, lengths = Path(folder) / "ids.bin", np.zeros(len(texts), np.int64)
        with path.open("wb") as file:
            for start in range(0, len(texts), _TEXTS_AT_ONCE):
                for number, one in enumerate(tokenizer.encode_batch(list(texts[start : start + _TEXTS_AT_ONCE]))):
                    lengths[start + number] = sum(one.attention_mask)  # the rest is padding
                    file.write(np.array(one.ids[: lengths[start + number]], np.int32).tobytes())
        ids = np.memmap(path, np.int32, "r") if lengths.any() else np.zeros(0, np.int32)
        yield TokenizedTexts(ids, np.cumsum(lengths), labels, tokenizer.padding["pad_id"])

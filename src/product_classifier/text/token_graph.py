"""An ONNX graph of tokens with its tokenizer, run by ONNX Runtime one text at a time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from product_classifier.bundles.onnx_session import open_session
from product_classifier.errors import BundleRefused
from product_classifier.probabilities import Floats

TOKEN_INPUTS = [("attention_mask", "tensor(int64)"), ("input_ids", "tensor(int64)")]


class TokenGraph:
    """A graph from `input_ids` and `attention_mask` `[n, tokens]` to one output `[n, columns]`.

    Each text is a run of its own: integers are scaled by the range of all activations of a run, so other texts would
    change its result, and padding would cost more than a batch saves on one thread. Threads may share a graph.
    """

    def __init__(self, graph: Path, tokenizer: Path, max_tokens: int, output: str, columns: int) -> None:
        """Open both files.

        Args:
            graph: The ONNX file.
            tokenizer: The file of the library `tokenizers`.
            max_tokens: Tokens of a text that are read, special ones included.
            output: Name of the output.
            columns: Number of its columns.

        Raises:
            BundleRefused: If a file is not what is expected.
        """
        self._tokenizer = _open_tokenizer(tokenizer, max_tokens)
        self._session = open_session(graph)
        self._output = output
        inputs = sorted((one.name, one.type) for one in self._session.get_inputs())
        if inputs != TOKEN_INPUTS:
            raise BundleRefused(f"{graph.name}: inputs are {inputs!r:.120}, not int64 input_ids and attention_mask")
        found = [(one.name, one.shape[1:]) for one in self._session.get_outputs()]
        if found != [(output, [columns])]:
            raise BundleRefused(f"{graph.name}: outputs are {found!r:.120}, not {output} [n, {columns}] alone")

    def run(self, texts: Sequence[str]) -> Floats:
        """Return the output `[n, columns]` of texts.

        Raises:
            ValueError: If the tokenizer fails on a text.
        """
        rows = [self._run_one(text) for text in texts]
        result: Floats = np.concatenate(rows)
        return result

    def _run_one(self, text: str) -> Floats:
        ids = np.array([self._encode(text).ids], np.int64)
        output: Floats = self._session.run([self._output], {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0]
        return output

    def _encode(self, text: str) -> Any:
        try:
            return self._tokenizer.encode(text)
        except (Exception, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of the bindings is no Exception
            raise ValueError(f"the tokenizer fails on a text of {len(text)} characters") from error


def _open_tokenizer(path: Path, max_tokens: int) -> Any:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the bindings raise Exception itself
        raise BundleRefused(f"{path.name}: is not a tokenizer: {str(error)[:120]}") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer

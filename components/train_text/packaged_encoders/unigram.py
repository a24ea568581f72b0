"""A unigram vocabulary of SentencePiece, cut to scripts, as a tokenizer of the library `tokenizers`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from components.train_text.packaged_encoders.scripts import is_written_in


@dataclass(frozen=True)
class Pieces:
    """The pieces of a vocabulary with their log-probabilities, and the ids of the special ones."""

    texts: tuple[str, ...]
    scores: tuple[float, ...]
    begin: int
    end: int
    padding: int
    unknown: int

    def cut(self, scripts: frozenset[str]) -> tuple["Pieces", NDArray[np.int64]]:
        """Return the special pieces and those of these scripts, and the ids they had `[kept]`."""
        special = {self.begin, self.end, self.padding, self.unknown}
        kept = [row for row, text in enumerate(self.texts) if row in special or is_written_in(text, scripts)]
        position = {row: new for new, row in enumerate(kept)}
        cut = Pieces(
            tuple(self.texts[row] for row in kept),
            tuple(self.scores[row] for row in kept),
            position[self.begin],
            position[self.end],
            position[self.padding],
            position[self.unknown],
        )
        return cut, np.array(kept, np.int64)


def build_tokenizer(pieces: Pieces, normalization: Sequence[Any], prefix: str = "") -> Any:
    """Return the tokenizer: `prefix`, then the text, between the pieces of its begin and its end.

    Args:
        pieces: The vocabulary.
        normalization: Normalizers of `tokenizers` that precede the folding of blanks.
        prefix: Text that the encoder was trained with before each text, such as "query: ".
    """
    tokenizer = Tokenizer(
        models.Unigram(list(zip(pieces.texts, pieces.scores, strict=True)), pieces.unknown, byte_fallback=False)
    )
    blanks = [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    tokenizer.normalizer = normalizers.Sequence(
        [*normalization, *blanks, *([normalizers.Prepend(prefix)] if prefix else [])]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    tokenizer.decoder = decoders.Metaspace()
    begin, end = (pieces.texts[row] for row in (pieces.begin, pieces.end))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}", special_tokens=[(begin, pieces.begin), (end, pieces.end)]
    )
    tokenizer.enable_padding(pad_id=pieces.padding, pad_token=pieces.texts[pieces.padding])
    return tokenizer

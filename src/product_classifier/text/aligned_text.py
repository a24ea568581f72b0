"""A text derived from another one, with the position in the original of each of its characters."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.intp]

_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")


@dataclass(frozen=True)
class AlignedText:
    """A text; character i comes from the characters `starts[i]` to `ends[i]` of the original."""

    text: str
    starts: Positions
    ends: Positions

    @classmethod
    def of(cls, text: str) -> Self:
        """Return a text that is its own original."""
        positions = np.arange(len(text) + 1)
        return cls(text, positions[:-1], positions[1:])

    def cut(self, start: int, end: int) -> "AlignedText":
        """Return the characters from `start` to `end`."""
        return AlignedText(self.text[start:end], self.starts[start:end], self.ends[start:end])

    def strip(self) -> "AlignedText":
        """Return the text without surrounding white space."""
        left = len(self.text) - len(self.text.lstrip())
        return self.cut(left, max(left, len(self.text.rstrip())))

    def replace(self, pattern: re.Pattern[str], replacement: Callable[[str], str]) -> "AlignedText":
        """Return the text with every match replaced, as `pattern.sub` does.

        Characters at the end of a match that its replacement preserves keep their positions; all others come from the
        whole match.
        """
        pieces = []
        at = 0
        for match in pattern.finditer(self.text):
            start, end = match.span()
            new = replacement(match[0])
            kept = _common_suffix(match[0], new)
            pieces += [(self.text[at:start], start - at), (new[: len(new) - kept], end - start - kept)]
            if kept:
                pieces.append((new[-kept:], kept))
            at = end
        return self.replace_pieces([*pieces, (self.text[at:], len(self.text) - at)]) if at else self

    def remove(self, pattern: re.Pattern[str]) -> "AlignedText":
        """Return the text without the matches; each of them then belongs to the character before it."""
        is_kept = np.ones(len(self.text), np.bool_)
        for match in pattern.finditer(self.text):
            is_kept[match.start() : match.end()] = False
        kept = is_kept.nonzero()[0]
        if len(kept) == len(self.text):
            return self
        last = np.append(kept[1:], len(self.text)) - 1
        return AlignedText(pattern.sub("", self.text), self.starts[kept], self.ends[last] if len(kept) else last[:0])

    def replace_pieces(self, pieces: Iterable[tuple[str, int]]) -> "AlignedText":
        """Return consecutive pieces, each of which replaces so many characters.

        A piece that is as long as what it replaces is aligned by character.
        """
        texts: list[str] = []
        starts: list[Positions] = []
        ends: list[Positions] = []
        at = 0
        for text, length in pieces:
            after = at + length
            if text:
                same = len(text) == length
                texts.append(text)
                starts.append(self.starts[at:after] if same else np.full(len(text), self.starts[min(at, after - 1)]))
                ends.append(self.ends[at:after] if same else np.full(len(text), self.ends[after - 1]))
            at = after
        none = np.zeros(0, np.intp)
        return AlignedText("".join(texts), np.concatenate([none, *starts]), np.concatenate([none, *ends]))

    def derive(self, text: str, lengths: Callable[[str], int]) -> "AlignedText":
        """Return `text`, in which `lengths` characters come from each character; from ASCII one."""
        if self.text.isascii():
            return AlignedText(text, self.starts, self.ends)
        counts = np.ones(len(self.text), np.intp)
        for match in _NOT_ASCII.finditer(self.text):
            counts[match.start()] = lengths(match[0])
        return AlignedText(text, np.repeat(self.starts, counts), np.repeat(self.ends, counts))


def _common_suffix(old: str, new: str) -> int:
    limit = min(len(old), len(new))
    return next((length for length in range(limit) if old[-1 - length] != new[-1 - length]), limit)

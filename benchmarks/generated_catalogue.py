"""A catalogue of any number of categories whose titles are made of the words of their taxonomy.

A title mixes words of its category, of those above it and of all products, so that siblings are confused more often
than strangers. Sizes of categories follow a power law, and a share of the labels is that of a sibling.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_SYLLABLES = tuple(first + vowel for first in "bcdfglmnprstvz" for vowel in ("a", "e", "i", "o", "u", "an", "ur"))
_OWN_WORDS = 12
_COMMON_WORDS = 3000
_LABEL_NOISE = 0.03
_SHARES = (0.3, 0.25, 0.45)
"""Of a title's words: of the category, of a category above it, of all products."""


@dataclass(frozen=True)
class GeneratedCatalogue:
    """Products in random order: titles, and the position of each category in `paths`."""

    titles: list[str]
    labels: NDArray[np.int64]
    paths: list[tuple[str, ...]]


def read_paths(file: Path) -> list[tuple[str, ...]]:
    """Return the paths of a file in the format of Google's product taxonomy: `<id> - <name> > <name>`."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return [tuple(line.partition(" - ")[2].split(" > ")) for line in lines if line and not line.startswith("#")]


def generate_paths(categories: int, seed: int = 23) -> list[tuple[str, ...]]:
    """Return the paths of a tree with some twenty children per node, in which every node is a category."""
    random = np.random.default_rng(seed)
    paths: list[tuple[str, ...]] = [()]
    for position in range(categories):
        paths.append((*paths[position // 20], " ".join(_words(random, 2))))
    return paths[1:]


def generate_catalogue(paths: list[tuple[str, ...]], products: int, seed: int = 23) -> GeneratedCatalogue:
    """Return products of the categories of `paths`, at least two of each where the number allows it."""
    random = np.random.default_rng(seed)
    common = np.array(_words(random, _COMMON_WORDS))
    own = {
        node: [*node[-1].lower().replace(",", " ").replace("&", " ").split(), *_words(random, _OWN_WORDS)]
        for node in dict.fromkeys(path[:depth] for path in paths for depth in range(1, len(path) + 1))
    }
    siblings: dict[tuple[str, ...], list[int]] = {}
    for position, path in enumerate(paths):
        siblings.setdefault(path[:-1], []).append(position)
    sizes = 1 / np.arange(2, len(paths) + 2) ** 0.7
    drawn = random.choice(len(paths), max(products - 2 * len(paths), 0), p=random.permutation(sizes / sizes.sum()))
    truth = np.concatenate([np.tile(np.arange(len(paths)), 2), drawn])[:products]
    random.shuffle(truth)
    titles = [_title(random, paths[position], own, common) for position in truth.tolist()]
    labels = truth.copy()
    for row in np.flatnonzero(random.random(products) < _LABEL_NOISE).tolist():
        labels[row] = random.choice(siblings[paths[labels[row]][:-1]])
    return GeneratedCatalogue(titles, labels, paths)


def _title(
    random: np.random.Generator, path: tuple[str, ...], own: dict[tuple[str, ...], list[str]], common: NDArray[np.str_]
) -> str:
    words = []
    for source in random.choice(3, random.integers(4, 10), p=_SHARES).tolist():
        if source == 2:
            words.append(str(common[int(len(common) * random.random() ** 2)]))
            continue
        node = path if source == 0 or len(path) == 1 else path[: random.integers(1, len(path))]
        choices = own[node]
        words.append(choices[int(len(choices) * random.random())])
    return " ".join(words)


def _words(random: np.random.Generator, count: int) -> list[str]:
    return ["".join(random.choice(_SYLLABLES, random.integers(2, 5))) for _ in range(count)]

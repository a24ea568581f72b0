"""Assign labelled products to folds, so that each is predicted by a model that was not trained on it.

Folds are stratified by category, and near duplicates share a fold: products with a common content key are one group.
The folds depend on keys, categories and the seed only, not on the order of the products. Unlike `StratifiedGroupKFold`
of scikit-learn, whose cost grows with the product of groups and categories, the cost is linear in the products.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray


def assign_folds(
    keys: Sequence[Sequence[str]], categories: Sequence[Hashable], folds: int, seed: int
) -> NDArray[np.int64]:
    """Return the fold `[n]` of each product, from 0 to `folds` - 1.

    Each category is spread evenly over the folds as far as its groups allow. A category with fewer groups than folds
    is absent from some; its groups go to the folds with the fewest products.

    Args:
        keys: Content keys of each product; products that share one, directly or through others, share a fold.
        categories: Category of each product.
        folds: Number of folds, at least 2.
        seed: Seed of the order in which groups are assigned.

    Raises:
        ValueError: If there are fewer than two folds, or not as many categories as products.
    """
    if folds < 2:
        raise ValueError(f"{folds} folds: at least 2 are needed to predict a product without training on it")
    members: dict[str, list[int]] = defaultdict(list)
    for row, (group, _) in enumerate(zip(content_groups(keys), categories, strict=True)):
        members[group].append(row)
    category_of = {group: _most_frequent([categories[row] for row in rows]) for group, rows in members.items()}

    def order(group: str) -> tuple[str, int, bytes]:
        """By category, so that the folds stay equal in size; large groups first, so that small ones fill the gaps."""
        return str(category_of[group]), -len(members[group]), _position(group, seed)

    per_category: dict[Hashable, list[int]] = defaultdict(lambda: [0] * folds)
    per_fold = [0] * folds
    found = np.zeros(len(keys), np.int64)
    for group in sorted(members, key=order):
        rows, counts = members[group], per_category[category_of[group]]
        fold = min(range(folds), key=lambda one: (counts[one], per_fold[one], one))
        counts[fold] += len(rows)
        per_fold[fold] += len(rows)
        found[rows] = fold
    return found


def content_groups(keys: Sequence[Sequence[str]]) -> list[str]:
    """Return the name of the content group of each product, the smallest key of the group.

    A product without keys is a group of its own.
    """
    parents: dict[str, str] = {}

    def root(key: str) -> str:
        while (parent := parents.setdefault(key, key)) != key:
            parents[key] = parents[parent]  # path halving
            key = parents[key]
        return key

    for own in keys:
        roots = [root(key) for key in own]
        for one in roots:
            parents[one] = min(roots)
    return [root(own[0]) if own else f"row:{row}" for row, own in enumerate(keys)]


def _position(group: str, seed: int) -> bytes:
    return sha256(f"folds/{seed}/{group}".encode()).digest()


def _most_frequent(categories: Sequence[Hashable]) -> Hashable:
    """Return the most frequent category; of equally frequent ones the first as text."""
    return min(Counter(categories).items(), key=lambda item: (-item[1], str(item[0])))[0]

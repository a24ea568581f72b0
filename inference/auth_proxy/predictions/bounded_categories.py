"""Values of the label `category` of metrics: at most `MAX_VALUES` for a taxonomy of any size.

Up to that many answerable categories are labelled by their code. Of more, a code is labelled by its ancestor at the
deepest level of the tree that has at most as many categories. Where even the roots are more, the first codes of the
taxonomy keep theirs and all others share `other`. The labels depend on the taxonomy only, so those of several gateways
can be added up.
"""

from collections.abc import Mapping
from typing import Final

from product_classifier.taxonomy import Taxonomy

MAX_VALUES: Final = 100
OTHER: Final = "other"


def category_labels(taxonomy: Taxonomy, max_values: int = MAX_VALUES) -> Mapping[str, str]:
    """Return the label of every answerable code."""
    codes = taxonomy.codes
    if len(codes) <= max_values:
        return {code: code for code in codes}
    paths = {code: taxonomy.path_of(code) for code in codes}
    chosen: dict[str, str] = {}
    for level in range(max(map(len, paths.values()))):
        labels = {code: path[min(level, len(path) - 1)] for code, path in paths.items()}
        if len(set(labels.values())) > max_values:
            break
        chosen = labels
    return chosen or {code: code if position < max_values - 1 else OTHER for position, code in enumerate(codes)}

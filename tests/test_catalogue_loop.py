"""The loop on few and many categories: train, change the taxonomy, correct, train, roll back."""

import json
import random
from pathlib import Path

import pytest

from components.shared.rollout.releases import roll_back
from product_classifier.stored_taxonomy.change_store import apply_change_file, read_state
from product_classifier.taxonomy.change_file import parse_change_file
from tests.product_classifier.stored_taxonomy.test_change_store import NOW
from tests.support.catalogue_loop import CatalogueLoop

ADDED = [f"folding drone {word} aerial" for word in ("amber", "birch", "cedar", "delta", "ember", "fjord")]


def word(random_: random.Random) -> str:
    return "".join(random_.choice("bcdfgklmnprstv") + random_.choice("aeiou") for _ in range(4))


def products(categories: int, each: int) -> list[tuple[str, str]]:
    """Return titles with two words of their category and two of any; branches have ten categories."""
    random_ = random.Random(categories)
    common = [word(random_) for _ in range(50)]
    found = []
    for number in range(categories):
        code = f"branch {number // 10} > shelf {number}" if categories > 2 else f"shelf {number}"
        own = [word(random_) for _ in range(3)]
        for _ in range(each):
            words = [*random_.sample(own, 2), *random_.sample(common, 2)]
            found.append((" ".join(random_.sample(words, 4)), code))
    return found


@pytest.mark.parametrize(
    ("categories", "each", "buckets"),
    [
        pytest.param(2, 40, 2**12, id="2"),
        pytest.param(47, 12, 2**12, id="47"),
        pytest.param(600, 3, 2**11, id="600", marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
    ],
)
def test_a_declared_category_is_predicted_after_a_run_on_corrections_alone(
    tmp_path: Path, categories: int, each: int, buckets: int
) -> None:
    catalogue = products(categories, each)
    codes = list(dict.fromkeys(code for _, code in catalogue))
    loop = CatalogueLoop(tmp_path, catalogue, buckets)
    first = loop.run()
    assert first.promoted
    merged, kept, retired = codes[-1], codes[0], codes[1] if categories > 2 else ""
    changes = [{"do": "add", "code": "drones"}, {"do": "merge", "codes": [merged], "into": kept}]
    if retired:
        changes.append({"do": "retire", "code": retired})
    file = parse_change_file(json.dumps({"from": 1, "to": 2, "changes": changes}).encode(), "change.json")
    apply_change_file(loop.store, file, actor="ada", now=NOW, corrections={})
    for title in ADDED:
        loop.correct(title, "drones", 2)
    before = loop.predict(*ADDED)

    second = loop.run()

    assert second.promoted, second.reasons
    assert "drones" not in before
    assert ["drones"] * 2 == loop.predict("folding aerial drone", ADDED[0])
    titles = [title for title, code in catalogue if code in {merged, kept}]
    assert {kept} == set(loop.predict(*titles)) if categories == 2 else kept in loop.predict(*titles)
    assert not {merged, retired} & set(loop.predict(*[title for title, _ in catalogue]))

    assert roll_back(loop.switch, first.release).done
    assert "drones" not in loop.predict(*ADDED)
    assert merged in loop.predict(*[title for title, code in catalogue if code == merged])
    assert "drones" in read_state(loop.store).newest
    if categories > 100:
        return  # a third run of so many takes long
    loop.correct("small drone aerial", "drones", 2)
    third = loop.run()
    assert third.promoted, third.reasons
    assert ["drones"] == loop.predict("folding aerial drone")

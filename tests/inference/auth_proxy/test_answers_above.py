"""A product whose category is uncertain is answered at the deepest certain category above it."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from product_classifier.feedback.records import PredictionRecord, prediction_key
from product_classifier.taxonomy import Category, Taxonomy
from tests.inference.auth_proxy.conftest import Gateway, as_base64, start
from tests.support.model_servers import MODULES, RunningServer, served
from tests.support.tiny_release import make_release, photo

pytestmark = pytest.mark.slow

BRANCHES = {"1": ["11", "12", "13"], "2": ["21", "22"]}
TREE = Taxonomy(
    (
        *(Category(branch, {"en": f"Branch {branch}", "fr": f"Branche {branch}"}) for branch in BRANCHES),
        *(Category(leaf, {"en": f"Leaf {leaf}"}, branch) for branch, leaves in BRANCHES.items() for leaf in leaves),
        Category("3"),
    ),
    code_type="integer",
)
"""Five leaves below two branches, and a category without a tree; JSON shows codes as numbers."""
SURE, NEVER = 0.0, 1.0
PRODUCTS: list[dict[str, Any]] = [{"designation": f"produit {number} lot {number % 7}"} for number in range(60)]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RunningServer]]:
    release = make_release(tmp_path_factory.mktemp("tree"), 5, TREE, {"1": SURE, "2": NEVER})
    with served(list(MODULES), release.path, tmp_path_factory.mktemp("logs")) as servers:
        yield servers


@pytest.fixture(scope="module")
def tree_gateway(running: dict[str, RunningServer], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    yield from start(tmp_path_factory.mktemp("gateway"), {name: one.url for name, one in running.items()})


def branch_of(code: int) -> str | None:
    return TREE.path_of(str(code))[0] if TREE.ancestors(str(code)) else None


def test_only_an_uncertain_product_below_a_certain_branch_has_one(tree_gateway: Gateway) -> None:
    answers = tree_gateway.client().post("/predict/batch", json=PRODUCTS).json()

    expected = [one["decision"] == "review" and branch_of(one["category"]["code"]) == "1" for one in answers]
    assert expected == ["accepted_at" in one for one in answers]
    assert {(True, True), (True, False), (False, False)} <= {
        (one["decision"] == "review", has) for one, has in zip(answers, expected, strict=True)
    }
    for one in answers:
        if "accepted_at" in one:
            above = one["accepted_at"]
            below = sum(top["probability"] for top in one["top"] if branch_of(top["code"]) == "1")
            assert (1, "Branch 1") == (above["code"], above["label"])
            assert above["probability"] >= max(one["confidence"], below - 1e-6)


@pytest.mark.parametrize(
    "body", [{}, {"image": as_base64(photo(3))}, {"explain": True}], ids=["text", "both", "explain"]
)
def test_single_batch_and_explained_predictions_agree_with_the_record(
    tree_gateway: Gateway, body: dict[str, Any]
) -> None:
    with tree_gateway.client() as client:
        for product in PRODUCTS:
            alone = client.post("/predict", json=product | body).json()
            if "accepted_at" in alone:
                break
        together = client.post("/predict/batch", json=[product | body | {"explain": False}]).json()[0]

    key = prediction_key(alone["prediction_id"])
    record = PredictionRecord.from_json(tree_gateway.store.objects[key], key)
    assert alone["accepted_at"] == together["accepted_at"]
    assert record.accepted_at is not None
    assert ("1", alone["accepted_at"]["probability"]) == (record.accepted_at.code, record.accepted_at.probability)


def test_the_fusion_returns_one_answer_per_row(running: dict[str, RunningServer]) -> None:
    tensor = {"shape": [len(PRODUCTS)], "datatype": "BYTES"}
    inputs = [{"name": "designation", "data": [one["designation"] for one in PRODUCTS], **tensor}]

    reply = httpx.post(running["fusion-transformer"].infer, json={"inputs": inputs}, timeout=30).json()

    codes = next(one["data"] for one in reply["outputs"] if one["name"] == "code")
    answers = json.loads(reply["parameters"]["accepted_at"])
    decisions = reply["parameters"]["decision"].split(",")
    assert [
        1 if decision == "review" and branch_of(code) == "1" else None
        for code, decision in zip(codes, decisions, strict=True)
    ] == [one and one["code"] for one in answers]

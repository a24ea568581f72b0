import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from pipelines.local.report import print_result
from pipelines.local.runner import LocalRunResult

SCORES = {"weighted_f1": 0.61234, "macro_f1": 0.5, "accuracy": 0.7, "ece": 0.01, "items": 117}


KINDS = ("text", "image", "fusion", "text_where_both", "image_where_both", "fusion_where_both")


def printed_result(tmp_path: Path, by_kind: dict[str, dict[str, float]], promoted: bool) -> str:
    scores, decision = tmp_path / "scores", tmp_path / "verdict"
    scores.write_text(json.dumps(by_kind))
    decision.write_text(json.dumps({"promoted": promoted, "reasons": ["no champion"]}))
    outputs = {
        "release": "r-1",
        "scores": SimpleNamespace(path=str(scores)),
        "verdict": SimpleNamespace(path=str(decision)),
    }
    printed = io.StringIO()

    result = LocalRunResult(outputs, {"train-text": 1.25, "promote": 2.0}, tmp_path)
    print_result(result, Console(file=printed, width=80), "file:///srv/a%20store")

    return printed.getvalue()


@pytest.mark.parametrize(
    ("promoted", "verdict"), [(True, "promoted: no champion"), (False, "not promoted: no champion")]
)
def test_the_table_names_models_scores_release_and_verdict(tmp_path: Path, promoted: bool, verdict: str) -> None:
    text = printed_result(tmp_path, dict.fromkeys(KINDS, SCORES), promoted)

    assert 6 == text.count("0.6123") == text.count(" 117 ")
    assert all(part in text for part in ("either", "both", "release   r-1", verdict, "3.2 s"))
    assert "page      /srv/a store/reports/promotions/r-1.html\n" in text


def test_a_model_without_products_to_score_has_no_scores(tmp_path: Path) -> None:
    nothing = dict.fromkeys(SCORES, 0.0) | {"items": 0}

    text = printed_result(tmp_path, {"text": SCORES, "image": nothing, "fusion": SCORES}, promoted=True)

    assert "0.0000" not in text
    assert 2 == text.count("0.6123")
    assert text.split("photo")[1].split("\n")[0].split() == ["│", "–", "│", "–", "│", "–", "│", "–", "│", "0", "│"]

"""Steps that need packages of the extra `encoders`."""

import sys
from pathlib import Path

import pytest

from components.train_image.step import run as train_image
from components.train_text.step import run as train_text
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import InvalidSettings


@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_an_encoder_of_texts_without_its_packages_is_refused_before_training(
    splits_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    splits = [splits_dir / "train.parquet", splits_dir / "validation.parquet"]
    monkeypatch.setitem(sys.modules, "torch", sys)
    monkeypatch.setitem(sys.modules, "transformers", sys)
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(InvalidSettings, match=f"^train_text.encoder: 'bert' needs {package}; run `make encoders`$"):
        train_text(*splits, tmp_path / "model", tmp_path / "predicted.parquet", CHALLENGE, encoder="bert")

    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(("backbone", "package"), [("scratch", "torch"), ("vit", "torch"), ("vit", "transformers")])
def test_a_backbone_without_its_packages_is_refused_before_training(
    splits_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backbone: str, package: str
) -> None:
    splits = [splits_dir / "train.parquet", splits_dir / "validation.parquet"]
    monkeypatch.setitem(sys.modules, "torch", sys)
    monkeypatch.setitem(sys.modules, "transformers", sys)
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(InvalidSettings, match=f"^train_image.backbone: '{backbone}' needs {package}; run"):
        train_image(*splits, tmp_path, tmp_path / "model", tmp_path / "predicted.parquet", CHALLENGE, backbone=backbone)

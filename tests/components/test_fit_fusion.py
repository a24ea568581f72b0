from pathlib import Path

from components.fit_fusion import step
from components.shared.predictions import predict
from product_classifier.evaluation.scores import weighted_f1
from product_classifier.releases.release import load_fusion


def test_fusion_is_never_worse_than_the_better_single_model_on_validation(
    release_dir: Path, splits_dir: Path, tmp_path: Path
) -> None:
    inputs = splits_dir / "validation.parquet", splits_dir, release_dir / "text", release_dir / "image"
    step.run(*inputs, tmp_path)

    model, _ = load_fusion(tmp_path)
    found = predict(*inputs)
    both = found.has_text & found.has_image
    fused = model.combine(found.text, found.image, found.has_text, found.has_image)[both]
    singles = [weighted_f1(one[both], found.labels[both]) for one in (found.text, found.image)]

    assert weighted_f1(fused, found.labels[both]) >= max(singles)

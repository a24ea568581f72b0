from pathlib import Path

from components.fit_fusion import step
from components.shared.predictions import ask
from product_classifier.evaluation.metrics import weighted_f1
from product_classifier.releases.release import load_fusion


def test_fusion_is_never_worse_than_the_better_single_model_on_validation(
    release_dir: Path, splits_dir: Path, tmp_path: Path
) -> None:
    validation, text, image = splits_dir / "validation.parquet", release_dir / "text", release_dir / "image"
    step.run(validation, text, image, tmp_path)

    model, _ = load_fusion(tmp_path)
    said = ask(validation, text, image)
    both = said.has_text & said.has_image
    answers = model.combine(said.text, said.image, said.has_text, said.has_image)[both]
    singles = [weighted_f1(opinion[both], said.labels[both]) for opinion in (said.text, said.image)]

    assert weighted_f1(answers, said.labels[both]) >= max(singles)

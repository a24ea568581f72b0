"""Learn how far to trust words and photo, category by category."""

from pathlib import Path

from components.shared.predictions import ask
from product_classifier.bundles import bundle
from product_classifier.evaluation.metrics import weighted_f1
from product_classifier.fusion.fit import fit_fusion
from product_classifier.releases import self_check
from product_classifier.taxonomy import CHALLENGE


def run(validation: Path, text: Path, image: Path, model: Path) -> float:
    """Write the sealed bundle `model`; return its weighted F1 on the validation products it was fitted on.

    Args:
        validation: Products neither model learnt from (parquet).
        text: Bundle of the text model.
        image: Bundle of the image model.
        model: Folder of the bundle.
    """
    said = ask(validation, text, image)
    fusion = fit_fusion(said.text, said.image, said.has_text, said.has_image, said.labels, CHALLENGE.codes)
    model.mkdir(parents=True, exist_ok=True)
    fusion.save(model)
    bundle.write_manifest(model, "fusion", None, self_check.record_fusion(fusion), fusion.codes)
    return weighted_f1(fusion.combine(said.text, said.image, said.has_text, said.has_image), said.labels)

"""Fit the fusion of the text and the image model."""

from pathlib import Path

from components.shared.predictions import predict
from product_classifier.bundles import bundle
from product_classifier.evaluation.scores import weighted_f1
from product_classifier.fusion.fit import fit_fusion
from product_classifier.releases import self_check


def run(validation: Path, raw: Path, text: Path, image: Path, model: Path) -> float:
    """Write the sealed bundle `model`; return its weighted F1 on the validation products it was fitted on.

    Args:
        validation: Products that neither model was trained on (parquet).
        raw: Folder of the raw files, which `image_path` is relative to.
        text: Bundle of the text model.
        image: Bundle of the image model.
        model: Folder of the bundle to write.
    """
    found = predict(validation, raw, text, image)
    fusion = fit_fusion(found.text, found.image, found.has_text, found.has_image, found.labels, found.codes)
    model.mkdir(parents=True, exist_ok=True)
    fusion.save(model)
    bundle.write_manifest(model, "fusion", None, self_check.record_fusion(fusion), fusion.codes)
    return weighted_f1(fusion.combine(found.text, found.image, found.has_text, found.has_image), found.labels)

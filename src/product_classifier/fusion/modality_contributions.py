"""How much each modality contributes to the fused prediction of a category."""

from dataclasses import dataclass

import numpy as np

from product_classifier.fusion.model import FusionModel
from product_classifier.probabilities import Floats


@dataclass(frozen=True, slots=True)
class ModalityContribution:
    """The weight of a modality for a category, its probability, and what it adds to the score."""

    weight: float
    probability: float
    contribution: float


@dataclass(frozen=True, slots=True)
class FusionExplanation:
    """The score of a category: its logit less the mean logit of all categories.

    Intercept and contributions add up to it. A positive score is more evidence than for the average category.
    """

    score: float
    intercept: float
    text: ModalityContribution | None
    image: ModalityContribution | None


def explain_fusion(model: FusionModel, text: Floats | None, image: Floats | None, category: int) -> FusionExplanation:
    """Return the explanation of one product.

    Args:
        model: The model that combined the probabilities.
        text: Probabilities `[classes]` of the text model; None without text.
        image: Probabilities `[classes]` of the image model; None without a photo.
        category: Position of the category in the probabilities.

    Raises:
        ValueError: If the product has neither.
    """
    terms = model.terms(has_text=text is not None, has_image=image is not None)
    found = {
        name: _contribution(weights, probabilities, category)
        for name, weights, probabilities in (("text", terms.text, text), ("image", terms.image, image))
        if probabilities is not None
    }
    intercept = float(terms.bias[category]) - float(terms.bias.mean(dtype=np.float64))
    score = intercept + sum(one.contribution for one in found.values())
    return FusionExplanation(score, intercept, found.get("text"), found.get("image"))


def _contribution(weights: Floats, probabilities: Floats, category: int) -> ModalityContribution:
    logits = FusionModel.weigh(weights, probabilities).astype(np.float64)
    contribution = float(logits[category] - logits.mean())
    return ModalityContribution(float(weights[category]), float(probabilities[category]), contribution)

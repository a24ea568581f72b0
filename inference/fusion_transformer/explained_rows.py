"""Explanations of fused predictions: contributions of the modalities, and within each of them."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from inference.fusion_transformer.predictor_client import IMAGE, TEXT, Columns, PredictorClient
from inference.http.problems import ReleaseNotLoaded
from inference.model_server.loaded_releases import LoadedRelease
from inference.oip.explain import ExplainRequest
from inference.oip.types import ModelResponse
from product_classifier.errors import ModelUnavailable
from product_classifier.fusion.modality_contributions import explain_fusion
from product_classifier.fusion.model import FusionModel
from product_classifier.probabilities import Floats


@dataclass(frozen=True)
class ExplainedRow:
    """One predicted product: its inputs by modality, the fused probability and that of each predictor."""

    columns: Mapping[str, Columns]
    position: int
    probability: float
    by_modality: Mapping[str, Floats]
    """Probabilities `[classes]` of the modalities that the prediction used."""

    @classmethod
    def of(
        cls, request: ExplainRequest, predictions: ModelResponse, loaded: LoadedRelease[FusionModel]
    ) -> "list[ExplainedRow]":
        """Return the rows of a request with their predictions; raise InvalidInput for an unknown code."""
        fused = predictions.outputs["probabilities"]
        positions = request.positions(loaded.codes, fused.argmax(axis=1).tolist())
        designations, descriptions = (request.products.texts(name) for name in ("designation", "description"))
        photos = request.products.photos("image")
        rows = []
        for row, position in enumerate(positions):
            text: Columns = {"designation": [designations[row]], "description": [descriptions[row]]}
            by_modality = {name: predictions.outputs[f"{name}_probabilities"][row] for name in (TEXT, IMAGE)}
            used = {name: values for name, values in by_modality.items() if values.any()}  # zeros: not predicted
            columns: dict[str, Columns] = {TEXT: text, IMAGE: {"image": [photos[row]]}}
            rows.append(cls(columns, position, float(fused[row, position]), used))
        return rows


async def explain_row(
    row: ExplainedRow, loaded: LoadedRelease[FusionModel], clients: Mapping[str, PredictorClient], heat_map: bool
) -> dict[str, Any]:
    """Return the explanation of one product; a modality whose predictor cannot explain is null."""
    code, release = loaded.codes[row.position], loaded.release if loaded.pinned else ""
    calls = [
        clients[modality].explain(row.columns[modality], release, code, heat_map=heat_map)
        for modality in row.by_modality
    ]
    outcomes = dict(zip(row.by_modality, await asyncio.gather(*calls, return_exceptions=True), strict=True))
    found: dict[str, Any] = {TEXT: None, IMAGE: None}
    for modality, outcome in outcomes.items():
        if isinstance(outcome, BaseException):
            if not isinstance(outcome, ModelUnavailable | ReleaseNotLoaded):
                raise outcome
        else:
            found[modality] = outcome.get(modality)
    fused = explain_fusion(loaded.model, row.by_modality.get(TEXT), row.by_modality.get(IMAGE), row.position)
    unavailable = [modality for modality in outcomes if found[modality] is None]
    return {
        "code": loaded.json_code(row.position),
        "probability": row.probability,
        "fusion": asdict(fused),
        **found,
    } | ({"unavailable": unavailable} if unavailable else {})

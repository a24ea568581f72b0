"""The text model as a KServe predictor: designations and descriptions to probabilities."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from inference.http.problems import InvalidTensor, Overloaded
from inference.model_server.flags import Flags
from inference.model_server.loaded_releases import LoadedRelease, LoadedReleases
from inference.model_server.model import ProductModel
from inference.model_server.workers import WorkerPool
from inference.oip.explain import ExplainRequest, ExplainResponse
from inference.oip.types import InputTensor, ModelRequest, ModelResponse, OutputTensor, Signature
from inference.text_predictor.batching import AdaptiveBatcher
from product_classifier.errors import InvalidInput
from product_classifier.limits import DESIGNATION_CHARACTERS
from product_classifier.observability import get_logger
from product_classifier.probabilities import Floats
from product_classifier.releases import release
from product_classifier.text.model import TextModel
from product_classifier.text.word_contributions import TextExplanation

INPUTS = (InputTensor("designation", required=True, max_characters=DESIGNATION_CHARACTERS), InputTensor("description"))
OUTPUTS = (OutputTensor("probabilities", "FP32", "codes"),)
KNOWN_GOOD_TEXT = "livre"
MAX_BATCHED_ROWS = 4
"""Rows of a request that may be batched with others; a larger one runs on a thread alone, so it delays no other."""

log = get_logger()


def make(flags: Flags) -> "TextPredictor":
    """Return the predictor with its bundle loaded.

    Raises:
        BundleRefused: If the bundle is invalid.
    """
    releases = LoadedReleases(flags.model_dir, release.load_text, flags.release)
    signature = Signature(INPUTS, OUTPUTS, flags.max_rows)
    workers = WorkerPool(flags.threads, flags.max_waiting, flags.max_wait_s)
    batcher = AdaptiveBatcher(workers, flags.max_waiting, flags.max_wait_s)
    return TextPredictor(flags.model_name, signature, releases, workers, batcher, flags.max_explanations)


class TextPredictor(ProductModel[TextModel]):
    """Predicts one row of probabilities per product; the prior for a product without any known token."""

    def __init__(
        self,
        name: str,
        signature: Signature,
        releases: LoadedReleases[TextModel],
        workers: WorkerPool,
        batcher: AdaptiveBatcher,
        max_explanations: int,
    ) -> None:
        super().__init__(name, signature, releases, workers, max_explanations)
        self._batcher = batcher

    def stage_work(self) -> dict[str, tuple[float, int]]:
        return {**super().stage_work(), "batch": (self._batcher.waited_s, self._batcher.batched)}

    def queue_lengths(self) -> dict[str, int]:
        return {**super().queue_lengths(), "batch": self._batcher.waiting_count}

    async def infer(self, request: ModelRequest, loaded: LoadedRelease[TextModel]) -> ModelResponse:
        designations, descriptions = request.texts("designation"), request.texts("description")
        try:
            if loaded.model.gains_from_batches and request.rows <= MAX_BATCHED_ROWS:
                probabilities = await self._batcher.predict(loaded.model, designations, descriptions)
            else:
                probabilities = await self.workers.run(loaded.model.probabilities, designations, descriptions)
        except (InvalidInput, Overloaded):
            raise
        except Exception:  # noqa: BLE001 - raised again unless it is that of one row
            probabilities = await self.workers.run(_predict_each, loaded.model, designations, descriptions)
        parameters = {"taxonomy": loaded.taxonomy_digest}
        return ModelResponse(
            {"probabilities": probabilities}, loaded.release, loaded.version, parameters, loaded.display_codes
        )

    async def explain_products(self, request: ExplainRequest, loaded: LoadedRelease[TextModel]) -> ExplainResponse:
        predictions = await self.infer(request.products, loaded)
        probabilities = predictions.outputs["probabilities"]
        positions = request.positions(loaded.codes, probabilities.argmax(axis=1).tolist())
        texts = zip(request.products.texts("designation"), request.products.texts("description"), strict=True)
        explanations = []
        for row, ((designation, description), position) in enumerate(zip(texts, positions, strict=True)):
            found = await self.workers.run_long(loaded.model.explain, designation, description, position)
            explanations.append(
                {
                    "code": loaded.json_code(position),
                    "probability": float(probabilities[row, position]),
                    "text": _described(found, {"designation": designation, "description": description}),
                }
            )
        return ExplainResponse(
            explanations, loaded.release, loaded.version, predictions=predictions if request.predictions else None
        )


def _described(explanation: TextExplanation, written: Mapping[str, str]) -> dict[str, Any]:
    """Return the JSON of an explanation; `written` has the fields as the user sent them."""
    words = [
        {
            "text": written[span.field][span.start : span.end],
            "field": span.field,
            "start": span.start,
            "end": span.end,
            "contribution": contribution,
        }
        for span, contribution in explanation.words
    ]
    return {
        "method": explanation.method,
        "score": explanation.score,
        "intercept": explanation.intercept,
        "omitted_words": explanation.omitted,
        "words": words,
    }


def _predict_each(model: TextModel, designations: Sequence[str], descriptions: Sequence[str]) -> Floats:
    """Return probabilities `[n, classes]`, predicted row by row.

    Raises:
        InvalidTensor: For a row that fails while the model predicts another text.
        Exception: What the model raises for any text.
    """
    rows = []
    for row, (designation, description) in enumerate(zip(designations, descriptions, strict=True)):
        try:
            rows.append(model.probabilities([designation], [description]))
        except Exception as error:
            model.probabilities([KNOWN_GOOD_TEXT], [""])
            log.warning("row_failed", row=row, reason=f"{type(error).__name__}: {str(error)[:200]!a}")
            raise InvalidTensor(
                "cannot be read by the model; correct or shorten its text", tensor="designation", row=row
            ) from error
    return np.concatenate(rows)

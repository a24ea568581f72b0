"""Titles and descriptions to probabilities."""

from inference.model_server.flags import Flags
from inference.model_server.loaded_releases import LoadedRelease, LoadedReleases
from inference.model_server.model import ProductModel
from inference.model_server.workers import WorkerPool
from inference.oip.types import InferenceRequest, InferenceResponse, InputTensor, OutputTensor, Signature
from inference.text_predictor.batching import AdaptiveBatcher
from product_classifier.releases import release
from product_classifier.text.model import TextModel

INPUTS = (InputTensor("designation", required=True), InputTensor("description"))
OUTPUTS = (OutputTensor("probabilities", "FP32"),)
FEW = 4
"""Rows of a request that is gathered with others; a larger one has a thread to itself, and keeps nobody waiting."""


def make(flags: Flags) -> "TextPredictor":
    """Load the text bundle; the model is ready when this returns."""
    releases = LoadedReleases(flags.model_dir, release.load_text, flags.release)
    signature = Signature(INPUTS, OUTPUTS, flags.max_rows)
    workers = WorkerPool(flags.threads, flags.max_waiting, flags.max_wait_s)
    batcher = AdaptiveBatcher(workers, flags.max_waiting, flags.max_wait_s)
    return TextPredictor(flags.model_name, signature, releases, workers, batcher)


class TextPredictor(ProductModel[TextModel]):
    """Answers one row of probabilities per product; a product without words gets the prior."""

    def __init__(
        self,
        name: str,
        signature: Signature,
        releases: LoadedReleases[TextModel],
        workers: WorkerPool,
        batcher: AdaptiveBatcher,
    ) -> None:
        super().__init__(name, signature, releases, workers)
        self._gathering = batcher

    async def answer(self, request: InferenceRequest, loaded: LoadedRelease[TextModel]) -> InferenceResponse:
        titles, bodies = request.texts("designation"), request.texts("description")
        if request.rows <= FEW:
            probabilities = await self._gathering.ask(loaded.model, titles, bodies)
        else:
            probabilities = await self.workers.run(loaded.model.probabilities, titles, bodies)
        return InferenceResponse({"probabilities": probabilities}, loaded.release, loaded.version)

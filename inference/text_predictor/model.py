"""Titles and descriptions to probabilities."""

from inference.model_server.flags import Flags
from inference.model_server.model import ProductModel
from inference.model_server.releases import Loaded, Releases
from inference.model_server.workers import Workers
from inference.oip.types import Answer, Input, Output, Request, Signature
from inference.text_predictor.batching import Gathering
from product_classifier.releases import release
from product_classifier.text.model import TextModel

INPUTS = (Input("designation", required=True), Input("description"))
OUTPUTS = (Output("probabilities", "FP32"),)
FEW = 4
"""Rows of a request that is gathered with others; a larger one has a thread to itself, and keeps nobody waiting."""


def make(flags: Flags) -> "TextPredictor":
    """Load the text bundle; the model is ready when this returns."""
    releases = Releases(flags.model_dir, release.load_text, flags.release)
    signature = Signature(INPUTS, OUTPUTS, flags.max_rows)
    workers = Workers(flags.threads, flags.max_waiting, flags.max_wait_s)
    gathering = Gathering(workers, flags.max_waiting, flags.max_wait_s)
    return TextPredictor(flags.model_name, signature, releases, workers, gathering)


class TextPredictor(ProductModel[TextModel]):
    """Answers one row of probabilities per product; a product without words gets the prior."""

    def __init__(
        self,
        name: str,
        signature: Signature,
        releases: Releases[TextModel],
        workers: Workers,
        gathering: Gathering,
    ) -> None:
        super().__init__(name, signature, releases, workers)
        self._gathering = gathering

    async def answer(self, request: Request, loaded: Loaded[TextModel]) -> Answer:
        titles, bodies = request.texts("designation"), request.texts("description")
        if request.rows <= FEW:
            probabilities = await self._gathering.ask(loaded.model, titles, bodies)
        else:
            probabilities = await self.workers.run(loaded.model.probabilities, titles, bodies)
        return Answer({"probabilities": probabilities}, loaded.release, loaded.version)

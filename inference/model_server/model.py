"""What the three models have in common as KServe models."""

import abc
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from kserve import Model
from kserve.metrics import PREDICT_HIST_TIME, get_labels
from kserve.model import InferenceVerb

from inference.http import problems
from inference.http.problems import UnknownModel, public_message
from inference.model_server.loaded_releases import LoadedRelease, LoadedReleases
from inference.model_server.server_metrics import answered
from inference.model_server.workers import WorkerPool
from inference.oip.types import InferenceRequest, InferenceResponse, Signature
from product_classifier.observability import get_logger

log = get_logger()
M = TypeVar("M")


class ProductModel(Model, Generic[M]):
    """A KServe model whose doors hand it a checked request and take an answer, whatever the protocol."""

    def __init__(self, name: str, signature: Signature, releases: LoadedReleases[M], workers: WorkerPool) -> None:
        super().__init__(name)
        self.signature = signature
        self.releases = releases
        self.workers = workers
        self.ready = True
        self._predict_seconds = PREDICT_HIST_TIME.labels(**get_labels(name))

    @abc.abstractmethod
    async def answer(self, request: InferenceRequest, loaded: LoadedRelease[M]) -> InferenceResponse:
        """InferenceResponse a request with one loaded release."""

    async def open(self) -> None:
        """Prepare what needs a running event loop."""

    async def close(self) -> None:
        """Give up what `open` prepared."""

    async def __call__(
        self,
        body: InferenceRequest,
        headers: dict[str, str] | None = None,
        verb: InferenceVerb = InferenceVerb.PREDICT,  # noqa: ARG002 - the SDK's signature
    ) -> tuple[InferenceResponse, dict[str, str]]:
        """Predict, timed as the SDK times it; its empty stages before and after, timed too, cost more than the rest."""
        with self._predict_seconds.time():
            return await self.predict(body, headers), {}

    async def predict(self, payload: InferenceRequest, headers: dict[str, str] | None = None) -> InferenceResponse:  # noqa: ARG002
        """InferenceResponse with the release asked for."""
        return await self.answer(payload, self.releases.select(payload.release, payload.version))

    def validate(self, payload: InferenceRequest) -> InferenceRequest:
        """Our requests are checked when they are made; the SDK's check knows only its own."""
        return payload

    def get_input_types(self) -> list[dict[str, Any]]:
        return [{"name": one.name, "datatype": "BYTES", "shape": [-1]} for one in self.signature.inputs]

    def get_output_types(self) -> list[dict[str, Any]]:
        classes = len(self.releases.current.codes)
        return [
            {"name": one.name, "datatype": one.datatype, "shape": [-1, classes] if one.per_class else [-1]}
            for one in self.signature.outputs
        ]

    def metadata(self) -> dict[str, Any]:
        """Return the V2 metadata: tensors, versions in memory, and in `properties` the codes and the release."""
        current = self.releases.current
        properties = {
            "codes": ",".join(map(str, current.codes)),
            "version": current.version,
            "release": current.release,
            "max_rows": str(self.signature.max_rows),
        }
        if self.releases.refused:
            properties["refused"] = self.releases.refused
        return {
            "name": self.name,
            "versions": list(dict.fromkeys(one.version for one in self.releases.loaded())),
            "platform": "product-classifier",
            "inputs": self.get_input_types(),
            "outputs": self.get_output_types(),
            "properties": properties,
        }


class HostedModels:
    """The models of one process, by name."""

    def __init__(self, models: Sequence[ProductModel[Any]]) -> None:
        self._models = {model.name: model for model in models}

    def __iter__(self) -> Iterator[ProductModel[Any]]:
        return iter(self._models.values())

    def named(self, name: str) -> ProductModel[Any]:
        """Find a model; UnknownModel says which there are."""
        try:
            return self._models[name]
        except KeyError:
            here = ", ".join(map(repr, self._models))
            raise UnknownModel(f"no model {public_message(name)} here, only {here}") from None

    @property
    def ready(self) -> bool:
        """Whether every model can answer."""
        return all(model.ready for model in self)


class RequestObserver:
    """One request at a door: measured, and logged in one line however it ends."""

    def __init__(self, model: ProductModel[Any], protocol: str) -> None:
        self._model = model
        self._protocol = protocol
        self._start = time.perf_counter()

    async def take(
        self,
        read: Callable[[], Awaitable[InferenceRequest]],
        infer: Callable[[InferenceRequest], Awaitable[InferenceResponse]],
    ) -> tuple[InferenceRequest, InferenceResponse]:
        """Read the request and have it answered."""
        rows = 0
        try:
            request = await read()
            rows, self._start = request.rows, time.perf_counter()
            answer = await infer(request)
        except Exception as error:
            self._end(problems.status_of(error), rows, error)
            raise
        self._end(None, rows, None, answer)
        return request, answer

    def _end(
        self,
        status: problems.Status | None,
        rows: int,
        error: Exception | None,
        answer: InferenceResponse | None = None,
    ) -> None:
        seconds = time.perf_counter() - self._start
        outcome = status.outcome if status else "degraded" if answer and answer.parameters.get("degraded") else "ok"
        answered(self._model.name, self._protocol, outcome, seconds)
        fields: dict[str, Any] = {"protocol": self._protocol, "outcome": outcome, "rows": rows, "ms": seconds * 1000}
        if answer is not None:
            fields |= {"release": answer.release}
        if status is problems.INTERNAL:
            log.error("request", **fields, exc_info=error)
        else:
            reason = {"reason": type(error).__name__} if error else {}
            log.info("request", **fields, **reason)

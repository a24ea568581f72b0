"""Base class of the models, their registry in a process, and the observation of each request."""

import abc
import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, Protocol, TypeVar

import orjson
from kserve import Model
from kserve.model import InferenceVerb

from inference.compat.kserve import explain_timer, predict_timer
from inference.http.problems import (
    INTERNAL,
    DeadlineExceeded,
    Overloaded,
    UnknownModel,
    public_message,
    status_of,
)
from inference.model_server.loaded_releases import LoadedRelease, LoadedReleases
from inference.model_server.server_metrics import MODEL_REQUESTS
from inference.model_server.workers import WorkerPool
from inference.oip.explain import ExplainRequest, ExplainResponse
from inference.oip.tensors import DATATYPES
from inference.oip.top_classes import most_probable
from inference.oip.types import ModelRequest, ModelResponse, Parameter, Signature
from product_classifier.limits import FULL_VECTOR_CLASSES
from product_classifier.observability import get_logger
from product_classifier.top_probabilities import CANDIDATES

log = get_logger()
M = TypeVar("M")
T = TypeVar("T")


class ProductModel(Model, Generic[M]):
    """A KServe model that receives checked requests, whatever their protocol."""

    def __init__(
        self,
        name: str,
        signature: Signature,
        releases: LoadedReleases[M],
        workers: WorkerPool,
        max_explanations: int = 2,
    ) -> None:
        super().__init__(name)
        self.signature = signature
        self.releases = releases
        self.workers = workers
        self.ready = True
        self._max_explanations = max_explanations
        self._explaining = 0
        self._predict_seconds = predict_timer(name)
        self._explain_seconds = explain_timer(name)

    @abc.abstractmethod
    async def infer(self, request: ModelRequest, loaded: LoadedRelease[M]) -> ModelResponse:
        """Return the predictions of one loaded release."""

    @abc.abstractmethod
    async def explain_products(self, request: ExplainRequest, loaded: LoadedRelease[M]) -> ExplainResponse:
        """Return explanations of the predictions of one loaded release."""

    async def open(self) -> None:
        """Create what needs a running event loop."""

    async def close(self) -> None:
        """Release what `open` created."""

    def stage_work(self) -> dict[str, tuple[float, int]]:
        """Return by stage the seconds that work has spent in it, and the pieces of work that passed it."""
        pool = self.workers
        return {"queue": (pool.queue_s, pool.started), "compute": (pool.compute_s, pool.completed)}

    def queue_lengths(self) -> dict[str, int]:
        """Return by stage the pieces of work that wait in it."""
        return {"queue": self.workers.waiting_count}

    async def __call__(
        self,
        body: Any,
        headers: dict[str, str] | None = None,
        verb: InferenceVerb = InferenceVerb.PREDICT,
    ) -> tuple[Any, dict[str, str]]:
        """Predict a ModelRequest or explain an ExplainRequest, without the SDK's empty pre- and postprocessing.

        Of many categories the response has the most probable ones; `predict` and `explain` return all.
        """
        if verb is InferenceVerb.EXPLAIN:
            with self._explain_seconds.time():
                explained = await _in_time(self.explain(body, headers), body.products.timeout_s)
                if explained.predictions is None:
                    return explained, {}
                top = most_probable(explained.predictions, body.products, self.signature)
                return replace(explained, predictions=top), {}
        with self._predict_seconds.time():
            if body.timeout_s:
                response = await _in_time(self.predict(body, headers), body.timeout_s)
            else:
                response = await self.predict(body, headers)
            return most_probable(response, body, self.signature), {}

    async def predict(self, payload: ModelRequest, headers: dict[str, str] | None = None) -> ModelResponse:  # noqa: ARG002
        """Return the predictions of the requested release.

        Raises:
            ReleaseNotLoaded: If it is not in memory.
            UnknownModel: If the requested version is not in memory.
        """
        return await self.infer(payload, self.releases.select(payload.release, payload.version))

    async def explain(self, payload: ExplainRequest, headers: dict[str, str] | None = None) -> ExplainResponse:  # noqa: ARG002
        """Return explanations of the predictions of the requested release.

        Raises:
            Overloaded: If `max_explanations` are in progress.
            ReleaseNotLoaded: If the release is not in memory.
        """
        if self._explaining >= self._max_explanations:
            raise Overloaded(f"{self._explaining} explanations are in progress; retry later")
        self._explaining += 1
        try:
            return await self.explain_products(payload, self.releases.select(payload.products.release))
        finally:
            self._explaining -= 1

    def validate(self, payload: ModelRequest) -> ModelRequest:
        """Return the request, which its codec has checked; the SDK's check accepts only its own types."""
        return payload

    def get_input_types(self) -> list[dict[str, Any]]:
        return [{"name": one.name, "datatype": "BYTES", "shape": [-1]} for one in self.signature.inputs]

    def get_output_types(self) -> list[dict[str, Any]]:
        classes = len(self.releases.current.codes)
        of_codes = DATATYPES[self.releases.current.display_codes.dtype.kind]
        found = []
        for one in self.signature.outputs:
            many = bool(one.codes) and classes > FULL_VECTOR_CLASSES
            shape = [-1, -1 if many else classes] if one.codes else [-1]
            found.append({"name": one.name, "datatype": one.datatype or of_codes, "shape": shape})
            if many:
                found.append({"name": one.codes, "datatype": of_codes, "shape": shape})
        return found

    def metadata(self) -> dict[str, Any]:
        """Return the V2 metadata: tensors, versions in memory, and codes and release in `properties`."""
        current = self.releases.current
        properties = {
            "codes": ",".join(current.codes)
            if current.taxonomy.code_type == "integer"
            else orjson.dumps(current.codes).decode(),
            "code_type": current.taxonomy.code_type,
            "taxonomy": current.taxonomy_digest,
            "taxonomy_version": str(current.taxonomy.version),
            "version": current.version,
            "release": current.release,
            "max_rows": str(self.signature.max_rows),
        }
        if len(current.codes) > FULL_VECTOR_CLASSES:
            properties["top_k"] = str(CANDIDATES)
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


async def _in_time(response: Awaitable[T], timeout_s: float) -> T:
    """Return the response if it is there within `timeout_s`, 0 for no limit; raise DeadlineExceeded."""
    try:
        async with asyncio.timeout(timeout_s or None):
            return await response
    except TimeoutError as error:
        reason = f"the prediction took longer than {timeout_s * 1e6:.0f} microseconds, the timeout sent"
        raise DeadlineExceeded(reason) from error


class HostedModels:
    """The models of one process, by name."""

    def __init__(self, models: Sequence[ProductModel[Any]]) -> None:
        self._models = {model.name: model for model in models}

    def __iter__(self) -> Iterator[ProductModel[Any]]:
        return iter(self._models.values())

    def __getitem__(self, name: str) -> ProductModel[Any]:
        """Return a model; raise UnknownModel, which names the models there are."""
        try:
            return self._models[name]
        except KeyError:
            known = ", ".join(map(repr, self._models))
            raise UnknownModel(f"no model {public_message(name)} here, only {known}") from None

    @property
    def ready(self) -> bool:
        """Whether every model is ready."""
        return all(model.ready for model in self)


class ObservedRequest(Protocol):
    """What the observation of a request reads from it."""

    @property
    def rows(self) -> int:
        """Number of products."""


class ObservedResponse(Protocol):
    """What the observation of a request reads from its response."""

    @property
    def release(self) -> str:
        """The release that computed it."""

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """Response parameters, `degraded` among them."""


Req = TypeVar("Req", bound=ObservedRequest)
Resp = TypeVar("Resp", bound=ObservedResponse)


class RequestObserver:
    """Measures one request and logs it in one line, whatever its outcome."""

    def __init__(self, model: ProductModel[Any], protocol: str) -> None:
        self._model = model
        self._protocol = protocol
        self._start = time.perf_counter()

    async def observe(
        self,
        read: Callable[[], Awaitable[Req]],
        infer: Callable[[Req], Awaitable[Resp]],
    ) -> tuple[Req, Resp]:
        """Read the request and infer or explain; the time to read it is measured only if that fails."""
        rows = 0
        try:
            request = await read()
            rows, self._start = request.rows, time.perf_counter()
            response = await infer(request)
        except Exception as error:
            status = status_of(error)
            self._record(status.outcome, rows, error=error, unexpected=status is INTERNAL)
            raise
        outcome = "degraded" if response.parameters.get("degraded") else "ok"
        self._record(outcome, rows, release=response.release)
        return request, response

    def _record(
        self, outcome: str, rows: int, *, release: str = "", error: Exception | None = None, unexpected: bool = False
    ) -> None:
        seconds = time.perf_counter() - self._start
        MODEL_REQUESTS.observe(seconds, self._model.name, self._protocol, outcome)
        fields: dict[str, Any] = {"protocol": self._protocol, "outcome": outcome, "rows": rows, "ms": seconds * 1000}
        if unexpected:
            log.error("request_completed", **fields, exc_info=error)
        else:
            log.info(
                "request_completed", **fields, **({"reason": type(error).__name__} if error else {"release": release})
            )

"""gRPC V2: the SDK's service with this package's codec and error mapping."""

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec

import grpc  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2_grpc  # type: ignore[import-untyped]
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc
from kserve.protocol.grpc.servicer import InferenceServicer

from inference.http.problems import detail_of, status_of
from inference.model_server.grpc_health import HEALTH_SERVICE, INFERENCE_SERVICE, HealthServicer
from inference.model_server.model import HostedModels, RequestObserver
from inference.oip import grpc_codec
from inference.oip.grpc_structure import message_error
from inference.oip.types import UNCHECKED_BYTES, ModelRequest, ModelResponse
from product_classifier.descriptors import descriptor_limit, most_grpc_connections
from product_classifier.errors import InvalidInput
from product_classifier.observability import set_request_id, set_traceparent
from product_classifier.tracing import span

P = ParamSpec("P")
HANDSHAKE_MS = 5000
METADATA_CHARACTERS = 2000
"""Longest property in gRPC metadata, of which a client accepts 8 KiB in all; longer ones are in V2 over HTTP."""
"""Time in which a connection must begin to speak HTTP/2."""
IDLE_MS = 300_000
"""Time after which a connection without calls is closed."""


def _with_status(call: Callable[Concatenate["Servicer", Any, Any, P], Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Abort the call with the status and message of the exception it raised."""

    @wraps(call)
    async def wrapper(self: "Servicer", message: Any, context: Any, *args: P.args, **kwargs: P.kwargs) -> Any:
        metadata = dict(context.invocation_metadata() or ())
        given, trace = metadata.get("x-request-id"), metadata.get("traceparent")
        request_id = set_request_id(given if isinstance(given, str) else None)
        set_traceparent(trace if isinstance(trace, str) else None)
        try:
            with span(call.__name__, "server", rpc__system="grpc"):
                return await call(self, message, context, *args, **kwargs)
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary of the service
            await context.abort(
                grpc.StatusCode[status_of(error).grpc],
                detail_of(error),
                trailing_metadata=(("x-request-id", request_id),),
            )

    return wrapper


class Servicer(InferenceServicer):
    """The gRPC service of the models of this process."""

    def __init__(self, models: HostedModels, dataplane: DataPlane) -> None:
        super().__init__(dataplane, None)
        self._dataplane = dataplane
        self._models = models

    def deserialize(self, data: bytes) -> Any:
        """Return a ModelInferRequest, or the InvalidInput for ModelInfer to raise if it has too many fields."""
        if len(data) > UNCHECKED_BYTES:
            reason = message_error(data, max(model.signature.max_values for model in self._models))
            if reason is not None:
                return InvalidInput(f"the message has {reason}; send fewer rows, inputs and parameters")
        return pb.ModelInferRequest.FromString(data)

    @_with_status
    async def ModelInfer(self, message: Any, context: Any) -> Any:  # noqa: ARG002, N802
        if isinstance(message, InvalidInput):
            raise message
        model = self._models[message.model_name]

        async def read() -> ModelRequest:
            return grpc_codec.decode(message, model.signature)

        request, response = await RequestObserver(model, "grpc").observe(read, partial(self._infer, model.name))
        return grpc_codec.encode(model.name, request, response)

    @_with_status
    async def ModelMetadata(self, message: Any, context: Any) -> Any:  # noqa: N802
        model = self._models[message.name]
        model.releases.select(version=message.version)
        metadata = model.metadata()
        properties = metadata.pop("properties")
        # The message has no field for properties: they are in `platform`, and in the initial metadata by name.
        if len(properties["codes"]) <= METADATA_CHARACTERS:
            metadata["platform"] += f"; codes={properties['codes']}"
        await context.send_initial_metadata(
            tuple(
                (key, value)
                for key, value in properties.items()
                if value.isascii() and value.isprintable() and len(value) <= METADATA_CHARACTERS
            )
        )
        return pb.ModelMetadataResponse(**metadata)

    @_with_status
    async def ModelReady(self, message: Any, context: Any) -> Any:  # noqa: ARG002, N802
        model = self._models[message.name]
        model.releases.select(version=message.version)
        return pb.ModelReadyResponse(ready=model.ready)

    async def ServerReady(self, message: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return pb.ServerReadyResponse(ready=self._models.ready)

    @_with_status
    async def RepositoryModelLoad(self, message: Any, context: Any) -> Any:  # noqa: ARG002, N802
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "models are loaded by promoting a release only")

    RepositoryModelUnload = RepositoryModelLoad

    async def _infer(self, name: str, request: ModelRequest) -> ModelResponse:
        response, _ = await self._dataplane.infer(name, request)
        return response  # type: ignore[no-any-return]  # the SDK passes on what the model returned


def _checked_inference(servicer: Servicer) -> Any:
    """Return a handler of ModelInfer that checks the structure of a request before protobuf parses it."""
    return grpc.unary_unary_rpc_method_handler(
        servicer.ModelInfer,
        request_deserializer=servicer.deserialize,
        response_serializer=pb.ModelInferResponse.SerializeToString,
    )


def _enable_reflection(server: Any) -> None:
    from grpc_reflection.v1alpha import reflection  # type: ignore[import-untyped]  # noqa: PLC0415 - usually unused

    names = (INFERENCE_SERVICE, HEALTH_SERVICE, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)


class GrpcServer:
    """A gRPC server on one port, which no other process may share (no SO_REUSEPORT)."""

    def __init__(
        self, servicer: Servicer, health: HealthServicer, address: str, max_message: int, *, reflection: bool = False
    ) -> None:
        self._health = health
        self._server = grpc.aio.server(
            ThreadPoolExecutor(1),
            options=[
                ("grpc.max_receive_message_length", max_message),
                ("grpc.max_send_message_length", max_message),
                ("grpc.so_reuseport", 0),
                ("grpc.max_allowed_incoming_connections", most_grpc_connections(descriptor_limit())),
                ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
                ("grpc.max_connection_idle_ms", IDLE_MS),
            ],
        )
        health_pb2_grpc.add_HealthServicer_to_server(health, self._server)
        if reflection:
            _enable_reflection(self._server)
        grpc_predict_v2_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, self._server)
        self._server.add_registered_method_handlers(  # the last handler of a method is used
            INFERENCE_SERVICE, {"ModelInfer": _checked_inference(servicer)}
        )
        try:
            self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"gRPC cannot listen on {address}: is the port in use?") from error

    async def start(self) -> None:
        """Accept calls."""
        await self._server.start()

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls and wait up to `grace_s` for calls in progress."""
        self._health.drain()
        await self._server.stop(grace_s)

"""The gRPC health checking protocol (grpc.health.v1) for the models of a process."""

import asyncio
from contextlib import suppress
from typing import Any

import grpc  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from inference.http.problems import public_message
from inference.model_server.model import HostedModels

HEALTH_SERVICE = "grpc.health.v1.Health"
INFERENCE_SERVICE = "inference.GRPCInferenceService"
POLL_S = 0.5
"""Longest time until a watching client receives a change."""
MAX_WATCHERS = 100


class HealthServicer(health_pb2_grpc.HealthServicer):
    """Reports the readiness of each model by name, and of all by "" and the inference service.

    The servicer of grpcio-health-checking stores statuses, and of two clients that watch one name the second receives
    nothing more after the first has left; this one computes the status when it is requested.
    """

    def __init__(self, models: HostedModels) -> None:
        self._models = models
        self._draining = asyncio.Event()
        self._watchers = 0

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        status = self._status(request.service)
        if status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no model or service {public_message(request.service)}")
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802
        if self._watchers >= MAX_WATCHERS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MAX_WATCHERS} clients watch already; use Check")
        self._watchers += 1
        try:
            await self._report_changes(request.service, context)
        finally:
            self._watchers -= 1

    def drain(self) -> None:
        """Report that nothing is served any more, and end the calls that watch."""
        self._draining.set()

    async def _report_changes(self, service: str, context: Any) -> None:
        last = None
        while True:
            is_last = self._draining.is_set()
            if (status := self._status(service)) != last:
                await context.write(health_pb2.HealthCheckResponse(status=status))
                last = status
            if is_last:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._draining.wait(), POLL_S)

    def _status(self, service: str) -> Any:
        if service in {"", INFERENCE_SERVICE}:
            ready = self._models.ready
        else:
            model = next((model for model in self._models if model.name == service), None)
            if model is None:
                return health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
            ready = model.ready
        states = health_pb2.HealthCheckResponse
        return states.SERVING if ready and not self._draining.is_set() else states.NOT_SERVING

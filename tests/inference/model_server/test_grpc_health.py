"""The gRPC health protocol and reflection, with their public stubs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from kserve import ModelRepository
from kserve.protocol.dataplane import DataPlane

from inference.model_server import grpc_health
from inference.model_server.grpc_health import INFERENCE_SERVICE, HealthServicer
from inference.model_server.grpc_server import GrpcServer, Servicer
from inference.model_server.model import HostedModels
from product_classifier.releases.release import Release
from tests.support.model_servers import MODULES, RunningServer, served
from tests.support.servers import free_port

States = health_pb2.HealthCheckResponse


@asynccontextmanager
async def serving(*models: Any, reflection: bool = False) -> AsyncIterator[tuple[GrpcServer, str]]:
    hosted, address = HostedModels(cast("Any", models)), f"127.0.0.1:{free_port()}"
    servicer = Servicer(hosted, DataPlane(ModelRepository()))
    server = GrpcServer(servicer, HealthServicer(hosted), address, 1 << 20, reflection=reflection)
    await server.start()
    try:
        yield server, address
    finally:
        await server.stop(0)


async def check(address: str, service: str) -> Any:
    async with grpc.aio.insecure_channel(address) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        return (await health_pb2_grpc.HealthStub(channel).Check(request, timeout=20)).status


@pytest.mark.parametrize("name", sorted(MODULES))
async def test_each_server_reports_itself_and_its_model(servers: dict[str, RunningServer], name: str) -> None:
    address = f"127.0.0.1:{servers[name].grpc}"

    assert [States.SERVING] * 3 == [await check(address, service) for service in ("", name, INFERENCE_SERVICE)]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await check(address, "other")
    assert (grpc.StatusCode.NOT_FOUND, "no model or service 'other'") == (
        refused.value.code(),
        refused.value.details(),
    )


async def test_a_model_that_is_not_ready_is_not_serving() -> None:
    ready, other = SimpleNamespace(name="ready", ready=True), SimpleNamespace(name="other", ready=False)
    async with serving(ready, other) as (_, address):
        found = {name: await check(address, name) for name in ("ready", "other", "")}

    assert {"ready": States.SERVING, "other": States.NOT_SERVING, "": States.NOT_SERVING} == found


async def test_watching_clients_see_each_change_until_the_server_stops() -> None:
    model = SimpleNamespace(name="model", ready=True)
    async with serving(model) as (server, address), grpc.aio.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watched = [health_pb2.HealthCheckRequest(service=service) for service in ("model", "model", "x")]
        first, second, unknown = (stub.Watch(request, timeout=20) for request in watched)
        seen = [(await call.read()).status for call in (first, second, unknown)]
        first.cancel()
        model.ready = False
        seen.append((await second.read()).status)
        model.ready = True
        seen.append((await second.read()).status)
        stopping = asyncio.create_task(server.stop(20))
        seen.append((await second.read()).status)
        end = await second.read()
        await stopping

    assert [States.SERVING, States.SERVING, States.SERVICE_UNKNOWN] == seen[:3]
    assert [States.NOT_SERVING, States.SERVING, States.NOT_SERVING] == seen[3:]
    assert grpc.aio.EOF is end


async def test_the_number_of_watching_clients_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_health, "MAX_WATCHERS", 2)
    async with serving() as (_, address), grpc.aio.insecure_channel(address) as channel:
        stub, request = health_pb2_grpc.HealthStub(channel), health_pb2.HealthCheckRequest()
        watching = []
        for _ in range(2):
            watching.append(stub.Watch(request, timeout=20))
            await watching[-1].read()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Watch(request, timeout=20).read()

    assert grpc.StatusCode.RESOURCE_EXHAUSTED == refused.value.code()


async def test_services_are_described_only_with_the_flag() -> None:
    def described(address: str) -> list[str]:
        with grpc.insecure_channel(address) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            service = DescriptorPool(database).FindServiceByName(INFERENCE_SERVICE)
            return [*database.get_services(), *(method.name for method in service.methods)]

    async with serving(reflection=True) as (_, address):
        names = await asyncio.to_thread(described, address)
    async with serving() as (_, address):
        with pytest.raises(grpc.RpcError) as refused:
            await asyncio.to_thread(described, address)

    assert {INFERENCE_SERVICE, "grpc.health.v1.Health", "ModelInfer"} <= set(names)
    assert grpc.StatusCode.UNIMPLEMENTED == refused.value.code()


@pytest.mark.slow
def test_the_flag_of_a_server_enables_reflection(releases: tuple[Release, Release], logs: Path) -> None:
    with (
        served(["text-predictor"], releases[0].path, logs, "--grpc_reflection") as running,
        grpc.insecure_channel(f"127.0.0.1:{running['text-predictor'].grpc}") as channel,
    ):
        services = ProtoReflectionDescriptorDatabase(channel).get_services()

    assert INFERENCE_SERVICE in services

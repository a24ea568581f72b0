"""Idle connections to the gRPC port leave descriptors for others."""

import asyncio
import socket
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from kserve import ModelRepository
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from inference.model_server import grpc_server
from inference.model_server.grpc_health import HealthServicer
from inference.model_server.grpc_server import GrpcServer, Servicer
from inference.model_server.model import HostedModels
from tests.support.servers import free_port


async def test_idle_connections_over_the_limit_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_server, "descriptor_limit", lambda: 128)
    monkeypatch.setattr(grpc_server, "HANDSHAKE_MS", 500)
    address = f"127.0.0.1:{free_port()}"
    models = HostedModels([])
    server = GrpcServer(Servicer(models, DataPlane(ModelRepository())), HealthServicer(models), address, 1 << 20)
    await server.start()
    before = count_open_files()
    with ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(socket.create_connection(("127.0.0.1", int(address.partition(":")[2]))))
        await asyncio.sleep(1.5)
        held = count_open_files() - before - 200
        async with grpc.aio.insecure_channel(address) as channel:
            ready = await GRPCInferenceServiceStub(channel).ServerReady(pb.ServerReadyRequest(), timeout=20)
    await server.stop(0)

    assert ready.ready
    assert 100 > held


def count_open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))

"""The SDK's model server with our doors: one process, one event loop, REST and gRPC."""

import asyncio
import contextlib
import signal
import socket
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, cast

import uvicorn
import uvloop
from fastapi import FastAPI
from kserve import ModelServer
from kserve.model_server import app
from kserve.protocol.rest.server import RESTServer
from starlette.types import ASGIApp

from inference.http.disconnects import DisconnectProtocol
from inference.model_server.flags import Flags
from inference.model_server.grpc_server import GrpcServer, Servicer
from inference.model_server.model import HostedModels, ProductModel
from inference.model_server.rest import RestApp
from inference.model_server.server_metrics import watch_releases
from inference.model_server.sockets import listen
from product_classifier.observability import get_logger

log = get_logger()
warnings.filterwarnings("ignore", message="ORJSONResponse is deprecated")  # the SDK's; nothing we can do about it


class Server(ModelServer):
    """Serves models; `bind` first, so that a port in use is known before a model is loaded."""

    def __init__(self, flags: Flags, started: float) -> None:
        super().__init__(http_port=flags.http_port, grpc_port=flags.grpc_port, workers=1, enable_latency_logging=False)
        self._flags = flags
        self._started = started
        self._socket: socket.socket
        self._models: HostedModels

    def bind(self) -> None:
        """Take the HTTP port without answering on it yet."""
        self._socket = listen(self._flags.host, self._flags.http_port)

    def add(self, models: Sequence[ProductModel[Any]]) -> None:
        """Register the models, loaded and tested."""
        self._models = HostedModels(models)
        for model in models:
            self.register_model(model)
        watch_releases({model.name: model.releases for model in models})

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve_until_stopped())

    async def _serve_until_stopped(self) -> None:
        calls = self._open_calls()
        for model in self._models:
            await model.open()
        door = RestApp(self._models, self.dataplane, self._sdk_application(), self._flags.max_body)
        rest = _Rest(_configure(door, self._flags))
        if calls:
            await calls.start()
        watch = asyncio.create_task(self._follow_pointer())
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        serving = asyncio.create_task(rest.serve([self._socket]))
        await rest.listening.wait()
        self._log_serving()
        await stop.wait()
        log.info("stopping")
        door.draining = rest.should_exit = True
        watch.cancel()
        await asyncio.gather(serving, calls.stop(self._flags.grace_s) if calls else asyncio.sleep(0))
        for model in self._models:
            await model.close()
            model.workers.close()
        log.info("stopped")

    def _open_calls(self) -> GrpcServer | None:
        flags = self._flags
        if not flags.grpc_port:
            return None
        return GrpcServer(Servicer(self._models, self.dataplane), f"{flags.host}:{flags.grpc_port}", flags.max_message)

    def _log_serving(self) -> None:
        current, seconds = next(iter(self._models)).releases.current, time.perf_counter() - self._started
        ports = {"http": self._flags.http_port, "grpc": self._flags.grpc_port}
        log.info("serving", **ports, release=current.release, version=current.version, seconds=seconds)

    def _sdk_application(self) -> ASGIApp:
        rest = _SdkRoutes("", self.dataplane, self.model_repository_extension, self._flags.http_port)
        rest.create_application()
        return cast(ASGIApp, app)

    async def _follow_pointer(self) -> None:
        while True:
            await asyncio.sleep(self._flags.poll_s)
            try:
                for model in self._models:  # a fusion comes last: it must not name what the others do not have yet
                    await asyncio.to_thread(model.releases.refresh)
            except Exception:  # whatever happens here must not end the watch
                log.exception("release_not_followed")


class _SdkRoutes(RESTServer):
    """The SDK's routes without its timing of every request, which nobody reads."""

    def _add_middlewares(self, app: FastAPI) -> None:
        """Add none."""


class _Rest(uvicorn.Server):
    """Uvicorn, with the signals left to us: REST and gRPC stop together."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _configure(door: RestApp, flags: Flags) -> uvicorn.Config:
    return uvicorn.Config(
        door,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        lifespan="off",
        http=DisconnectProtocol,
        proxy_headers=False,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=int(flags.grace_s),
    )

"""The SDK's model server with this package's REST and gRPC front ends, in one process and event loop."""

import asyncio
import signal
import socket
import time
import warnings
from collections.abc import Sequence
from typing import Any

import uvicorn
import uvloop
from kserve import ModelServer

from inference.compat.connection_limits import process_limits
from inference.compat.draining import EmbeddedServer
from inference.compat.kserve import sdk_application
from inference.compat.uvicorn import limited_protocol
from inference.http.sockets import bind_socket
from inference.model_server.flags import Flags
from inference.model_server.grpc_health import HealthServicer
from inference.model_server.grpc_server import GrpcServer, Servicer
from inference.model_server.model import HostedModels, ProductModel
from inference.model_server.model_collector import register_collectors
from inference.model_server.rest import RestApp
from product_classifier.descriptors import raise_descriptor_limit
from product_classifier.observability import get_logger

log = get_logger()
warnings.filterwarnings("ignore", message="ORJSONResponse is deprecated")  # raised by the SDK's own routes


class ProductModelServer(ModelServer):
    """Serves models; call `bind` first, so that a port in use is reported before a model is loaded."""

    def __init__(self, flags: Flags, started: float) -> None:
        super().__init__(http_port=flags.http_port, grpc_port=flags.grpc_port, workers=1, enable_latency_logging=False)
        self._flags = flags
        self._started = started
        self._socket: socket.socket
        self._models: HostedModels

    def bind(self) -> None:
        """Bind the HTTP port without accepting connections; raise OSError if it is in use."""
        self._socket = bind_socket(self._flags.host, self._flags.http_port)

    def add(self, models: Sequence[ProductModel[Any]]) -> None:
        """Register loaded models; one that depends on others comes after them."""
        self._models = HostedModels(models)
        for model in models:
            self.register_model(model)
        register_collectors(models)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; then complete the requests in flight within the grace period."""
        raise_descriptor_limit()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve_until_stopped())

    async def _serve_until_stopped(self) -> None:
        grpc = self._create_grpc_server()
        for model in self._models:
            await model.open()
        sdk = sdk_application(self, self._flags.http_port)
        app = RestApp(self._models, self.dataplane, sdk, self._flags.max_body)
        rest = EmbeddedServer(_uvicorn_config(app, self._flags))
        if grpc:
            await grpc.start()
        polling = asyncio.create_task(self._poll_pointer())
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        serving = asyncio.create_task(rest.serve([self._socket]))
        await rest.listening.wait()
        self._log_started()
        await stop.wait()
        log.info("stop_requested")
        app.draining = rest.should_exit = True
        polling.cancel()
        await asyncio.gather(serving, grpc.stop(self._flags.grace_s) if grpc else asyncio.sleep(0))
        for model in self._models:
            await model.close()
            model.workers.close()
        log.info("server_stopped")

    def _create_grpc_server(self) -> GrpcServer | None:
        flags = self._flags
        if not flags.grpc_port:
            return None
        servicer, health = Servicer(self._models, self.dataplane), HealthServicer(self._models)
        address = f"{flags.host}:{flags.grpc_port}"
        return GrpcServer(servicer, health, address, flags.max_message, reflection=flags.grpc_reflection)

    def _log_started(self) -> None:
        current, seconds = next(iter(self._models)).releases.current, time.perf_counter() - self._started
        ports = {"http": self._flags.http_port, "grpc": self._flags.grpc_port}
        log.info("server_started", **ports, release=current.release, version=current.version, seconds=seconds)

    async def _poll_pointer(self) -> None:
        while True:
            await asyncio.sleep(self._flags.poll_s)
            try:
                for model in self._models:  # the fusion is last: the predictors must have a release before it names it
                    await asyncio.to_thread(model.releases.refresh)
            except Exception:  # an error in one poll must not end the polling
                log.exception("release_refresh_failed")


def _uvicorn_config(app: RestApp, flags: Flags) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        lifespan="off",
        http=limited_protocol(process_limits()),
        proxy_headers=False,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=int(flags.grace_s),
    )

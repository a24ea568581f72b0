"""The processes of a local run: commands, ports and environment."""

import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from operations.local.settings import Settings
from product_classifier.model_names import FUSION, IMAGE, TEXT

HOST = "127.0.0.1"

MODEL_SERVER_PRIORITY = ("nice", "-n", "5")
"""The gateway has priority on a busy machine, so that it rejects requests above its limit without delay."""
SINGLE_THREADED = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Numerical libraries start a thread per core in every process by default."""


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """The request whose response shows that a process is not hung."""

    path: str
    must_succeed: bool = False
    """Whether a status of 500 or more also counts as hung; otherwise any response shows that the process responds."""


@dataclass(frozen=True, slots=True)
class Service:
    """One supervised process."""

    name: str
    command: tuple[str, ...]
    ports: Mapping[str, int]
    environment: Mapping[str, str] = field(default_factory=dict)
    health: HealthCheck | None = None
    """Sent to the port `http`; without it only the exit of the process is noticed."""
    pointer: Path | None = None
    """File that names the release; after a refusal the service is started again once the file changes."""


def services(settings: Settings) -> tuple[Service, ...]:
    """Return the services in the order they start; the gateway is the last."""
    port = settings.port
    internal_token = secrets.token_urlsafe(48)
    text_url, image_url, fusion_url = _model_urls(settings)
    return (
        *_model_servers(settings),
        Service(
            "feedback-service",
            (sys.executable, "-m", "inference.feedback_service"),
            {"http": port + 2},
            {
                "FEEDBACK_HOST": HOST,
                "FEEDBACK_PORT": str(port + 2),
                "FEEDBACK_INTERNAL_TOKEN": internal_token,
                "FEEDBACK_STATE_DIR": str(settings.state_dir.resolve()),
                "FEEDBACK_STORE_URL": settings.given_store_url,
                "FEEDBACK_TRIGGER_URL": f"http://{HOST}:{port + 3}",
            },
            HealthCheck("/healthz"),
        ),
        Service(
            "retrain-trigger",
            (sys.executable, "-m", "pipelines.retrain"),
            {"http": port + 3},
            {
                "RETRAIN_HOST": HOST,
                "RETRAIN_PORT": str(port + 3),
                "RETRAIN_TOKEN": internal_token,
                "RETRAIN_LAUNCHER": "local",
                "STATE_DIR": str(settings.state_dir.resolve()),
                "STORE_URL": settings.given_store_url,
                "SERVICE_URL": fusion_url,
            },
            HealthCheck("/healthz", must_succeed=True),
        ),
        Service(
            "monitoring",
            (sys.executable, "-m", "pipelines", "monitor", "--every-s", "3600"),
            {},
            {
                "STATE_DIR": str(settings.state_dir.resolve()),
                "STORE_URL": settings.given_store_url,
                "RELEASE": "",  # of `make run`, a location
                "SINCE": "",
            },
        ),
        Service(
            "auth-proxy",
            (sys.executable, "-m", "inference.auth_proxy"),
            {"http": port, "metrics": port + 1},
            {
                "AUTH_PROXY_HOST": HOST,
                "AUTH_PROXY_PORT": str(port),
                "AUTH_PROXY_METRICS_PORT": str(port + 1),
                "AUTH_PROXY_TEXT_URL": text_url,
                "AUTH_PROXY_IMAGE_URL": image_url,
                "AUTH_PROXY_FUSION_URL": fusion_url,
                "AUTH_PROXY_FEEDBACK_URL": f"http://{HOST}:{port + 2}",
                "AUTH_PROXY_INTERNAL_TOKEN": internal_token,
                "AUTH_PROXY_STATE_DIR": str(settings.state_dir.resolve()),
                "AUTH_PROXY_STORE_URL": settings.store_url,
            },
            HealthCheck("/healthz"),
        ),
    )


def _model_urls(settings: Settings) -> tuple[str, str, str]:
    """Return the URLs of the text, image and fusion model."""
    offsets = (15, 15, 15) if settings.collocated else (11, 13, 15)
    text, image, fusion = (f"http://{HOST}:{settings.port + offset}" for offset in offsets)
    return text, image, fusion


def _model_servers(settings: Settings) -> tuple[Service, ...]:
    port = settings.port
    if settings.collocated:
        return (_model_server("collocated", settings, port + 15, port + 16),)
    text_url, image_url, _ = _model_urls(settings)
    predictors = {"FUSION_TEXT_URL": text_url, "FUSION_IMAGE_URL": image_url}
    return (
        _model_server(TEXT, settings, port + 11, port + 12),
        _model_server(IMAGE, settings, port + 13, port + 14),
        _model_server(FUSION, settings, port + 15, port + 16, **predictors),
    )


def _model_server(name: str, settings: Settings, http_port: int, grpc_port: int, **environment: str) -> Service:
    options = {"model_dir": settings.releases, "host": HOST, "http_port": http_port, "grpc_port": grpc_port}
    module = f"inference.{name.replace('-', '_')}"
    arguments = [argument for option, value in options.items() for argument in (f"--{option}", str(value))]
    return Service(
        name,
        (*MODEL_SERVER_PRIORITY, sys.executable, "-m", module, *arguments, "--wait_for_release"),
        {"http": http_port, "grpc": grpc_port},
        SINGLE_THREADED | environment | {"RELEASE": ""},  # of `make run`, a location; of a model server, an id
        HealthCheck("/v2/health/live"),
        settings.releases / "champion",
    )

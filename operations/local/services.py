"""The processes of a local run: their commands, ports and environment, all in one table."""

import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from operations.local.settings import Settings

HOST = "127.0.0.1"

BEHIND_THE_GATEWAY = ("nice", "-n", "5")
"""When cores are short, the gateway comes before the models: it is what tells people at once that there is no place."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Numerical libraries would otherwise start a thread per core in every process."""


@dataclass(frozen=True, slots=True)
class Service:
    """One supervised process."""

    name: str
    command: tuple[str, ...]
    ports: Mapping[str, int]
    environment: Mapping[str, str] = field(default_factory=dict)


def services(settings: Settings) -> tuple[Service, ...]:
    """Return what is started; the gateway comes last and is stopped first."""
    port = settings.port
    shared_secret = secrets.token_urlsafe(48)
    text_url, image_url, fusion_url = _places(settings)
    return (
        *_models(settings),
        Service(
            "feedback-service",
            (sys.executable, "-m", "inference.feedback_service"),
            {"http": port + 2},
            {
                "FEEDBACK_HOST": HOST,
                "FEEDBACK_PORT": str(port + 2),
                "FEEDBACK_INTERNAL_TOKEN": shared_secret,
                "FEEDBACK_STATE_DIR": str(settings.state_dir.resolve()),
                "FEEDBACK_STORE_URL": settings.given_store_url,
                "FEEDBACK_TRIGGER_URL": f"http://{HOST}:{port + 3}",
            },
        ),
        Service(
            "retrain-trigger",
            (sys.executable, "-m", "pipelines.retrain"),
            {"http": port + 3},
            {
                "RETRAIN_HOST": HOST,
                "RETRAIN_PORT": str(port + 3),
                "RETRAIN_TOKEN": shared_secret,
                "RETRAIN_LAUNCHER": "local",
                "STATE_DIR": str(settings.state_dir.resolve()),
                "STORE_URL": settings.given_store_url,
                "SERVICE_URL": fusion_url,
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
                "AUTH_PROXY_INTERNAL_TOKEN": shared_secret,
                "AUTH_PROXY_STATE_DIR": str(settings.state_dir.resolve()),
                "AUTH_PROXY_STORE_URL": settings.store_url,
            },
        ),
    )


def _places(settings: Settings) -> tuple[str, str, str]:
    """Return where the text, image and fusion models answer."""
    ports = (15, 15, 15) if settings.collocated else (11, 13, 15)
    text, image, fusion = (f"http://{HOST}:{settings.port + offset}" for offset in ports)
    return text, image, fusion


def _models(settings: Settings) -> tuple[Service, ...]:
    port = settings.port
    if settings.collocated:
        return (_model("collocated", settings, port + 15, port + 16),)
    text_url, image_url, _ = _places(settings)
    predictors = {"FUSION_TEXT_URL": text_url, "FUSION_IMAGE_URL": image_url}
    return (
        _model("text-predictor", settings, port + 11, port + 12),
        _model("image-predictor", settings, port + 13, port + 14),
        _model("fusion-transformer", settings, port + 15, port + 16, **predictors),
    )


def _model(name: str, settings: Settings, http_port: int, grpc_port: int, **environment: str) -> Service:
    options = {
        "model_dir": settings.releases,
        "host": HOST,
        "http_port": http_port,
        "grpc_port": grpc_port,
    }
    command = (*BEHIND_THE_GATEWAY, sys.executable, "-m", f"inference.{name.replace('-', '_')}")
    flags = (word for option, value in options.items() for word in (f"--{option}", str(value)))
    return Service(
        name, (*command, *flags, "--wait_for_release"), {"http": http_port, "grpc": grpc_port}, ONE_THREAD | environment
    )

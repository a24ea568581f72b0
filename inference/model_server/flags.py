"""Command-line options of a model server."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic_settings import BaseSettings

from product_classifier.limits import BATCH_PRODUCTS, GRPC_MESSAGE_BYTES, MIB, PHOTO_BODY_BYTES
from product_classifier.settings_help import Variable, settings_epilog

IGNORED = "Options that KServe's controller appends and this server does not know are ignored."
RELEASE = Variable(("RELEASE",), "string", "", "Release to serve first; the option --release overrides it.")


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Show defaults, and the epilog as it is."""


@dataclass(frozen=True)
class Flags:
    """Options of a model server, named as KServe's own where it has them."""

    model_dir: Path
    model_name: str
    host: str
    http_port: int
    grpc_port: int
    release: str
    wait_for_release: bool
    threads: int
    max_waiting: int
    max_wait_s: float
    max_explanations: int
    max_rows: int
    max_body: int
    max_message: int
    grpc_reflection: bool
    poll_s: float
    grace_s: float


def parse_flags(model_name: str, argv: Sequence[str], settings: Sequence[type[BaseSettings]] = ()) -> Flags:
    """Parse the options; ignore unknown ones, which KServe's controller may append."""
    parser = argparse.ArgumentParser(
        prog=f"python -m inference.{model_name.replace('-', '_')}",
        description="A KServe model server (REST v1 and v2, gRPC v2). Exits with 78 if its bundle is refused.",
        epilog=f"{IGNORED}\n\n{settings_epilog(*settings, extra=(RELEASE,))}",
        formatter_class=_HelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--model_dir", type=Path, default=Path("/mnt/models"), help="a bundle, a release, or a folder of releases")
    add("--model_name", default=model_name, help="name of the model in the routes")
    add("--host", default="0.0.0.0", help="address to listen on")  # noqa: S104 - a container's port is meant to be reached
    add("--http_port", type=int, default=8080, help="port of REST v1 and v2")
    add("--grpc_port", type=int, default=8081, help="port of gRPC v2; 0 disables it")
    add("--release", default=os.environ.get("RELEASE", ""), help="release id of a single bundle, or the one to serve")
    add(
        "--wait_for_release", action="store_true", help="start live but not ready, and load the first release published"
    )
    add("--threads", type=int, default=min(4, os.cpu_count() or 1), help="threads that run the model")
    add("--max_waiting", type=int, default=64, help="requests that may wait for a thread; more are refused with 503")
    add("--max_wait_s", type=float, default=2.0, help="seconds a request may wait for a thread before it gets a 503")
    add("--max_explanations", type=int, default=2, help="explanations in progress; more are refused with 503")
    add("--max_rows", type=int, default=BATCH_PRODUCTS, help="rows of one request")
    add("--max_body_mib", type=int, default=PHOTO_BODY_BYTES // MIB, help="size of an HTTP body in MiB")
    add("--grpc_max_receive_message_length", type=int, default=GRPC_MESSAGE_BYTES, help="bytes of a gRPC message")
    add("--grpc_reflection", action="store_true", help="describe the gRPC services to clients such as grpcurl")
    add("--poll_s", type=float, default=1.0, help="seconds between reads of the file that names the champion")
    add("--grace_s", type=float, default=20.0, help="seconds that requests may take to end after SIGTERM")
    found, _ = parser.parse_known_args(argv)
    return Flags(
        model_dir=found.model_dir,
        model_name=found.model_name,
        host=found.host,
        http_port=found.http_port,
        grpc_port=found.grpc_port,
        release=found.release,
        wait_for_release=found.wait_for_release,
        threads=max(1, found.threads),
        max_waiting=max(0, found.max_waiting),
        max_wait_s=max(0.0, found.max_wait_s),
        max_explanations=max(0, found.max_explanations),
        max_rows=max(1, found.max_rows),
        max_body=found.max_body_mib * MIB,
        max_message=found.grpc_max_receive_message_length,
        grpc_reflection=found.grpc_reflection,
        poll_s=found.poll_s,
        grace_s=found.grace_s,
    )

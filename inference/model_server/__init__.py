"""Start-up shared by the model servers."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pydantic_settings import BaseSettings

from inference.compat.kserve import import_sdk
from inference.model_server.flags import Flags, parse_flags
from inference.model_server.loaded_releases import is_empty
from inference.model_server.placeholder import wait_for_release
from product_classifier.errors import BundleRefused, InvalidSettings
from product_classifier.observability import configure_logging, get_logger
from product_classifier.tracing import configure_tracing

if TYPE_CHECKING:
    from inference.model_server.model import ProductModel

EXIT_BUNDLE_REFUSED = 78
"""EX_CONFIG of sysexits.h: a restart would fail in the same way, so a supervisor should not restart."""
EXIT_PORT_UNAVAILABLE = 1

__all__ = ["Flags", "serve"]


def serve(
    service: str,
    make: Callable[[Flags], "Sequence[ProductModel[Any]]"],
    argv: Sequence[str],
    settings: Sequence[type[BaseSettings]] = (),
) -> int:
    """Load the models that `make` returns and serve them until SIGTERM or SIGINT; return the exit status.

    The SDK reads `sys.argv` when it is imported, so flags are parsed first and `make` imports what needs the SDK.
    """
    started = time.perf_counter()
    flags = parse_flags(service, argv, settings)
    sys.argv[1:] = []
    configure_logging(service)
    configure_tracing(service)
    log = get_logger()
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC's core writes unstructured lines to stderr
    try:
        import_sdk()
        from inference.model_server.kserve_server import ProductModelServer  # noqa: PLC0415 - see above

        if flags.wait_for_release and is_empty(flags.model_dir, flags.release) and not wait_for_release(flags):
            return 0
        server = ProductModelServer(flags, started)
        server.bind()
        server.add(make(flags))
        server.run()
    except InvalidSettings as error:
        log.critical("settings_invalid", reason=str(error))
        return EXIT_BUNDLE_REFUSED
    except BundleRefused as error:
        log.critical("bundle_refused", reason=str(error), model_dir=str(flags.model_dir))
        return EXIT_BUNDLE_REFUSED
    except OSError as error:
        log.critical("start_failed", reason=str(error))
        return EXIT_PORT_UNAVAILABLE
    return 0

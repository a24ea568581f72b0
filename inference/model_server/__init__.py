"""Start-up that the three model servers share.

The SDK reads `sys.argv` when it is imported, so flags are parsed first and the SDK is imported after.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pydantic_settings import BaseSettings

from inference.compat.kserve_sdk import import_sdk
from inference.model_server.flags import Flags, parse_flags
from inference.model_server.loaded_releases import is_empty
from inference.model_server.placeholder import wait_for_release
from product_classifier.errors import BundleRefused
from product_classifier.observability import configure_logging, get_logger

if TYPE_CHECKING:
    from inference.model_server.model import ProductModel

REFUSED = 78
"""Exit status for a bundle that was refused (EX_CONFIG): starting again changes nothing, so a supervisor should not."""
NO_PORT = 1

__all__ = ["Flags", "serve"]


def serve(
    service: str,
    make: Callable[[Flags], "Sequence[ProductModel[Any]]"],
    argv: Sequence[str],
    settings: Sequence[type[BaseSettings]] = (),
) -> int:
    """Load, then serve until told to stop; return the exit status."""
    started = time.perf_counter()
    flags = parse_flags(service, argv, settings)
    sys.argv[1:] = []
    configure_logging(service)
    log = get_logger()
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its core logs in lines of its own, beside ours
    try:
        import_sdk()
        from inference.model_server.kserve_server import Server  # noqa: PLC0415 - see above

        if flags.wait_for_release and is_empty(flags.model_dir, flags.release) and not wait_for_release(flags):
            return 0
        server = Server(flags, started)
        server.bind()
        server.add(make(flags))
        server.run()
    except BundleRefused as error:
        log.critical("bundle_refused", reason=str(error), model_dir=str(flags.model_dir))
        return REFUSED
    except OSError as error:
        log.critical("cannot_start", reason=str(error))
        return NO_PORT
    return 0

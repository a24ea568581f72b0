"""Create the buckets of a deployment and send notifications of new corrections to the retrain trigger.

    python -m product_classifier.store.bucket s3://one s3://two --events=arn:minio:sqs::RETRAIN:webhook

Idempotent; waits for a store that is starting. A store without bucket notifications is supported, because the trigger
also polls.
"""

import argparse
import re
import sys
import time
from collections.abc import Sequence

from product_classifier.errors import ProductClassifierError, StoreUnavailable
from product_classifier.observability import configure_logging, get_logger
from product_classifier.settings_reader import read_settings
from product_classifier.store.object_keys import FEEDBACK_PREFIX
from product_classifier.store.s3 import S3Store
from product_classifier.store.settings import StoreSettings

PAUSE_S = 2.0
NAME = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/?")
log = get_logger()


def main(argv: Sequence[str]) -> int:
    """Create the buckets; return 0, or 1 after an error on standard error."""
    options = _parse(argv)
    configure_logging("bucket")
    try:
        stores = [S3Store(name, read_settings(StoreSettings)) for name in options.buckets]
        for name, store in zip(options.buckets, stores, strict=True):
            _create(store, time.monotonic() + options.wait_s)
            log.info("bucket_created", bucket=name)
        if options.events:
            _configure_events(stores[0], options.events)
    except ProductClassifierError as error:
        sys.stderr.write(f"bucket: {error}\n")
        return 1
    return 0


def _create(store: S3Store, until: float) -> None:
    while True:
        try:
            return store.create_bucket()
        except StoreUnavailable as error:
            if time.monotonic() > until:
                raise
            log.info("store_unavailable", reason=str(error))
        time.sleep(PAUSE_S)


def _configure_events(store: S3Store, target: str) -> None:
    try:
        store.notify(target, FEEDBACK_PREFIX)
        log.info("events_configured", target=target, prefix=FEEDBACK_PREFIX)
    except StoreUnavailable as error:
        log.warning("events_unsupported", reason=str(error))


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m product_classifier.store.bucket", description=__doc__)
    parser.add_argument("buckets", nargs="+", type=_bucket, metavar="s3://BUCKET")
    parser.add_argument("--events", default="", metavar="ARN", help="target of the notifications of the first bucket")
    parser.add_argument("--wait-s", type=float, default=0.0, help="seconds to wait for the store to start")
    return parser.parse_args(argv)


def _bucket(url: str) -> str:
    found = NAME.fullmatch(url)
    if found is None:
        raise argparse.ArgumentTypeError(f"{url[:80]!r} is not s3://BUCKET")
    return found[1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

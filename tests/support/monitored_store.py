"""A store with predictions, and a webhook, for the steps of monitoring."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

from components.compact_log import step as compact_log
from product_classifier.feedback.records import Modalities, PredictionRecord, ProductContent, new_id
from product_classifier.monitoring.drift_windows import (
    DriftMeasure,
    DriftWindow,
    Mover,
    write_window,
)
from product_classifier.store import open_store

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
RELEASE = "r-20260301T000000-0123abcd"


def record(minutes: int, confidence: float = 0.9, release: str = RELEASE) -> PredictionRecord:
    created = NOW - timedelta(minutes=minutes)
    return PredictionRecord(
        prediction_id=new_id(created),
        created=created,
        user="ann",
        product=ProductContent(designation="Lampe de chevet"),
        code="10",
        confidence=confidence,
        decision="accept",
        top=(),
        modalities=Modalities(),
        degraded=False,
        release=release,
    )


def write(store: str, *records: PredictionRecord) -> None:
    for one in records:
        open_store(store).put(one.key, one.to_json())


def drifted(store: str, *records: PredictionRecord, verdict: str = "drift") -> DriftWindow:
    write(store, *records)
    compact_log.run(store, today=NOW.date())
    measure = DriftMeasure(
        name="vocabulary",
        statistic="auc",
        value=0.9,
        threshold=0.6,
        drifted=verdict == "drift",
        movers=tuple(Mover(name=one.prediction_id) for one in records[:1]),
    )
    window = DriftWindow(
        window_id="d-20260302T120000-0123abcd",
        created=NOW,
        since=NOW - timedelta(days=1),
        until=NOW,
        release=RELEASE,
        products=len(records),
        sampled=len(records),
        verdict=verdict,  # type: ignore[arg-type]
        reasons=("vocabulary: auc 0.900 exceeds 0.600",) if verdict == "drift" else (),
        inputs=(measure,),
    )
    write_window(open_store(store), window)
    return window


@contextmanager
def webhook(status: int = 200) -> Iterator[tuple[str, list[dict[str, object]]]]:
    """A server that keeps the bodies it is sent."""
    bodies: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", bodies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

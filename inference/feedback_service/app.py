"""FastAPI application of the feedback service.

    app = create_app(store, journal, settings, taxonomy)

Handlers are plain functions: they block on the store, so FastAPI runs them in threads.
"""

import hashlib
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import Body, FastAPI, Header, Query, Response

from inference.durability.writer import DurableWriter
from inference.feedback_api import (
    CorrectionPage,
    CorrectionView,
    FeedbackReceipt,
    FeedbackRequest,
    IdempotencyKey,
    ListParameters,
    ProductFeedback,
    RetrainProgress,
    ReviewRequest,
    RunPage,
    RunReceipt,
)
from inference.feedback_service.callers import Admin, Reviewer, User
from inference.feedback_service.correction_replay import CorrectionReplay
from inference.feedback_service.exception_handlers import add_problem_handlers
from inference.feedback_service.feedback_metrics import FeedbackMetrics
from inference.feedback_service.identity import IdIndex
from inference.feedback_service.listing import CorrectionListing
from inference.feedback_service.middleware import InternalMiddleware
from inference.feedback_service.notifier import TriggerNotifier
from inference.feedback_service.service import FeedbackService, SubmitResult, utc_now
from inference.feedback_service.settings import Settings
from inference.http.api_models import ProductInput
from inference.http.bodies import strict_base64
from inference.http.problems import Problem, public_message
from product_classifier.errors import UnknownCategory
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.records import PHOTO_PREFIX, ProductContent
from product_classifier.feedback.trust import initial_state
from product_classifier.images.headers import picture_bytes
from product_classifier.limits import PHOTO_BODY_BYTES
from product_classifier.retraining import RunStore, RunView, list_runs, request_run
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.settings_reader import read_settings
from product_classifier.store import ObjectStore
from product_classifier.store.journal import Journal
from product_classifier.store.probe import StoreProbe
from product_classifier.taxonomy import Taxonomy

THREADS = 16
"""Requests handled concurrently; the size of the S3 client's connection pool."""
PROBE_KEY = f"{PHOTO_PREFIX}probe"
"""Not under the prefix of corrections: each new object there is a notification to the trigger."""
PROBE_DEADLINE_S = 2.0
OptionalReview = Annotated[ReviewRequest | None, Body()]


def create_app(
    store: ObjectStore,
    journal: Journal | None,
    settings: Settings,
    taxonomy: Taxonomy,
    retrain: RetrainSettings | None = None,
    now: Callable[[], datetime] = utc_now,
) -> FastAPI:
    """Return the application; while it runs, threads replay the journal and notify the trigger."""
    ids, index, run_store = IdIndex(store), FeedbackIndex(store, taxonomy), RunStore(store)
    replay = CorrectionReplay(store, ids, now)
    writer = DurableWriter(store, journal, replay, probe_key=PROBE_KEY, max_pause_s=settings.longest_pause_s)
    service = FeedbackService(store, writer, ids, index, now)
    token = settings.internal_token.get_secret_value()
    notifier = TriggerNotifier(settings.trigger_url, token)
    writer.on_replayed = notifier.notify
    metrics = _metrics(writer, journal, index)
    app = FastAPI(
        title="Feedback service",
        lifespan=partial(_lifespan, writer, notifier),
        openapi_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(
        InternalMiddleware, token=token, body_limit=min(settings.body_limit, PHOTO_BODY_BYTES), metrics=metrics
    )
    add_problem_handlers(app)
    _add_submission(app, service, taxonomy, metrics, notifier)
    _add_reviews(app, service, CorrectionListing(index, taxonomy), notifier)
    _add_run_request(app, run_store, index, notifier, now)
    _add_runs(app, run_store, index, (retrain or read_settings(RetrainSettings)).min_corrections)
    _add_health(app, writer, metrics)
    return app


def _add_submission(
    app: FastAPI, service: FeedbackService, taxonomy: Taxonomy, metrics: FeedbackMetrics, notifier: TriggerNotifier
) -> None:
    @app.post("/feedback", status_code=201)
    def submit(
        body: FeedbackRequest,
        caller: User,
        response: Response,
        idempotency_key: Annotated[IdempotencyKey | None, Header()] = None,
    ) -> FeedbackReceipt:
        if body.code not in taxonomy:
            raise UnknownCategory(f"code: {body.code} is not a category code; GET /categories lists them")
        comment = body.comment or ""
        if isinstance(body, ProductFeedback):
            photo = _decode_photo(body.product)
            product = ProductContent(
                designation=body.product.designation or "",
                description=body.product.description or "",
                image_sha256=hashlib.sha256(photo).hexdigest() if photo else None,
            )
            result = service.correct_product(caller, idempotency_key, product, body.code, comment, photo=photo)
        else:
            result = service.correct_prediction(caller, idempotency_key, body.prediction_id, body.code, comment)
        metrics.acknowledged(result.destination or "replay")
        response.status_code = 201 if result.destination else 200
        if result.destination:
            notifier.notify()
        return _receipt(result, taxonomy)


def _add_reviews(app: FastAPI, service: FeedbackService, listing: CorrectionListing, notifier: TriggerNotifier) -> None:
    @app.get("/feedback")
    def list_corrections(_: Reviewer, parameters: Annotated[ListParameters, Query()]) -> CorrectionPage:
        return listing.page(parameters)

    @app.post("/feedback/{feedback_id}/approve")
    def approve(feedback_id: str, caller: Reviewer, body: OptionalReview = None) -> CorrectionView:
        correction, review = service.review(caller, feedback_id, "approved", (body and body.comment) or "")
        notifier.notify()
        return listing.view(correction, review.decision, review)

    @app.post("/feedback/{feedback_id}/reject")
    def reject(feedback_id: str, caller: Reviewer, body: OptionalReview = None) -> CorrectionView:
        correction, review = service.review(caller, feedback_id, "rejected", (body and body.comment) or "")
        return listing.view(correction, review.decision, review)


def _add_run_request(
    app: FastAPI, run_store: RunStore, index: FeedbackIndex, notifier: TriggerNotifier, now: Callable[[], datetime]
) -> None:
    @app.post("/retrain", status_code=202)
    def start_run(caller: Admin, response: Response) -> RunReceipt:
        index.refresh()
        claim = request_run(run_store, index.labels(), caller.name, now())
        notifier.notify()
        url = f"/retrain/{claim.run_id}"
        response.headers["Location"] = url
        return RunReceipt(run_id=claim.run_id, status_url=url)


def _add_runs(app: FastAPI, run_store: RunStore, index: FeedbackIndex, needed: int) -> None:
    @app.get("/retrain")
    def show_runs(_: Admin) -> RunPage:
        index.refresh()
        corrections = len(run_store.new_labels(index.labels()))
        return RunPage(runs=list_runs(run_store), progress=RetrainProgress(corrections=corrections, needed=needed))

    @app.get("/retrain/{run_id}")
    def show_run(run_id: str, _: Admin) -> RunView:
        found = next((view for view in list_runs(run_store) if view.run_id == run_id), None)
        if found is None:
            raise Problem(404, f"run_id: no run has the id {public_message(run_id)}", kind="unknown-run")
        return found


def _add_health(app: FastAPI, writer: DurableWriter, metrics: FeedbackMetrics) -> None:
    probe = StoreProbe(writer.probe, deadline_s=PROBE_DEADLINE_S)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:  # not in a thread: all of them may wait for the store
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> dict[str, str | int]:
        is_away = writer.store_unavailable or not probe.check()
        if is_away:
            writer.check_journal()
        return {"status": "ok", "store": "away" if is_away else "ok", "waiting": writer.pending_count}

    @app.get("/metrics")
    def prometheus_metrics() -> Response:
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4")


def _metrics(writer: DurableWriter, journal: Journal | None, index: FeedbackIndex) -> FeedbackMetrics:
    metrics = FeedbackMetrics()
    metrics.add_gauge("feedback_store_away", "1 while the store is unavailable.", lambda: writer.store_unavailable)
    metrics.add_gauge(
        "feedback_journal_waiting", "Records in the journal and not in the store.", lambda: writer.pending_count
    )
    metrics.add_gauge(
        "feedback_journal_drained", "Records replayed from the journal to the store.", lambda: writer.replayed
    )
    metrics.add_gauge("feedback_journal_damages", "Damaged places found in the journal.", lambda: len(writer.damages))
    metrics.add_gauge("feedback_corrections_damaged", "Damaged objects found in the store.", lambda: len(index.damaged))
    if journal is not None:
        metrics.add_gauge("feedback_journal_bytes", "Size of the journal on disk in bytes.", lambda: journal.size)
    return metrics


def _decode_photo(product: ProductInput) -> bytes:
    """Return the photo of a product without bytes behind the picture; empty if it has none.

    Raises:
        InvalidImage: If the photo is not accepted.
    """
    return picture_bytes(strict_base64(product.image, "product.image")) if product.image else b""


def _receipt(result: SubmitResult, taxonomy: Taxonomy) -> FeedbackReceipt:
    correction = result.correction
    return FeedbackReceipt(
        feedback_id=correction.feedback_id,
        state=initial_state(correction.role),
        code=correction.code,
        label=taxonomy[correction.code].label_fr,
        created=correction.created,
        replaces=result.replaced.feedback_id if result.replaced else None,
    )


@asynccontextmanager
async def _lifespan(writer: DurableWriter, notifier: TriggerNotifier, _: FastAPI) -> AsyncIterator[None]:
    to_thread.current_default_thread_limiter().total_tokens = THREADS
    threads = [
        threading.Thread(target=writer.run, name="journal-replay"),
        threading.Thread(target=notifier.run, name="trigger-notifier"),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        writer.close()
        notifier.close()
        for thread in threads:
            thread.join()

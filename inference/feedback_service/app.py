"""FastAPI application of the feedback service.

    app = create_app(store, journal, settings)

Handlers that block on the store are plain functions, which FastAPI runs in threads. Lists and runs have threads of
their own, so that any number of them leaves those of submissions free.
"""

import hashlib
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import FastAPI, Header, Query, Request, Response

from inference.durability.writer import DurableWriter
from inference.feedback_api import (
    FeedbackReceipt,
    FeedbackRequest,
    IdempotencyKey,
    ProductFeedback,
    QueueFeedback,
    TaxonomyChangeOptions,
    TaxonomyChangePage,
    TaxonomyChangeParameters,
    TaxonomyChangeView,
)
from inference.feedback_service.batch_endpoints import add_batches
from inference.feedback_service.batch_uploads import Batches
from inference.feedback_service.bounded_threads import BoundedThreads
from inference.feedback_service.callers import Admin, Reviewer, User
from inference.feedback_service.category_views import located_code
from inference.feedback_service.correction_decisions import CorrectionDecisions
from inference.feedback_service.correction_endpoints import add_corrections
from inference.feedback_service.correction_replay import CorrectionReplay
from inference.feedback_service.exception_handlers import add_problem_handlers
from inference.feedback_service.feedback_metrics import FeedbackMetrics
from inference.feedback_service.index_refresher import IndexRefresher
from inference.feedback_service.label_file_endpoints import add_label_files
from inference.feedback_service.label_queue import LabelQueue
from inference.feedback_service.label_transfer import LabelExport, LabelImport
from inference.feedback_service.listing import CorrectionListing
from inference.feedback_service.middleware import CHANGES_PATH, InternalMiddleware
from inference.feedback_service.notifier import TriggerNotifier
from inference.feedback_service.operations_routes import add_quality_routes, add_release_routes
from inference.feedback_service.photo_endpoints import add_photos
from inference.feedback_service.photos import PhotoService
from inference.feedback_service.prediction_endpoints import add_predictions
from inference.feedback_service.prediction_listing import PredictionListing
from inference.feedback_service.quality import Quality
from inference.feedback_service.queue_endpoints import add_queue
from inference.feedback_service.receipts import known_answer_receipt, receipt
from inference.feedback_service.release_listing import Releases
from inference.feedback_service.reviewer_quality import ReviewerStatistics, add_reviewer_quality
from inference.feedback_service.run_events import RunEvents
from inference.feedback_service.run_events_endpoint import add_run_events
from inference.feedback_service.run_log_client import RunLogClient
from inference.feedback_service.runs_endpoints import Runs, add_run_request, add_runs
from inference.feedback_service.service import FeedbackService, utc_now
from inference.feedback_service.settings import Settings
from inference.feedback_service.suspect_entries import SuspectEntries
from inference.feedback_service.taxonomy_changes import TaxonomyChanges
from inference.http.api_models import ProductInput
from inference.http.bodies import strict_base64
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.prediction_index import PredictionIndex
from product_classifier.feedback.records import PHOTO_PREFIX, ProductContent
from product_classifier.images.headers import picture_bytes
from product_classifier.limits import PHOTO_BODY_BYTES
from product_classifier.metrics.instruments import CONTENT_TYPE, add_volume
from product_classifier.retraining import RunStore
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.settings_reader import read_settings
from product_classifier.store import ObjectStore
from product_classifier.store.journal import Journal
from product_classifier.store.probe import StoreProbe
from product_classifier.stored_taxonomy.change_store import StoredTaxonomy

THREADS = 16
"""Requests handled concurrently; the size of the S3 client's connection pool."""
LIST_THREADS = 2
"""Lists of corrections or runs made concurrently."""
MAX_WAITING_LISTS = 64
"""Lists that wait for a thread; more are refused."""
PROBE_KEY = f"{PHOTO_PREFIX}probe"
"""Not under the prefix of corrections: each new object there is a notification to the trigger."""
PROBE_DEADLINE_S = 2.0


def create_app(
    store: ObjectStore,
    journal: Journal | None,
    settings: Settings,
    retrain: RetrainSettings | None = None,
    now: Callable[[], datetime] = utc_now,
    index: FeedbackIndex | None = None,
    predictions: PredictionIndex | None = None,
) -> FastAPI:
    """Return the application; its threads replay the journal, refresh the index, notify the trigger.

    Args:
        store: Object store.
        journal: Holds records while the store is unavailable; None refuses them instead.
        settings: Settings of the service.
        retrain: Settings of the trigger, of which the threshold is shown.
        now: Returns the current time.
        index: Corrections of the store; by default a temporary index.
        predictions: Predictions of the store; by default a temporary index.
    """
    index, run_store = index or FeedbackIndex(store), RunStore(store)
    predictions = predictions or PredictionIndex(store, index.taxonomy)
    refresher = IndexRefresher(index.refresh, index.read_confidences)
    predictions_refresher = IndexRefresher(predictions.refresh)
    replay = CorrectionReplay(store, index, now)
    writer = DurableWriter(store, journal, replay, probe_key=PROBE_KEY, max_pause_s=settings.longest_pause_s)
    service = FeedbackService(store, writer, index, now, settings.daily_corrections)
    token = settings.internal_token.get_secret_value()
    notifier = TriggerNotifier(settings.trigger_url, token)
    writer.on_replayed = notifier.notify
    metrics = FeedbackMetrics(writer, journal, index)
    add_volume(metrics.registry, settings.state_dir)
    app = FastAPI(
        title="Feedback service",
        lifespan=partial(_lifespan, writer, notifier, (refresher, predictions_refresher)),
        openapi_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(
        InternalMiddleware, token=token, body_limit=min(settings.body_limit, PHOTO_BODY_BYTES), metrics=metrics
    )
    add_problem_handlers(app)
    releases = Releases(store, index.taxonomy, now)
    queue = LabelQueue(
        store,
        predictions,
        index,
        (refresher, predictions_refresher),
        now,
        suspects=SuspectEntries(store, releases.history, index.taxonomy).read,
        known_answer_share=settings.known_answer_share,
    )
    _add_submission(app, service, index.taxonomy, queue, metrics, notifier)
    lists = BoundedThreads(LIST_THREADS, MAX_WAITING_LISTS)
    listing = CorrectionListing(index, predictions, refresher)
    add_corrections(app, listing, CorrectionDecisions(service), notifier, lists)
    folder = settings.state_dir if settings.state_dir.is_dir() else None
    add_label_files(app, LabelExport(store, index), LabelImport(service), folder, notifier.notify)
    add_predictions(app, PredictionListing(store, predictions, index, predictions_refresher), lists)
    add_queue(app, queue, lists)
    add_photos(app, PhotoService(store, writer, predictions, index, predictions_refresher, queue.has_photo))
    runs = Runs(run_store, index, refresher, (retrain or read_settings(RetrainSettings)).min_corrections)
    add_run_request(app, runs, notifier, now, lists)
    add_runs(app, runs, lists)
    add_run_events(app, RunEvents(run_store, RunLogClient(settings.trigger_url, token)))
    add_reviewer_quality(app, ReviewerStatistics(store, index, now), lists)
    add_release_routes(app, releases, notifier)
    add_quality_routes(app, Quality(store, index, releases, now))
    add_batches(app, Batches(store, now), notifier, settings.state_dir / "uploads", settings.upload_limit)
    _add_taxonomy_changes(app, TaxonomyChanges(store, index, refresher, now), lists)
    _add_health(app, writer, index, metrics)
    return app


def _add_submission(
    app: FastAPI,
    service: FeedbackService,
    taxonomy: StoredTaxonomy,
    queue: LabelQueue,
    metrics: FeedbackMetrics,
    notifier: TriggerNotifier,
) -> None:
    @app.post("/feedback", status_code=201)
    def submit(
        body: FeedbackRequest,
        caller: User,
        response: Response,
        idempotency_key: Annotated[IdempotencyKey | None, Header()] = None,
    ) -> FeedbackReceipt:
        state = taxonomy.with_code(body.code)
        code = located_code(state, body.code)
        comment = body.comment or ""
        if isinstance(body, ProductFeedback):
            photo = _decode_photo(body.product)
            product = ProductContent(
                designation=body.product.designation or "",
                description=body.product.description or "",
                image_sha256=hashlib.sha256(photo).hexdigest() if photo else None,
            )
            result = service.correct_product(caller, idempotency_key, product, code, comment, photo=photo)
        elif isinstance(body, QueueFeedback):
            given = state.read(code.code, code.version).code or code.code
            if (answer := queue.answer(caller, body.item_id, given)) is not None:
                return known_answer_receipt(answer, caller.role, state)
            prediction_id, product = queue.product_of(caller, body.item_id)
            if prediction_id is None:
                result = service.correct_product(caller, idempotency_key, product, code, comment)
            else:
                result = service.correct_prediction(caller, idempotency_key, prediction_id, code, comment)
        else:
            result = service.correct_prediction(caller, idempotency_key, body.prediction_id, code, comment)
        metrics.acknowledged(result.destination or "replay")
        response.status_code = 201 if result.destination else 200
        if result.destination:
            notifier.notify()
        return receipt(result, state)


def _add_taxonomy_changes(app: FastAPI, changes: TaxonomyChanges, lists: BoundedThreads) -> None:
    @app.get(CHANGES_PATH, response_model=TaxonomyChangePage)
    async def list_changes(_: Reviewer, parameters: Annotated[TaxonomyChangeParameters, Query()]) -> Response:
        return await lists.run(lambda: changes.page(parameters))

    @app.post(CHANGES_PATH, status_code=201, response_model=TaxonomyChangeView)
    async def apply_change(
        request: Request, caller: Admin, options: Annotated[TaxonomyChangeOptions, Query()]
    ) -> Response:
        body, created = await request.body(), []

        def apply() -> str:
            document, is_new = changes.apply(caller.name, body, dry_run=options.dry_run)
            created.append(is_new and not options.dry_run)
            return document

        response = await lists.run(apply)
        response.status_code = 201 if created[0] else 200
        return response


def _add_health(app: FastAPI, writer: DurableWriter, index: FeedbackIndex, metrics: FeedbackMetrics) -> None:
    probe = StoreProbe(writer.probe, deadline_s=PROBE_DEADLINE_S)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:  # not in a thread: all of them may wait for the store
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> dict[str, str | int]:
        is_away = writer.store_unavailable or not probe.check()
        if is_away:
            writer.check_journal()
        store = "away" if is_away else "ok"
        health: dict[str, str | int] = {"status": "ok", "store": store, "waiting": writer.pending_count}
        return health if index.is_complete else health | {"index": "building"}

    @app.get("/metrics")
    def prometheus_metrics() -> Response:
        return Response(metrics.exposition(), headers={"Content-Type": CONTENT_TYPE})


def _decode_photo(product: ProductInput) -> bytes:
    """Return the photo of a product without bytes behind the picture; empty if it has none.

    Raises:
        InvalidImage: If the photo is not accepted.
    """
    return picture_bytes(strict_base64(product.image, "product.image")) if product.image else b""


@asynccontextmanager
async def _lifespan(
    writer: DurableWriter, notifier: TriggerNotifier, refreshers: Sequence[IndexRefresher], _: FastAPI
) -> AsyncIterator[None]:
    to_thread.current_default_thread_limiter().total_tokens = THREADS
    threads = [
        threading.Thread(target=writer.run, name="journal-replay"),
        threading.Thread(target=notifier.run, name="trigger-notifier"),
        *(threading.Thread(target=refresher.run, name="index-refresh") for refresher in refreshers),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        writer.close()
        notifier.close()
        for refresher in refreshers:
            refresher.close()
        for thread in threads:
            thread.join()

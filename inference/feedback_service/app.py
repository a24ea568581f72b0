"""The feedback service: corrections in, reviews, and the runs they lead to.

    app = create_app(store, journal, settings)

Handlers are plain functions: they wait for the store, so they run in threads, off the event loop.
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
    decode_photo,
)
from inference.feedback_service.correction_replay import CorrectionReplay
from inference.feedback_service.exception_handlers import add_problem_handlers
from inference.feedback_service.guard import Admin, Guard, Reviewer, User
from inference.feedback_service.identity import IdIndex
from inference.feedback_service.listing import Listing, correction_view
from inference.feedback_service.measures import Measures
from inference.feedback_service.notifier import Wake
from inference.feedback_service.service import Desk, Handed, utc_now
from inference.feedback_service.settings import Settings
from inference.http.problems import Problem
from product_classifier.errors import UnknownCategory
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.records import ProductContent
from product_classifier.retraining import RunStore, RunView, list_runs, request_run
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.store import ObjectStore
from product_classifier.store.journal import Journal
from product_classifier.taxonomy import CHALLENGE

THREADS = 16
"""Requests at work at once; as many as an S3 store keeps connections."""
Note = Annotated[ReviewRequest | None, Body()]


def create_app(
    store: ObjectStore,
    journal: Journal | None,
    settings: Settings,
    retrain: RetrainSettings | None = None,
    now: Callable[[], datetime] = utc_now,
) -> FastAPI:
    """Return the service on these collaborators; its relay runs while the application does."""
    ids, book, run_store = IdIndex(store), FeedbackIndex(store), RunStore(store)
    writer = DurableWriter(store, journal, CorrectionReplay(store, ids, now), max_pause_s=settings.longest_pause_s)
    desk = Desk(store, writer, ids, book, now)
    wake = Wake(settings.trigger_url, settings.internal_token.get_secret_value())
    writer.on_replayed = wake
    measures = _measures(writer, journal, book)
    app = FastAPI(
        title="Feedback service", lifespan=partial(_lifespan, writer, wake), openapi_url=None, redirect_slashes=False
    )
    app.add_middleware(
        Guard,
        token=settings.internal_token.get_secret_value(),
        body_limit=settings.body_limit,
        measures=measures,
    )
    add_problem_handlers(app)
    _add_feedback(app, desk, measures, wake)
    _add_reviews(app, desk, Listing(book), wake)
    _add_asking(app, run_store, book, wake, now)
    _add_runs(app, run_store, book, (retrain or RetrainSettings()).min_corrections)
    _add_health(app, writer, measures)
    return app


def _add_feedback(app: FastAPI, desk: Desk, measures: Measures, wake: Wake) -> None:
    @app.post("/feedback", status_code=201)
    def give(
        body: FeedbackRequest,
        person: User,
        response: Response,
        idempotency_key: Annotated[IdempotencyKey | None, Header()] = None,
    ) -> FeedbackReceipt:
        if body.code not in CHALLENGE:
            raise UnknownCategory(f"code: {body.code} is not a category code; GET /categories lists them")
        comment = body.comment or ""
        if isinstance(body, ProductFeedback):
            photo = decode_photo(body.product)
            product = ProductContent(
                designation=body.product.designation or "",
                description=body.product.description or "",
                image_sha256=hashlib.sha256(photo).hexdigest() if photo else None,
            )
            handed = desk.correct_product(person, idempotency_key, product, body.code, comment, photo=photo)
        else:
            handed = desk.correct_prediction(person, idempotency_key, body.prediction_id, body.code, comment)
        measures.acknowledged(handed.where or "replay")
        response.status_code = 201 if handed.where else 200
        if handed.where:
            wake()
        return _acknowledged(handed)


def _add_reviews(app: FastAPI, desk: Desk, listing: Listing, wake: Wake) -> None:
    @app.get("/feedback")
    def page(_: Reviewer, parameters: Annotated[ListParameters, Query()]) -> CorrectionPage:
        return listing.page(parameters)

    @app.post("/feedback/{feedback_id}/approve")
    def approve(feedback_id: str, person: Reviewer, body: Note = None) -> CorrectionView:
        correction, review = desk.review(person, feedback_id, "approved", (body and body.comment) or "")
        wake()
        return correction_view(correction, review.decision, review)

    @app.post("/feedback/{feedback_id}/reject")
    def reject(feedback_id: str, person: Reviewer, body: Note = None) -> CorrectionView:
        correction, review = desk.review(person, feedback_id, "rejected", (body and body.comment) or "")
        return correction_view(correction, review.decision, review)


def _add_asking(
    app: FastAPI, run_store: RunStore, book: FeedbackIndex, wake: Wake, now: Callable[[], datetime]
) -> None:
    @app.post("/retrain", status_code=202)
    def ask(person: Admin, response: Response) -> RunReceipt:
        book.refresh()
        claim = request_run(run_store, book.labels(), person.name, now())
        wake()
        url = f"/retrain/{claim.run_id}"
        response.headers["Location"] = url
        return RunReceipt(run_id=claim.run_id, status_url=url)


def _add_runs(app: FastAPI, run_store: RunStore, book: FeedbackIndex, needed: int) -> None:
    @app.get("/retrain")
    def runs(_: Admin) -> RunPage:
        book.refresh()
        beyond = len(run_store.new_labels(book.labels()))
        return RunPage(runs=list_runs(run_store), progress=RetrainProgress(corrections=beyond, needed=needed))

    @app.get("/retrain/{run_id}")
    def run(run_id: str, _: Admin) -> RunView:
        found = next((view for view in list_runs(run_store) if view.run_id == run_id), None)
        if found is None:
            raise Problem(404, f"no run has the id {run_id[:60]!r}", kind="unknown-run")
        return found


def _add_health(app: FastAPI, writer: DurableWriter, measures: Measures) -> None:
    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> dict[str, str | int]:
        writer.check_accepts()
        return {"status": "ok", "store": "away" if writer.store_unavailable else "ok", "waiting": writer.pending_count}

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(measures.text(), media_type="text/plain; version=0.0.4")


def _measures(writer: DurableWriter, journal: Journal | None, book: FeedbackIndex) -> Measures:
    measures = Measures()
    measures.watch("feedback_store_away", "1 while the store does not answer.", lambda: writer.store_unavailable)
    measures.watch("feedback_journal_waiting", "Records only the journal has.", lambda: writer.pending_count)
    measures.watch(
        "feedback_journal_drained", "Records brought from the journal to the store.", lambda: writer.replayed
    )
    measures.watch("feedback_journal_damages", "Damaged places found in the journal.", lambda: len(writer.damages))
    measures.watch("feedback_corrections_damaged", "Damaged objects found in the store.", lambda: len(book.damaged))
    if journal is not None:
        measures.watch("feedback_journal_bytes", "Bytes the journal takes on disk.", lambda: journal.size)
    return measures


def _acknowledged(handed: Handed) -> FeedbackReceipt:
    correction = handed.correction
    return FeedbackReceipt(
        feedback_id=correction.feedback_id,
        state="pending" if correction.role == "user" else "trusted",
        code=correction.code,
        label=CHALLENGE[correction.code].label_fr,
        created=correction.created,
    )


@asynccontextmanager
async def _lifespan(writer: DurableWriter, wake: Wake, _: FastAPI) -> AsyncIterator[None]:
    to_thread.current_default_thread_limiter().total_tokens = THREADS
    threads = [threading.Thread(target=writer.run, name="relay"), threading.Thread(target=wake.run, name="wake")]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        writer.close()
        wake.close()
        for thread in threads:
            thread.join()

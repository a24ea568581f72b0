"""Routes that list corrections and decide about them."""

from typing import Annotated

from fastapi import Body, FastAPI, Query, Response

from inference.bulk_api import BulkDecision, BulkProblem, BulkRequest, BulkResponse, BulkResult
from inference.feedback_api import CorrectionPage, CorrectionView, ListParameters, ReplacementRequest, ReviewRequest
from inference.feedback_service.bounded_threads import BoundedThreads
from inference.feedback_service.callers import Reviewer, User
from inference.feedback_service.category_views import located_code
from inference.feedback_service.correction_decisions import CorrectionDecisions
from inference.feedback_service.listing import CorrectionListing
from inference.feedback_service.notifier import TriggerNotifier
from inference.feedback_service.service import Caller
from inference.http.problems import Problem, problem_of
from product_classifier.errors import ProductClassifierError
from product_classifier.feedback.index_rows import IndexedCorrection
from product_classifier.observability import request_id

OptionalReview = Annotated[ReviewRequest | None, Body()]


def add_corrections(
    app: FastAPI,
    listing: CorrectionListing,
    decisions: CorrectionDecisions,
    notifier: TriggerNotifier,
    lists: BoundedThreads,
) -> None:
    """Add the routes of stored corrections."""

    @app.get("/feedback", response_model=CorrectionPage)
    async def list_corrections(caller: User, parameters: Annotated[ListParameters, Query()]) -> Response:
        return await lists.run(lambda: listing.page(caller, parameters).model_dump_json())

    @app.post("/feedback/bulk")
    def decide_in_bulk(caller: Reviewer, body: BulkRequest) -> BulkResponse:
        results = [_result(decisions, listing, caller, item) for item in body.items]
        notifier.notify()
        return BulkResponse(items=results)

    @app.post("/feedback/{feedback_id}/approve")
    def approve(feedback_id: str, caller: Reviewer, body: OptionalReview = None) -> CorrectionView:
        item = decisions.review(caller, feedback_id, "approved", (body and body.comment) or "")
        notifier.notify()
        return listing.view(caller, item)

    @app.post("/feedback/{feedback_id}/reject")
    def reject(feedback_id: str, caller: Reviewer, body: OptionalReview = None) -> CorrectionView:
        item = decisions.review(caller, feedback_id, "rejected", (body and body.comment) or "")
        return listing.view(caller, item)

    @app.post("/feedback/{feedback_id}/correct")
    def correct(feedback_id: str, caller: Reviewer, body: ReplacementRequest) -> CorrectionView:
        code = located_code(decisions.taxonomy.with_code(body.code), body.code)
        item = decisions.correct(caller, feedback_id, code, body.comment or "")
        notifier.notify()
        return listing.view(caller, item)

    @app.post("/feedback/{feedback_id}/undo")
    def undo(feedback_id: str, caller: User) -> CorrectionView:
        item = decisions.undo(caller, feedback_id)
        notifier.notify()
        return listing.view(caller, item)


def _result(
    decisions: CorrectionDecisions, listing: CorrectionListing, caller: Caller, item: BulkDecision
) -> BulkResult:
    """Carry out one decision of several; its error concerns no other."""
    try:
        correction = _decide(decisions, caller, item)
    except (Problem, ProductClassifierError) as error:
        problem = problem_of(error)
        document = BulkProblem.model_validate(problem.document(request_id.get()))
        return BulkResult(feedback_id=item.feedback_id, status=problem.status, correction=None, problem=document)
    view = listing.view(caller, correction)
    return BulkResult(feedback_id=item.feedback_id, status=200, correction=view, problem=None)


def _decide(decisions: CorrectionDecisions, caller: Caller, item: BulkDecision) -> IndexedCorrection:
    comment = item.comment or ""
    match item.action:
        case "approve":
            return decisions.review(caller, item.feedback_id, "approved", comment)
        case "reject":
            return decisions.review(caller, item.feedback_id, "rejected", comment)
        case "undo":
            return decisions.undo(caller, item.feedback_id)
        case "correct":
            code = str(item.code)
            located = located_code(decisions.taxonomy.with_code(code), code)
            return decisions.correct(caller, item.feedback_id, located, comment)

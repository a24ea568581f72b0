"""How well users label: agreement with others, and products with a known answer."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import FastAPI, Query, Response

from inference.feedback_service.bounded_threads import BoundedThreads
from inference.feedback_service.callers import Reviewer
from inference.reviewer_api import ReviewerQuality, ReviewerQualityPage, ReviewerQualityParameters
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.known_answers import AnswerCounts, count_answers
from product_classifier.feedback.user_agreement import UserAgreement, agreement_by_user
from product_classifier.store import ObjectStore


class ReviewerStatistics:
    """Reads votes of the index and known answers of the store. Thread-safe."""

    def __init__(self, store: ObjectStore, index: FeedbackIndex, now: Callable[[], datetime]) -> None:
        self._store = store
        self._index = index
        self._now = now

    def page(self, parameters: ReviewerQualityParameters) -> ReviewerQualityPage:
        """Return the agreement and known answers of every user; raises `StoreUnavailable`."""
        since = self._now() - timedelta(days=parameters.days)
        agreements = {one.user: one for one in agreement_by_user(self._index.compared_votes(since))}
        answers = count_answers(self._store, since.date())
        items = []
        for user in sorted({*agreements, *answers}):
            agreement = agreements.get(user, UserAgreement(user, 0, 0))
            counts = answers.get(user, AnswerCounts(0, 0))
            items.append(
                ReviewerQuality(
                    user=user,
                    comparisons=agreement.comparisons,
                    agreement=agreement.share,
                    known_answers=counts.answered,
                    right=counts.right,
                )
            )
        return ReviewerQualityPage(since=since, items=items)


def add_reviewer_quality(app: FastAPI, statistics: ReviewerStatistics, lists: BoundedThreads) -> None:
    """Add the route of the quality of users."""

    @app.get("/quality/reviewers", response_model=ReviewerQualityPage)
    async def show_reviewer_quality(_: Reviewer, parameters: Annotated[ReviewerQualityParameters, Query()]) -> Response:
        return await lists.run(lambda: statistics.page(parameters).model_dump_json())

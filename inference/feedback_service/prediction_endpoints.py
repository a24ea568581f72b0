"""Routes of predictions."""

from typing import Annotated

from fastapi import FastAPI, Query, Response

from inference.feedback_service.bounded_threads import BoundedThreads
from inference.feedback_service.callers import User
from inference.feedback_service.prediction_listing import PredictionListing
from inference.prediction_api import ListedPrediction, ListedPredictionPage, PredictionListParameters


def add_predictions(app: FastAPI, listing: PredictionListing, lists: BoundedThreads) -> None:
    """Add the routes that list and describe predictions."""

    @app.get("/predictions", response_model=ListedPredictionPage)
    async def list_predictions(caller: User, parameters: Annotated[PredictionListParameters, Query()]) -> Response:
        return await lists.run(lambda: listing.page(caller, parameters).model_dump_json())

    @app.get("/predictions/{prediction_id}", response_model=ListedPrediction)
    async def show_prediction(prediction_id: str, caller: User) -> Response:
        return await lists.run(lambda: listing.get(caller, prediction_id).model_dump_json())

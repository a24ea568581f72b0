"""Routes that classify products."""

from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.feedback.forwarding import forward_feedback
from inference.auth_proxy.media_types import JSON, MULTIPART
from inference.auth_proxy.predictions.prediction_handlers import predict, predict_batch
from inference.auth_proxy.routing import DocumentedResponse, Route
from inference.auth_proxy.schemas import (
    EXAMPLE_PREDICTION,
    ExplainedPredictionView,
    PredictInput,
    PredictionView,
    ProblemView,
    ProductBatch,
    ProductForm,
    RequestId,
)
from inference.prediction_api import (
    EXAMPLE_LISTED_PREDICTION,
    ListedPrediction,
    ListedPredictionPage,
    PredictionListParameters,
)
from product_classifier.limits import BATCH_PRODUCTS, PHOTO_BODY_BYTES

RECORD_HEADER = {
    "Prediction-Record": "`stored`, `pending` or `lost`: the state of the record when the response is sent."
}

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/predict",
        handler=predict,
        role=Role.USER,
        operation_id="predict",
        tag="predictions",
        summary="Classify a product",
        request={JSON: PredictInput, MULTIPART: ProductForm},
        headers={"X-Request-Id": RequestId},
        responses={
            200: DocumentedResponse(
                "The prediction.",
                ExplainedPredictionView | PredictionView,
                headers=RECORD_HEADER,
                example=EXAMPLE_PREDICTION,
            )
        },
        problems=(503,),
        body_limit=PHOTO_BODY_BYTES,
    ),
    Route(
        method="POST",
        path="/predict/batch",
        handler=predict_batch,
        role=Role.USER,
        operation_id="predict_batch",
        tag="predictions",
        summary=f"Classify up to {BATCH_PRODUCTS} products; each counts against the rate",
        request={JSON: ProductBatch},
        responses={
            200: DocumentedResponse(
                "A prediction or a problem per product, in their order.",
                list[ExplainedPredictionView | PredictionView | ProblemView],
                headers=RECORD_HEADER,
            )
        },
        problems=(503,),
        body_limit=PHOTO_BODY_BYTES,
    ),
    Route(
        method="GET",
        path="/predictions",
        handler=forward_feedback,
        role=Role.USER,
        operation_id="list_predictions",
        tag="predictions",
        summary="List the own predictions, as a reviewer all of them, newest first",
        query=PredictionListParameters,
        responses={
            200: DocumentedResponse(
                "A page of predictions.",
                ListedPredictionPage,
                example={"items": [EXAMPLE_LISTED_PREDICTION], "next_cursor": None, "is_complete": True},
            )
        },
        problems=(404, 503),
    ),
    Route(
        method="GET",
        path="/predictions/{id}",
        handler=forward_feedback,
        role=Role.USER,
        operation_id="get_prediction",
        tag="predictions",
        summary="Describe a prediction with the whole texts of its product",
        responses={200: DocumentedResponse("The prediction.", ListedPrediction, example=EXAMPLE_LISTED_PREDICTION)},
        problems=(503,),
    ),
)

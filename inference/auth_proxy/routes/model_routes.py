"""Routes of KServe V1 and V2, forwarded to the three models."""

from typing import Any

from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.media_types import BINARY, JSON
from inference.auth_proxy.predictions import explanation_schemas as explanations
from inference.auth_proxy.predictions import model_forwarding as models
from inference.auth_proxy.predictions import oip_schemas as oip
from inference.auth_proxy.routing import DocumentedResponse, Handler, Route
from product_classifier.limits import PHOTO_BODY_BYTES


def _model_route(
    method: str,
    path: str,
    operation_id: str,
    summary: str,
    response: Any,
    *,
    request: Any = None,
    binary: bool = False,
    probe: bool = False,
    handler: Handler = models.forward_to_model,
) -> Route:
    """Return a route that is forwarded to the model named in its path."""
    media_types = (JSON, BINARY) if binary else (JSON,)
    errors = {400: DocumentedResponse("The model rejects the request.", oip.InferenceError)} if request else {}
    not_found = (
        {404: DocumentedResponse("The model has no such version.", oip.InferenceError)} if "{version}" in path else {}
    )
    bodies = {JSON: request, **({BINARY: oip.Binary} if binary else {})} if request else {}
    return Route(
        method=method,
        path=path,
        handler=handler,
        role=Role.USER,
        operation_id=operation_id,
        tag="models",
        summary=summary,
        request=bodies,
        headers={"Inference-Header-Content-Length": oip.HeaderLength} if binary else {},
        responses={200: DocumentedResponse("The response of the model.", response, media_types), **errors, **not_found},
        problems=(502, 503, 504),
        body_limit=PHOTO_BODY_BYTES,
        probe=probe,
    )


def _versions(path: str, suffix: str) -> tuple[Route, ...]:
    """Return the V2 routes of a model, or of one of its versions."""
    return (
        _model_route("GET", path, f"get_model{suffix}_metadata", "Describe a model (V2)", oip.ModelMetadata),
        _model_route(
            "GET", f"{path}/ready", f"check_model{suffix}_ready", "Check that a model is ready (V2)", oip.ModelStatus
        ),
        _model_route(
            "POST",
            f"{path}/infer",
            f"infer{suffix}",
            "Run inference (V2)",
            oip.V2InferResponse,
            request=oip.V2InferRequest,
            binary=True,
        ),
    )


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/v1/models",
        handler=models.list_models,
        role=Role.USER,
        operation_id="list_v1_models",
        tag="models",
        summary="List the models (V1)",
        responses={200: DocumentedResponse("The names of the models.", oip.ModelList)},
    ),
    _model_route(
        "GET", "/v1/models/{model}", "check_v1_model_ready", "Check that a model is ready (V1)", oip.ModelStatus
    ),
    _model_route(
        "POST",
        "/v1/models/{model}:predict",
        "predict_v1",
        "Predict (V1)",
        oip.V1PredictResponse,
        request=oip.V1PredictRequest,
    ),
    _model_route(
        "POST",
        "/v1/models/{model}:explain",
        "explain_v1",
        "Explain predictions (V1); counts as 3 (text), 37 (photo) or 40 (both) products per instance",
        explanations.V1ExplainResponse,
        request=explanations.V1ExplainRequest,
        handler=models.forward_explanation,
    ),
    Route(
        method="GET",
        path="/v2",
        handler=models.get_server_metadata,
        role=Role.USER,
        operation_id="get_server_metadata",
        tag="models",
        summary="Describe the server (V2)",
        responses={200: DocumentedResponse("The server.", oip.ServerMetadata)},
    ),
    Route(
        method="GET",
        path="/v2/health/live",
        handler=models.check_server_live,
        role=Role.USER,
        operation_id="check_server_live",
        tag="models",
        summary="Check that the server is live (V2)",
        responses={200: DocumentedResponse("The server is live.", oip.ServerLive)},
        probe=True,
    ),
    Route(
        method="GET",
        path="/v2/health/ready",
        handler=models.check_server_ready,
        role=Role.USER,
        operation_id="check_server_ready",
        tag="models",
        summary="Check that every model is ready (V2)",
        responses={200: DocumentedResponse("Every model is ready.", oip.ServerReady)},
        problems=(503,),
        probe=True,
    ),
    Route(
        method="GET",
        path="/v2/models",
        handler=models.list_models,
        role=Role.USER,
        operation_id="list_models",
        tag="models",
        summary="List the models (V2)",
        responses={200: DocumentedResponse("The names of the models.", oip.ModelList)},
    ),
    *_versions("/v2/models/{model}", ""),
    *_versions("/v2/models/{model}/versions/{version}", "_version"),
)

"""The route table: every public route once."""

from typing import Any

from inference.auth_proxy.audit.audit_handlers import list_audit_events
from inference.auth_proxy.auth import account_handlers as accounts
from inference.auth_proxy.auth import api_key_handlers as api_keys
from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.console.static_files import openapi_document, page
from inference.auth_proxy.feedback.forwarding import forward_feedback
from inference.auth_proxy.health_handlers import check_liveness, check_readiness
from inference.auth_proxy.media_types import BINARY, FORM, JSON, MULTIPART
from inference.auth_proxy.predictions import explanation_schemas as explanations
from inference.auth_proxy.predictions import model_forwarding as models
from inference.auth_proxy.predictions import oip_schemas as oip
from inference.auth_proxy.predictions.prediction_handlers import list_categories, predict, predict_batch
from inference.auth_proxy.routing import DocumentedResponse, Handler, Rate, Route
from inference.auth_proxy.schemas import (
    EXAMPLE_PREDICTION,
    AuditPage,
    AuditParameters,
    CategoryView,
    ExplainedPredictionView,
    HealthView,
    JwksView,
    KeyPage,
    NewKey,
    NewKeyView,
    NewUser,
    PredictInput,
    PredictionView,
    ProblemView,
    ProductBatch,
    ProductForm,
    RequestId,
    TokenRequest,
    TokenView,
    UserChange,
    UserView,
)
from inference.feedback_api import (
    CorrectionPage,
    CorrectionView,
    FeedbackReceipt,
    FeedbackRequest,
    IdempotencyKey,
    ListParameters,
    ReviewRequest,
    RunListParameters,
    RunPage,
    RunReceipt,
)
from product_classifier.audit.audit_events import AuditAction
from product_classifier.limits import BATCH_PRODUCTS, PHOTO_BODY_BYTES, TOKEN_BODY_BYTES
from product_classifier.retraining import RunView

RECORD_HEADER = {
    "Prediction-Record": "`stored`, `pending` or `lost`: the state of the record when the response is sent."
}


def _page(path: str, file: str) -> Route:
    return Route(method="GET", path=path, handler=page(file), role=None, rate=Rate.NONE)


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


def _review(decision: str, summary: str, audit: AuditAction) -> Route:
    return Route(
        method="POST",
        path=f"/feedback/{{id}}/{decision}",
        handler=forward_feedback,
        role=Role.REVIEWER,
        operation_id=f"{decision}_feedback",
        tag="feedback",
        summary=summary,
        request={JSON: ReviewRequest},
        request_required=False,
        responses={200: DocumentedResponse("The correction with its review.", CorrectionView)},
        problems=(409, 503),
        audit=audit,
    )


ROUTES: tuple[Route, ...] = (
    _page("/", "index.html"),
    _page("/console/app.js", "app.js"),
    _page("/console/style.css", "style.css"),
    _page("/docs", "docs.html"),
    _page("/console/docs.js", "docs.js"),
    _page("/favicon.ico", "favicon.svg"),
    Route(method="GET", path="/openapi.json", handler=openapi_document, role=None, rate=Rate.NONE),
    Route(
        method="GET",
        path="/healthz",
        handler=check_liveness,
        role=None,
        operation_id="check_liveness",
        tag="health",
        summary="Check that the gateway is live",
        responses={200: DocumentedResponse("The gateway is live.", HealthView)},
        rate=Rate.NONE,
        probe=True,
    ),
    Route(
        method="GET",
        path="/readyz",
        handler=check_readiness,
        role=None,
        operation_id="check_readiness",
        tag="health",
        summary="Check that predictions can be made; 200 also when degraded",
        responses={
            200: DocumentedResponse("Predictions can be made.", HealthView),
            503: DocumentedResponse("Models are starting, or none responds.", HealthView),
        },
        rate=Rate.NONE,
        probe=True,
    ),
    Route(
        method="POST",
        path="/token",
        handler=accounts.issue_token,
        role=None,
        operation_id="issue_token",
        tag="users",
        summary="Exchange a user name and a password for an access token (OAuth 2.0 password grant)",
        request={FORM: TokenRequest},
        responses={200: DocumentedResponse("An access token.", TokenView)},
        problems=(401, 503),
        rate=Rate.LOGIN,
        body_limit=TOKEN_BODY_BYTES,
        embedded_issuer=True,
    ),
    Route(
        method="GET",
        path="/.well-known/jwks.json",
        handler=accounts.list_keys,
        role=None,
        operation_id="list_keys",
        tag="users",
        summary="List the public keys that verify access tokens",
        responses={200: DocumentedResponse("The keys.", JwksView)},
        rate=Rate.NONE,
        embedded_issuer=True,
    ),
    Route(
        method="GET",
        path="/users",
        handler=accounts.list_users,
        role=Role.ADMIN,
        operation_id="list_users",
        tag="users",
        summary="List the users",
        responses={200: DocumentedResponse("All users, by name.", list[UserView])},
        embedded_issuer=True,
    ),
    Route(
        method="POST",
        path="/users",
        handler=accounts.add_user,
        role=Role.ADMIN,
        operation_id="add_user",
        tag="users",
        summary="Create a user",
        request={JSON: NewUser},
        responses={201: DocumentedResponse("The new user.", UserView, headers={"Location": "Path of the user."})},
        problems=(409,),
        embedded_issuer=True,
        refuses_api_keys=True,
    ),
    Route(
        method="PATCH",
        path="/users/{name}",
        handler=accounts.change_user,
        role=Role.ADMIN,
        operation_id="change_user",
        tag="users",
        summary="Change password, role or state of a user, and revoke the user's tokens",
        request={JSON: UserChange},
        responses={200: DocumentedResponse("The changed user.", UserView)},
        problems=(409,),
        embedded_issuer=True,
        refuses_api_keys=True,
    ),
    Route(
        method="DELETE",
        path="/users/{name}",
        handler=accounts.remove_user,
        role=Role.ADMIN,
        operation_id="remove_user",
        tag="users",
        summary="Delete a user, and revoke the user's tokens",
        responses={204: DocumentedResponse("The user is deleted.")},
        problems=(409,),
        embedded_issuer=True,
        refuses_api_keys=True,
    ),
    Route(
        method="GET",
        path="/keys",
        handler=api_keys.list_api_keys,
        role=Role.ADMIN,
        operation_id="list_api_keys",
        tag="keys",
        summary="List the API keys",
        responses={200: DocumentedResponse("All keys, by name, without their secrets.", KeyPage)},
        api_keys=True,
    ),
    Route(
        method="POST",
        path="/keys",
        handler=api_keys.create_api_key,
        role=Role.ADMIN,
        operation_id="create_api_key",
        tag="keys",
        summary="Create an API key for a machine",
        request={JSON: NewKey},
        responses={201: DocumentedResponse("The new key with its secret, which is shown this once.", NewKeyView)},
        problems=(409,),
        api_keys=True,
        refuses_api_keys=True,
    ),
    Route(
        method="DELETE",
        path="/keys/{key_id}",
        handler=api_keys.revoke_api_key,
        role=Role.ADMIN,
        operation_id="revoke_api_key",
        tag="keys",
        summary="Delete an API key, which is refused from then on",
        responses={204: DocumentedResponse("The key is deleted.")},
        api_keys=True,
        refuses_api_keys=True,
    ),
    Route(
        method="GET",
        path="/audit",
        handler=list_audit_events,
        role=Role.ADMIN,
        operation_id="list_audit_events",
        tag="audit",
        summary="List who did what, newest first",
        query=AuditParameters,
        responses={200: DocumentedResponse("A page of events.", AuditPage)},
        problems=(503,),
    ),
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
        path="/categories",
        handler=list_categories,
        role=Role.USER,
        operation_id="list_categories",
        tag="predictions",
        summary="List the categories",
        responses={
            200: DocumentedResponse("All categories, in the order of the probability vectors.", list[CategoryView])
        },
    ),
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
    Route(
        method="POST",
        path="/feedback",
        handler=forward_feedback,
        role=Role.USER,
        operation_id="give_feedback",
        tag="feedback",
        summary="Correct the category of a prediction or of a product",
        request={JSON: FeedbackRequest},
        headers={"Idempotency-Key": IdempotencyKey},
        responses={
            201: DocumentedResponse("The correction is stored.", FeedbackReceipt),
            200: DocumentedResponse("The same request was stored before.", FeedbackReceipt),
        },
        problems=(404, 409, 503),
        body_limit=PHOTO_BODY_BYTES,
    ),
    Route(
        method="GET",
        path="/feedback",
        handler=forward_feedback,
        role=Role.USER,
        operation_id="list_feedback",
        tag="feedback",
        summary="List the own corrections, as a reviewer all of them",
        query=ListParameters,
        responses={200: DocumentedResponse("A page of corrections.", CorrectionPage)},
        problems=(404, 503),
    ),
    _review("approve", "Trust a correction", AuditAction.CORRECTION_APPROVED),
    _review("reject", "Reject a correction", AuditAction.CORRECTION_REJECTED),
    Route(
        method="POST",
        path="/retrain",
        handler=forward_feedback,
        role=Role.ADMIN,
        operation_id="start_retraining",
        tag="retraining",
        summary="Start a training run",
        responses={
            202: DocumentedResponse("The run is requested.", RunReceipt, headers={"Location": "Path of the run."})
        },
        problems=(409, 503),
        audit=AuditAction.RUN_REQUESTED,
    ),
    Route(
        method="GET",
        path="/retrain",
        handler=forward_feedback,
        role=Role.ADMIN,
        operation_id="list_runs",
        tag="retraining",
        summary="List the training runs",
        query=RunListParameters,
        responses={200: DocumentedResponse("A page of runs, newest first.", RunPage)},
        problems=(503,),
    ),
    Route(
        method="GET",
        path="/retrain/{run_id}",
        handler=forward_feedback,
        role=Role.ADMIN,
        operation_id="get_run",
        tag="retraining",
        summary="Describe a training run",
        responses={200: DocumentedResponse("The run.", RunView)},
        problems=(503,),
    ),
)


def routes_for(*, embedded_issuer: bool, api_keys: bool) -> list[Route]:
    """Return the routes of a deployment, without those of an embedded issuer or API keys it lacks."""
    return [
        route for route in ROUTES if (embedded_issuer or not route.embedded_issuer) and (api_keys or not route.api_keys)
    ]

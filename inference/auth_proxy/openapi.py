"""The OpenAPI document: what FastAPI knows, the hot routes it does not see, and every problem."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from inference.auth_proxy import schemas
from inference.auth_proxy.auth.roles import IDENTIFIER, MODELS, NAME, TABLE
from inference.auth_proxy.predictions.products import MAX_PRODUCTS
from inference.http.problems import MEDIA_TYPE

Document = dict[str, Any]
PROBLEM = {"$ref": "#/components/schemas/ProblemView"}
PRODUCT = {"$ref": "#/components/schemas/ProductBody"}
PREDICTION = {"$ref": "#/components/schemas/PredictionView"}
OBJECT = {"type": "object"}
MODEL = {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "enum": list(MODELS)}}
EXAMPLE_PREDICTION = {
    "prediction_id": "019ab0f2-7d1e-7c3a-9d55-0c8f6a4be111",
    "category": {"code": 2583, "label": "Piscine et spa"},
    "confidence": 0.93,
    "top": [{"code": 2583, "label": "Piscine et spa", "probability": 0.93}],
    "modalities": {"text": {"code": 2583, "label": "Piscine et spa", "probability": 0.9}, "image": None},
    "degraded": False,
    "release": "r-20260101T120000-1a2b3c4d",
}
WHAT_WENT_WRONG = {
    400: "The request has no single meaning",
    401: "No valid access token",
    403: "The role is not enough",
    404: "Nothing there",
    413: "The body is too long",
    415: "The body is of a kind not read here",
    422: "A value cannot be used; the detail names it",
    429: "Too many requests; see Retry-After",
    503: "A service behind the gateway does not answer",
}


def install(app: FastAPI, *, embedded_issuer: bool) -> None:
    """Make the application describe itself completely, once, on the first question."""

    def describe() -> Document:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app, embedded_issuer=embedded_issuer)
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]


def _describe(app: FastAPI, *, embedded_issuer: bool) -> Document:
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    for path, operations in _hot_paths().items():
        document["paths"].setdefault(path, {}).update(operations)
    components = document.setdefault("components", {})
    known = {name: schema for name, schema in components.get("schemas", {}).items() if "ValidationError" not in name}
    components["schemas"] = {**known, **_schemas()}
    components["securitySchemes"] = {"token": _security(embedded_issuer=embedded_issuer)}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
    return document


def _schemas() -> Document:
    models = (schemas.ProductBody, schemas.NewUser, schemas.UserChange, schemas.PredictionView, schemas.ProblemView)
    _, found = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    return dict(found["$defs"])


def _security(*, embedded_issuer: bool) -> Document:
    if embedded_issuer:
        return {"type": "oauth2", "flows": {"password": {"tokenUrl": "/token", "scopes": {}}}}
    return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


def _complete(path: str, method: str, operation: Document) -> None:
    """Add role, security and problems to an operation, from the table that decides them."""
    rule = next(r for r in TABLE if r.method == method.upper() and _same(r.template, path))
    responses = operation["responses"]
    responses.pop("422", None)
    wrong = {400, 422, 413, 415} if "requestBody" in operation else set()
    if rule.role is not None:
        operation["security"] = [{"token": []}]
        operation["x-role"] = rule.role.value
        wrong |= {401, 403, 429}
    if path == "/token":
        wrong |= {401, 429}
    if path.startswith(("/predict", "/v1", "/v2", "/feedback", "/retrain")):
        wrong |= {503}
    if "{" in path:
        wrong |= {404}
        operation["parameters"] = [_bounded(parameter) for parameter in operation["parameters"]]
    for status in sorted(wrong):
        responses.setdefault(str(status), _problem(WHAT_WENT_WRONG[status]))
    responses["default"] = _problem("Any other problem")


def _same(template: str, path: str) -> bool:
    return template == path.replace("{model}", MODELS[0])


def _bounded(parameter: Document) -> Document:
    patterns = {"name": f"^{NAME}$", "id": f"^{IDENTIFIER}$", "run_id": f"^{IDENTIFIER}$"}
    if pattern := patterns.get(parameter["name"]):
        return {**parameter, "schema": {"type": "string", "pattern": pattern}}
    return parameter


def _problem(description: str) -> Document:
    return {"description": description, "content": {MEDIA_TYPE: {"schema": PROBLEM}}}


def _hot_paths() -> Document:
    return {
        "/predict": {"post": _predict()},
        "/predict/batch": {"post": _predict_batch()},
        "/v1/models": {"get": _model("List the models", OBJECT)},
        "/v1/models/{model}": {"get": _model("Say whether a model is ready (V1)", OBJECT, MODEL)},
        "/v1/models/{model}:predict": {"post": _model("Ask a model (V1)", OBJECT, MODEL, body="application/json")},
        "/v2": {"get": _model("Describe the server (V2)", OBJECT)},
        "/v2/health/live": {"get": _model("Say that the server lives (V2)", OBJECT)},
        "/v2/health/ready": {"get": _model("Say whether every model is ready (V2)", OBJECT)},
        "/v2/models": {"get": _model("List the models (V2)", OBJECT)},
        "/v2/models/{model}": {"get": _model("Describe a model (V2)", OBJECT, MODEL)},
        "/v2/models/{model}/ready": {"get": _model("Say whether a model is ready (V2)", OBJECT, MODEL)},
        "/v2/models/{model}/infer": {"post": _model("Ask a model (V2)", OBJECT, MODEL, body="application/json")},
        "/feedback": {
            "post": _feedback("Correct a prediction", "201", _CORRECTION),
            "get": _feedback("List corrections"),
        },
        "/feedback/{id}/approve": {"post": _feedback("Let a correction count", parameters=("id",))},
        "/feedback/{id}/reject": {"post": _feedback("Let a correction not count", parameters=("id",))},
        "/retrain": {"post": _feedback("Start a training run", "202"), "get": _feedback("List training runs")},
        "/retrain/{run_id}": {"get": _feedback("Describe a training run", parameters=("run_id",))},
    }


def _predict() -> Document:
    form = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "designation": {"type": "string"},
            "description": {"type": "string"},
            "image": {"type": "string", "format": "binary"},
        },
    }
    content = {"application/json": {"schema": PRODUCT}, "multipart/form-data": {"schema": form}}
    answer = {"application/json": {"schema": PREDICTION, "example": EXAMPLE_PREDICTION}}
    return _operation("Classify one product", "predictions", content, {"200": _success("The answer", answer)})


def _predict_batch() -> Document:
    body = {"type": "array", "items": PRODUCT, "minItems": 1, "maxItems": MAX_PRODUCTS}
    rows = {"type": "array", "items": {"anyOf": [PREDICTION, PROBLEM]}}
    success = _success("An answer or a problem per product, in their order", {"application/json": {"schema": rows}})
    return _operation(
        "Classify up to 64 products", "predictions", {"application/json": {"schema": body}}, {"200": success}
    )


def _model(summary: str, answer: Document, *parameters: Document, body: str = "") -> Document:
    content = {body: {"schema": OBJECT}} if body else None
    refused = {"400": {"description": "The model refuses the request", "content": _either(answer)}} if body else {}
    found = {"200": _success("What the model says", _either(answer)), **refused}
    return _operation(summary, "models", content, found, list(parameters))


def _either(answer: Document) -> Document:
    kinds = ("application/json", "application/octet-stream", MEDIA_TYPE)
    return {kind: {"schema": answer if kind != kinds[1] else {"type": "string", "format": "binary"}} for kind in kinds}


def _feedback(
    summary: str, status: str = "200", body: Document | None = None, parameters: tuple[str, ...] = ()
) -> Document:
    content = {"application/json": {"schema": body}} if body else None
    success = {status: _success("Done", {"application/json": {"schema": {}}})}
    if summary == "Correct a prediction":
        success["200"] = _success("The same correction as before", {"application/json": {"schema": {}}})
    success["409"] = _problem("It contradicts what is there")
    path = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in parameters]
    return _operation(summary, "feedback", content, success, path)


_CORRECTION = {
    "type": "object",
    "required": ["code"],
    "additionalProperties": False,
    "properties": {
        "prediction_id": {"type": "string"},
        "product": PRODUCT,
        "code": {"type": "integer"},
        "comment": {"type": "string", "maxLength": 2000},
    },
    "example": {"prediction_id": EXAMPLE_PREDICTION["prediction_id"], "code": 2583},
}


def _operation(
    summary: str, tag: str, content: Document | None, responses: Document, parameters: list[Document] | None = None
) -> Document:
    operation: Document = {"summary": summary, "tags": [tag], "responses": responses}
    if content:
        operation["requestBody"] = {"required": True, "content": content}
    if parameters:
        operation["parameters"] = parameters
    return operation


def _success(description: str, content: Document) -> Document:
    return {"description": description, "content": content}

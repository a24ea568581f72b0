"""The OpenAPI document, derived from the route table."""

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import TypeAdapter

from inference.auth_proxy.media_types import JSON, MULTIPART
from inference.auth_proxy.routing import PATH_PARAMETERS, DocumentedResponse, Rate, Route
from inference.auth_proxy.schemas import ProblemView
from inference.http.problems import MEDIA_TYPE
from inference.run_events_api import EVENT_STREAM
from product_classifier.model_names import MODELS

Document = dict[str, Any]
OPENAPI_VERSION = "3.1.0"
REF = "#/components/schemas/{model}"
PROBLEMS = {
    400: "The request has no single meaning, or its body is malformed.",
    401: "The access token or the password is missing or not valid.",
    403: "The user does not have the required role.",
    404: "Nothing has this path or id.",
    408: "The body did not arrive in time.",
    409: "The request contradicts what is stored.",
    413: "The body exceeds its limit.",
    415: "The media type or the content encoding is not supported.",
    422: "A value is not valid; the detail names it.",
    429: "Too many requests; see Retry-After.",
    502: "A model returned an invalid response.",
    503: "A service is not available; see Retry-After.",
    504: "A model did not respond in time.",
}
FORM_ENCODING = {"image": {"contentType": "image/jpeg, image/png"}}


def describe(
    routes: Sequence[Route], *, title: str, version: str, embedded_issuer: bool, root_path: str = ""
) -> Document:
    """Return the OpenAPI document of these routes, which clients see under `root_path`."""
    schemas = _Schemas(routes)
    api_keys = _accept_api_keys(routes)
    paths: Document = {}
    for route in routes:
        if route.operation_id:
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas, api_keys=api_keys)
    return {
        "openapi": OPENAPI_VERSION,
        "info": {"title": title, "version": version},
        "servers": [{"url": root_path or "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "securitySchemes": _security_schemes(routes, root_path if embedded_issuer else None),
        },
    }


class _Schemas:
    """JSON schemas of all types in the table; models become definitions."""

    def __init__(self, routes: Sequence[Route]) -> None:
        types = list(_types(routes))
        self._keys = [(kind, mode) for kind, mode in types]
        found, definitions = TypeAdapter.json_schemas(
            [(index, mode, TypeAdapter(kind)) for index, (kind, mode) in enumerate(types)], ref_template=REF
        )
        self._found: dict[int, Document] = {index: schema for (index, _), schema in found.items()}
        self.definitions: Document = definitions.get("$defs", {})

    def of(self, kind: Any, mode: str = "validation") -> Document:
        """Return the schema of a type, a reference if it is a model."""
        schema: Document = self._found[next(i for i, key in enumerate(self._keys) if key == (kind, mode))]
        return schema


def _types(routes: Sequence[Route]) -> Iterator[tuple[Any, Any]]:
    yield ProblemView, "serialization"
    for route in routes:
        yield from ((kind, "validation") for kind in [*route.request.values(), *route.headers.values()])
        yield from ((response.body, "serialization") for response in route.responses.values() if response.body)
        if route.query:
            yield route.query, "validation"


def _operation(route: Route, schemas: _Schemas, *, api_keys: bool) -> Document:
    operation: Document = {"operationId": route.operation_id, "summary": route.summary, "tags": [route.tag]}
    if route.role:
        schemes = ["token", "api_key"] if api_keys and not route.refuses_api_keys else ["token"]
        operation |= {"security": [{scheme: []} for scheme in schemes], "x-role": route.role.value}
    if parameters := [*_path_parameters(route), *_query_parameters(route, schemas), *_headers(route, schemas)]:
        operation["parameters"] = parameters
    if route.request:
        operation["requestBody"] = {
            "required": route.request_required,
            "content": {
                media_type: _content(media_type, schemas.of(kind)) for media_type, kind in route.request.items()
            },
        }
    responses = {str(status): _response(response, schemas) for status, response in route.responses.items()}
    problem = {MEDIA_TYPE: {"schema": schemas.of(ProblemView, "serialization")}}
    for status in _problem_statuses(route):
        response = responses.setdefault(str(status), {"description": PROBLEMS[status]})
        response["content"] = {**response.get("content", {}), **problem}
    operation["responses"] = responses | {"default": {"description": "Any other problem.", "content": problem}}
    return operation


def _problem_statuses(route: Route) -> list[int]:
    statuses = set(route.problems)
    if route.role:
        statuses |= {401, 403, 503}  # 503: users or keys cannot be read
    if route.rate is not Rate.NONE:
        statuses |= {429}
    if route.request:
        statuses |= {400, 413, 415, 422}
    if route.query or route.headers:
        statuses |= {400, 422}
    if route.parameters:
        statuses |= {404}
    return sorted(statuses)


def _path_parameters(route: Route) -> Iterator[Document]:
    for name in route.parameters:
        schema: Document = {"type": "string", "pattern": f"^{PATH_PARAMETERS[name]}$"}
        if name == "model":
            schema = {"type": "string", "enum": list(MODELS)}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(route: Route, schemas: _Schemas) -> Iterator[Document]:
    if route.query is None:
        return
    name = schemas.of(route.query)["$ref"].rpartition("/")[2]
    for parameter, schema in schemas.definitions.pop(name)["properties"].items():
        yield {"name": parameter, "in": "query", "required": False, "schema": _not_null(schema)}


def _headers(route: Route, schemas: _Schemas) -> Iterator[Document]:
    for name, kind in route.headers.items():
        yield {"name": name, "in": "header", "required": False, "schema": schemas.of(kind)}


def _not_null(schema: Document) -> Document:
    """Return the schema of a query parameter: one that is absent has no null value."""
    (kind,) = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    rest = {name: value for name, value in schema.items() if name != "anyOf" and value is not None}
    return {**rest, **kind}


def _content(media_type: str, schema: Document) -> Document:
    return {"schema": schema, "encoding": FORM_ENCODING} if media_type == MULTIPART else {"schema": schema}


def _response(response: DocumentedResponse, schemas: _Schemas) -> Document:
    documented: Document = {"description": response.description}
    if response.body:
        schema = schemas.of(response.body, "serialization")
        binary = {"schema": {"type": "string", "format": "binary"}}
        events = {"schema": {"type": "string"}, "x-event-data": schema}
        described = {JSON: {"schema": schema}, EVENT_STREAM: events}
        content: Document = {kind: described.get(kind, binary) for kind in response.media_types}
        if response.example:
            content[response.media_types[0]]["example"] = response.example
        documented["content"] = content
    if response.headers:
        documented["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in response.headers.items()
        }
    return documented


def _security_schemes(routes: Sequence[Route], issuer_path: str | None) -> Document:
    """Return the ways to authenticate; `issuer_path` is where the embedded issuer is, None for an external one."""
    schemes: Document = {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    if issuer_path is not None:
        password = {"tokenUrl": f"{issuer_path}/token", "scopes": {}}
        schemes["token"] = {"type": "oauth2", "flows": {"password": password}}
    if _accept_api_keys(routes):
        schemes["api_key"] = {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key of a machine, as POST /keys returns it.",
        }
    return schemes


def _accept_api_keys(routes: Sequence[Route]) -> bool:
    return any(route.api_keys for route in routes)

"""Turn typed functions into handlers: read and validate the body, serialize the result."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, wraps
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from inference.auth_proxy.collaborators import GatewayDependencies
from inference.auth_proxy.context import context_of
from inference.auth_proxy.media_types import FORM, content_type, require_media_type
from inference.auth_proxy.request_body import read_request_body
from inference.auth_proxy.routing import Handler, Route
from inference.http.bodies import strict_form, strict_json
from inference.http.problems import Problem, public_message
from product_classifier.validation_messages import described

T = TypeVar("T")
Q = TypeVar("Q", bound=BaseModel)
JSON_HEADER = (b"content-type", b"application/json")


@dataclass(frozen=True, slots=True)
class HandlerResult(Generic[T]):
    """The body of a response, with its status where it is not the first that the route documents."""

    body: T
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def json_handler(function: Callable[..., Awaitable[HandlerResult[Any]]]) -> Handler:
    """Return a handler of `function(services, context[, query][, body])`, by the types of the route."""

    @wraps(function)
    async def handler(services: GatewayDependencies, scope: Scope, receive: Receive, send: Send) -> None:
        context = context_of(scope)
        route = context.matched
        arguments = [read_query(route.query, scope)] if route.query else []
        if route.request:
            arguments.append(await read_model(services, route, scope, receive))
        result = await function(services, context, *arguments)
        status = result.status or next(iter(route.responses))
        headers = [(name.lower().encode(), value.encode()) for name, value in result.headers.items()]
        await send_json(send, b"" if status == 204 else to_json(result.body), *headers, status=status)

    return handler


async def read_model(services: GatewayDependencies, route: Route, scope: Scope, receive: Receive) -> Any:
    """Read the body of a request as the type its route documents."""
    data = await read_request_body(services, scope, receive)
    ((accepted, model),) = route.request.items()
    sent = content_type(scope)
    if accepted == FORM:
        fields: Any = strict_form(data, sent, frozenset(model.model_fields))
    else:
        require_media_type(sent, accepted)
        fields = strict_json(data)
    try:
        return _adapter(model).validate_python(fields)
    except ValidationError as error:
        errors = [{"field": where or "body", "detail": what} for where, what in described(error)]
        detail = "; ".join(f"{one['field']}: {one['detail']}" for one in errors)
        if accepted == FORM:  # of an OAuth client, which reads `error` (RFC 6749, section 5.2)
            raise Problem(422, detail, error="invalid_request", errors=errors) from error
        raise Problem(422, detail, kind="invalid-body", errors=errors) from error


def read_query(model: type[Q], scope: Scope) -> Q:
    """Return the query parameters of a request as the type its route documents."""
    pairs = parse_qsl(scope["query_string"].decode("ascii"), keep_blank_values=True)
    names = [name for name, _ in pairs]
    if (repeated := next((name for name in names if names.count(name) > 1), None)) is not None:
        raise Problem(400, f"query: {public_message(repeated)} is given twice; give it once", kind="bad-query")
    try:
        return model.model_validate(dict(pairs))
    except ValidationError as error:
        errors = [{"field": where or "query", "detail": what} for where, what in described(error)]
        detail = "; ".join(f"{one['field']}: {one['detail']}" for one in errors)
        raise Problem(422, detail, kind="invalid-query", errors=errors) from error


async def send_json(send: Send, body: bytes, *headers: tuple[bytes, bytes], status: int = 200) -> None:
    """Respond with JSON that is serialized already."""
    all_headers = [*headers] if status == 204 else [JSON_HEADER, (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": all_headers})
    await send({"type": "http.response.body", "body": body})


@cache
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)

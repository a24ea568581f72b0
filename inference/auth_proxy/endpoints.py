"""The hot routes, as raw ASGI: predictions, the models' own protocols, and what the feedback service answers."""

from collections.abc import Mapping
from typing import Protocol

import orjson
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from inference.auth_proxy.auth.guard import Visit
from inference.auth_proxy.auth.roles import MODELS
from inference.auth_proxy.predictions.backends import Backends
from inference.auth_proxy.predictions.predict import Predictor
from inference.auth_proxy.predictions.products import read_batch, read_product
from inference.auth_proxy.rate_limits import RateLimits
from inference.http.bodies import read_body
from inference.http.disconnects import cancel_on_disconnect
from inference.http.problems import MEDIA_TYPE, Problem
from inference.oip.client import HEADER_LENGTH
from product_classifier.errors import ModelUnavailable

FEEDBACK = "feedback-service"
RECORD_HEADER = b"prediction-record"
JSON_TYPE = (b"content-type", b"application/json")
TO_MODELS = {b"content-type": "Content-Type", b"accept": "Accept", HEADER_LENGTH.lower().encode(): HEADER_LENGTH}
TO_FEEDBACK = {b"content-type": "Content-Type", b"accept": "Accept", b"idempotency-key": "Idempotency-Key"}
"""Request headers that travel on; every other one stops here, forged identities among them."""


class Endpoint(Protocol):
    """An ASGI application behind the guard."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""


class BodyReader:
    """Reads bodies within the limits of this deployment."""

    def __init__(self, limit: int, timeout_s: float) -> None:
        self._limit = limit
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive) -> bytes:
        return await read_body(scope, receive, self._limit, self._timeout_s)


class Predict:
    """`POST /predict`."""

    def __init__(self, predictor: Predictor, read: BodyReader) -> None:
        self._predictor = predictor
        self._read = read

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit: Visit = scope["visit"]
        self._predictor.refuse_when_full()  # before the work of reading; the place is taken after it
        product = await read_product(await self._read(scope, receive), content_type(scope))
        with cancel_on_disconnect(scope):
            answer, kept = await self._predictor.one(product, visit.person.name, visit.request_id)
        await send_json(send, answer, (RECORD_HEADER, kept.encode()))


class PredictBatch:
    """`POST /predict/batch`."""

    def __init__(self, predictor: Predictor, limits: RateLimits, read: BodyReader) -> None:
        self._predictor = predictor
        self._limits = limits
        self._read = read

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit: Visit = scope["visit"]
        self._predictor.refuse_when_full()
        rows = await read_batch(await self._read(scope, receive), content_type(scope))
        if len(rows) > 1:
            self._limits.spend(visit.person.name, len(rows) - 1)  # the door counted one
        with cancel_on_disconnect(scope):
            answers, kept = await self._predictor.batch(rows, visit.person.name, visit.request_id)
        await send_json(send, answers, (RECORD_HEADER, kept.encode()))


class Models:
    """`/v1/models/**` and `/v2/**`: the three models as they are, and what a server of models says of itself."""

    def __init__(self, backends: Backends, predictor: Predictor, read: BodyReader, version: str) -> None:
        self._backends = backends
        self._predictor = predictor
        self._read = read
        self._about = {"name": "product-classifier", "version": version, "extensions": ["binary_tensor_data"]}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        match path:
            case "/v2":
                await send_json(send, self._about)
            case "/v2/health/live":
                await send_json(send, {"live": True})
            case "/v2/health/ready":
                await self._ready(send)
            case "/v1/models" | "/v2/models":
                await send_json(send, {"models": list(MODELS)})
            case _:
                self._predictor.refuse_when_full()
                body = await self._read(scope, receive)
                with self._predictor.slot(), cancel_on_disconnect(scope):
                    await self._pass_on(scope, body, send, path.split("/")[3].split(":", maxsplit=1)[0])

    async def _ready(self, send: Send) -> None:
        missing = [model for model in MODELS if not await self._backends.ready(model)]
        if missing:
            raise Problem(503, f"not ready: {', '.join(missing)}", kind="model-unavailable")
        await send_json(send, {"ready": True})

    async def _pass_on(self, scope: Scope, body: bytes, send: Send, model: str) -> None:
        headers = _identified(scope, TO_MODELS)
        async with self._backends.forward(model, scope["method"], scope["path"], headers, body) as reply:
            if reply.status >= 500 or 300 <= reply.status < 400:
                status = reply.status if reply.status in {503, 504} else 502
                raise Problem(status, f"{model} could not answer ({reply.status})", kind="model-unavailable")
            await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
            async for chunk in reply.chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


class Feedback:
    """`/feedback` and `/retrain`: the feedback service answers, told by us who is asking."""

    def __init__(self, backends: Backends, secret: SecretStr | None, read: BodyReader) -> None:
        self._backends = backends
        self._secret = secret.get_secret_value() if secret else ""
        self._read = read

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._backends.has(FEEDBACK):
            raise Problem(503, "the feedback service is not configured here", kind="not-configured")
        body = await self._read(scope, receive)
        headers = {**_identified(scope, TO_FEEDBACK), "X-Internal-Token": self._secret}
        query = scope["query_string"].decode("ascii")
        target = f"{scope['path']}?{query}" if query else scope["path"]
        async with self._backends.forward(FEEDBACK, scope["method"], target, headers, body) as reply:
            data = b"".join([chunk async for chunk in reply.chunks])
            kind = dict(reply.headers).get(b"content-type", b"").decode("latin-1")
            if reply.status >= 500 and not (reply.status == 503 and kind.startswith(MEDIA_TYPE)):
                raise ModelUnavailable(f"the feedback service could not answer ({reply.status})")
            await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
            await send({"type": "http.response.body", "body": data})


async def send_json(send: Send, document: object, *headers: tuple[bytes, bytes], status: int = 200) -> None:
    """Answer with JSON."""
    body = orjson.dumps(document)
    about = [JSON_TYPE, (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": about})
    await send({"type": "http.response.body", "body": body})


def content_type(scope: Scope) -> str:
    """Return the media type of the body with its parameters."""
    found = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    return str(found.decode("latin-1"))


def _identified(scope: Scope, passed: Mapping[bytes, str]) -> dict[str, str]:
    visit: Visit = scope["visit"]
    headers = {passed[name]: value.decode("latin-1") for name, value in scope["headers"] if name in passed}
    person = visit.person
    return {
        **headers,
        "X-Request-Id": visit.request_id,
        "X-Auth-User": person.name,
        "X-Auth-Role": person.role.value if person.role else "",
    }

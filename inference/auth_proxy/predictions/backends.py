"""HTTP clients of the services behind the gateway.

Their addresses come from the settings, never from a request.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from yarl import URL

from inference.auth_proxy.predictions.fusion_codec import (
    Inference,
    encode_explain_request,
    encode_products,
    explained_inference,
    inference_of,
)
from inference.auth_proxy.predictions.product_reader import RequestProduct
from inference.http.http_client import CONNECT_TIMEOUT_S, MAX_RESPONSE_BYTES, HttpClient, HttpResponse, TransportError
from inference.http.problems import public_message
from inference.http.request_user import USER_HEADER, request_user
from inference.oip.client import (
    HEADER_LENGTH,
    InvalidResponse,
    decode_error,
    decode_response,
)
from product_classifier.errors import InvalidInput, ModelUnavailable
from product_classifier.model_names import FUSION
from product_classifier.observability import get_logger, traceparent
from product_classifier.tracing import span

FEEDBACK = "feedback-service"
PROBE_TIMEOUT_S = 1.0
CONNECTIONS = 256
RETRY_S = 2.0
"""How long a product is sent again when the fusion stops responding: its pods are replaced, or were killed."""
RETRY_PAUSES_S = (0.05, 0.2)
"""Pauses before a forwarded request is sent again: each new connection to a Service may reach another pod."""
KEEP_ALIVE_S = 4.0
"""Less than the 5 s after which uvicorn closes an idle connection: a request is rarely sent on one it closes."""
RETURNED = ("Content-Type", HEADER_LENGTH, "Location", "Retry-After", "ETag")
"""Response headers a client receives; all others are dropped."""


class RowRejected(InvalidInput):
    """The models rejected one product of a request."""

    def __init__(self, reason: str, row: int | None, tensor: str | None) -> None:
        super().__init__(reason)
        self.row = row
        self.tensor = tensor


@dataclass(frozen=True)
class ForwardedResponse:
    """Status, headers for the client, and the body as it arrives."""

    status: int
    headers: list[tuple[bytes, bytes]]
    chunks: AsyncIterator[bytes]


class Backends:
    """A pool of connections to every service, by name."""

    def __init__(self, urls: Mapping[str, str], timeout_s: float) -> None:
        self._urls = dict(urls)
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._fusion: HttpClient | None = None

    def has(self, service: str) -> bool:
        """Return whether this service is configured."""
        return service in self._urls

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None
        if self._fusion is not None:
            self._fusion.close()

    @asynccontextmanager
    async def forward(
        self,
        service: str,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | AsyncIterable[bytes],
        timeout_s: float | None = None,
    ) -> AsyncIterator[ForwardedResponse]:
        """Send a request to a service; the body of the response is streamed.

        Args:
            service: Name of the service.
            method: Method of the request.
            target: Path and query.
            headers: Headers of the request.
            body: The body, whole or in parts; in parts it is sent once only.
            timeout_s: Seconds until the last byte of the response; None for those of the settings.

        Raises:
            ModelUnavailable: If the service does not respond in time.
        """
        async with self._request(service, method, target, headers, body, timeout_s) as response:
            yield ForwardedResponse(response.status, _returned_headers(response), response.content.iter_any())

    async def infer(self, products: Sequence[RequestProduct], request_id: str) -> Inference:
        """Send products to the fusion.

        Raises:
            RowRejected: If the models reject one of them.
            ModelUnavailable: If no prediction can be made in time.
        """
        body, headers = encode_products(products)
        reply = await self._post_to_fusion(f"/v2/models/{FUSION}/infer", headers, body, request_id)
        try:
            response = decode_response(reply.body, reply.header(HEADER_LENGTH))
        except InvalidResponse as error:
            raise ModelUnavailable(f"{FUSION}: {error}") from error
        return inference_of(response, len(products))

    async def explain(self, product: RequestProduct, request_id: str) -> Inference:
        """Send one product to the fusion, and return its prediction with the explanation.

        Raises:
            RowRejected: If the models reject it.
            ModelUnavailable: If no explanation can be made in time.
        """
        body, headers = encode_explain_request(product)
        reply = await self._post_to_fusion(f"/v1/models/{FUSION}:explain", headers, body, request_id)
        return explained_inference(reply.body)

    async def _post_to_fusion(self, path: str, headers: dict[str, str], body: bytes, request_id: str) -> HttpResponse:
        headers["X-Request-Id"] = request_id
        headers[USER_HEADER] = request_user.get()
        if self._fusion is None:
            self._fusion = HttpClient(self._urls[FUSION], CONNECTIONS, KEEP_ALIVE_S, RETRY_S)
        try:
            with span(f"POST {FUSION}", "client") as opened:
                if trace := traceparent.get():
                    headers["traceparent"] = trace
                async with asyncio.timeout(self._timeout_s):
                    reply = await self._fusion.request("POST", path, headers, body)
                opened.set_status(reply.status)
        except TimeoutError as error:
            raise ModelUnavailable(f"{FUSION} did not respond within {self._timeout_s:g} s") from error
        except TransportError as error:
            raise ModelUnavailable(f"{FUSION} is not reachable ({error})") from error
        if reply.status != 200:
            raise _failure(reply.status, reply.body)
        return reply

    async def current_taxonomy(self) -> str:
        """Return the digest of the taxonomy of the fusion's release; "" from a fusion that names none."""
        properties = decode_error(await self._get(f"/v2/models/{FUSION}")).get("properties")
        return str(properties.get("taxonomy", "")) if isinstance(properties, dict) else ""

    async def taxonomy(self, digest: str) -> bytes:
        """Return the document of a taxonomy of a release in the fusion's memory."""
        return await self._get(f"/v2/models/{FUSION}/taxonomies/{digest}")

    async def _get(self, target: str) -> bytes:
        async with self._request(FUSION, "GET", target, {}, b"") as response:
            data = await _read(response)
            if response.status != 200:
                raise _failure(response.status, data)
            return data

    async def ready(self, service: str) -> bool:
        """Return whether a model is ready."""
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                async with self._request(service, "GET", f"/v2/models/{service}/ready", {}, b"") as response:
                    data = await _read(response)
                    return response.status == 200 and decode_error(data).get("ready", True) is True
        except (ModelUnavailable, TimeoutError):
            return False

    @asynccontextmanager
    async def _request(
        self,
        service: str,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | AsyncIterable[bytes],
        timeout_s: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = URL(self._urls[service] + target, encoded=True)
        timeout_s = timeout_s or self._timeout_s
        try:
            with span(f"{method} {service}", "client") as opened:
                if trace := traceparent.get():
                    headers = {**headers, "traceparent": trace}
                async with await self._send(method, url, headers, body, timeout_s) as response:
                    opened.set_status(response.status)
                    yield response
        except TimeoutError as error:
            raise ModelUnavailable(f"{service} did not respond within {timeout_s:g} s") from error
        except aiohttp.ClientError as error:
            raise ModelUnavailable(f"{service} is not reachable ({type(error).__name__})") from error

    async def _send(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: bytes | AsyncIterable[bytes],
        timeout_s: float,
    ) -> aiohttp.ClientResponse:
        """Send a request, again if no connection was made or, if it is idempotent, if it was closed without a response.

        A correction, of which a part was sent, is never sent again: its client decides, with its idempotency key.
        """
        session = self._open()
        idempotent = method == "GET" or url.path.startswith(("/v1/", "/v2/"))
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        for pause_s in (*RETRY_PAUSES_S, None) if isinstance(body, bytes) else (None,):
            try:
                return await session.request(
                    method, url, headers=headers, data=body or None, allow_redirects=False, timeout=timeout
                )
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
                if pause_s is None:
                    raise
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                if pause_s is None or not idempotent:
                    raise
            await asyncio.sleep(pause_s)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEEP_ALIVE_S, ttl_dns_cache=10),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s, sock_connect=CONNECT_TIMEOUT_S),
                auto_decompress=False,
                skip_auto_headers=("Accept-Encoding", "User-Agent", "Content-Type"),
                trust_env=False,
            )
        return self._session


def _failure(status: int, data: bytes) -> Exception:
    document = decode_error(data)
    if status in {400, 422}:
        row, tensor = document.get("row"), document.get("input")
        reason = str(document.get("reason") or document.get("error") or "the models rejected this product")
        return RowRejected(reason, row if isinstance(row, int) else None, tensor if isinstance(tensor, str) else None)
    get_logger().warning(
        "inference_failed", model=FUSION, status=status, reason=public_message(str(document.get("error", "")))
    )
    return ModelUnavailable(f"{FUSION} failed with status {status}")


async def _read(response: aiohttp.ClientResponse) -> bytes:
    if (response.content_length or 0) > MAX_RESPONSE_BYTES:
        raise ModelUnavailable(f"a response of {response.content_length} bytes exceeds {MAX_RESPONSE_BYTES}")
    return await response.read()


def _returned_headers(response: aiohttp.ClientResponse) -> list[tuple[bytes, bytes]]:
    headers = [
        (name.lower().encode(), response.headers[name].encode()) for name in RETURNED if name in response.headers
    ]
    if response.content_length is not None:
        headers.append((b"content-length", b"%d" % response.content_length))
    return headers

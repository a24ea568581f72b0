"""Open routes: the console, the documentation, and whether we are well."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files

from fastapi import APIRouter, Response

from inference.auth_proxy.auth.roles import MODELS
from inference.auth_proxy.predictions.backends import FUSION, Backends
from inference.auth_proxy.schemas import CategoryView, Health, HealthView
from inference.durability.deadline import DeadlineWriter
from product_classifier.taxonomy import CATEGORIES

READY_FOR_S = 1.0
"""How long one look at the backends is good for: the route is open to everybody."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self';"
    " form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
PAGES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/docs": ("docs.html", "text/html; charset=utf-8"),
    "/console/app.js": ("app.js", "text/javascript; charset=utf-8"),
    "/console/docs.js": ("docs.js", "text/javascript; charset=utf-8"),
    "/console/style.css": ("style.css", "text/css; charset=utf-8"),
}


class Readiness:
    """What the gateway needs, looked at no more than once a second.

    A model that was never seen ready is taken to be starting for the first `start_s` seconds of this process. Later it
    counts as lost: a gateway that is restarted while one model is broken must answer with the other.
    """

    def __init__(
        self,
        backends: Backends,
        record_writer: DeadlineWriter,
        start_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backends = backends
        self._record_writer = record_writer
        self._clock = clock
        self._patient_until = clock() + start_s
        self._seen: set[str] = set()
        self._looked = float("-inf")
        self._view = HealthView(status="starting")
        self._lock = asyncio.Lock()

    async def look(self) -> HealthView:
        """Return what answers; fusion and one model are enough to answer, less well."""
        async with self._lock:
            if self._clock() - self._looked > READY_FOR_S:
                self._view = await self._ask()
                self._looked = self._clock()
        return self._view

    async def _ask(self) -> HealthView:
        answers = await asyncio.gather(
            *(self._backends.ready(model) for model in MODELS), self._record_writer.store_responds()
        )
        checks = dict(zip((*MODELS, "store"), answers, strict=True))
        return HealthView(status=self._judge(checks), checks=checks)

    def _judge(self, checks: Mapping[str, bool]) -> Health:
        self._seen.update(model for model in MODELS if checks[model])
        if len(self._seen) < len(MODELS) and self._clock() < self._patient_until:
            return "starting"
        if not checks[FUSION] or not (checks["text-predictor"] or checks["image-predictor"]):
            return "unavailable"
        return "ready" if all(checks.values()) else "degraded"


def make_router(readiness: Readiness) -> APIRouter:
    """Return the routes."""
    router = APIRouter()
    folder = files("inference.auth_proxy") / "console"
    for path, (name, media_type) in PAGES.items():
        router.add_api_route(path, _page((folder / name).read_bytes(), media_type), include_in_schema=False)

    @router.get("/healthz", tags=["health"])
    async def healthz() -> HealthView:
        """Say that the gateway runs."""
        return HealthView(status="ok")

    @router.get("/readyz", tags=["health"], responses={503: {"model": HealthView}})
    async def readyz(response: Response) -> HealthView:
        """Say whether predictions can be answered: 200 also when degraded, 503 while models start or none can."""
        view = await readiness.look()
        response.status_code = 200 if view.status in {"ready", "degraded"} else 503
        return view

    @router.get("/categories", tags=["predictions"])
    async def categories() -> list[CategoryView]:
        """List the 27 categories."""
        return [CategoryView(code=c.code, label_fr=c.label_fr, label_en=c.label_en) for c in CATEGORIES]

    return router


def _page(content: bytes, media_type: str) -> Callable[[], Awaitable[Response]]:
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}

    async def page() -> Response:
        return Response(content, media_type=media_type, headers=headers)

    return page

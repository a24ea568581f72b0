"""Routes of releases, quality, suspects and drift."""

from collections.abc import Callable
from typing import Annotated

from fastapi import FastAPI, Query, Response

from inference.feedback_service.bounded_threads import BoundedThreads
from inference.feedback_service.callers import Admin, Reviewer
from inference.feedback_service.notifier import TriggerNotifier
from inference.feedback_service.quality import Quality
from inference.feedback_service.release_listing import Releases
from inference.operations_api import (
    CanaryRequest,
    DriftPage,
    DriftParameters,
    QualityParameters,
    QualityView,
    ReleaseActionReceipt,
    ReleaseActionView,
    ReleaseDetailView,
    ReleaseListParameters,
    ReleasePage,
    SuspectPage,
    SuspectParameters,
)

READ_THREADS = 2
"""Reports made concurrently; they leave the threads of lists free."""
MAX_WAITING = 64


def add_release_routes(app: FastAPI, releases: Releases, notifier: TriggerNotifier) -> None:
    """Add the routes of `/releases`; an action notifies the trigger, which carries it out."""
    threads = BoundedThreads(READ_THREADS, MAX_WAITING)

    async def act(request: Callable[[], ReleaseActionReceipt]) -> Response:
        receipts: list[ReleaseActionReceipt] = []

        def build() -> str:
            receipts.append(request())
            notifier.notify()
            return receipts[0].model_dump_json()

        response = await threads.run(build, status=202)
        response.headers["Location"] = receipts[0].status_url
        return response

    @app.get("/releases", response_model=ReleasePage)
    async def list_releases(_: Reviewer, parameters: Annotated[ReleaseListParameters, Query()]) -> Response:
        return await threads.run(lambda: releases.page(parameters).model_dump_json())

    @app.post("/releases/rollback", status_code=202, response_model=ReleaseActionReceipt)
    async def roll_back(caller: Admin) -> Response:
        return await act(lambda: releases.roll_back(caller.name))

    @app.get("/releases/actions/{action_id}", response_model=ReleaseActionView)
    async def show_action(action_id: str, _: Reviewer) -> Response:
        return await threads.run(lambda: releases.action(action_id).model_dump_json())

    @app.get("/releases/{release}", response_model=ReleaseDetailView)
    async def show_release(release: str, _: Reviewer) -> Response:
        return await threads.run(lambda: releases.detail(release).model_dump_json())

    @app.post("/releases/{release}/promote", status_code=202, response_model=ReleaseActionReceipt)
    async def promote(release: str, caller: Admin) -> Response:
        return await act(lambda: releases.promote(release, caller.name))

    @app.post("/releases/{release}/canary", status_code=202, response_model=ReleaseActionReceipt)
    async def canary(release: str, body: CanaryRequest, caller: Admin) -> Response:
        return await act(lambda: releases.canary(release, body, caller.name))


def add_quality_routes(app: FastAPI, quality: Quality) -> None:
    """Add the routes of `/quality`, `/suspects` and `/drift`."""
    threads = BoundedThreads(READ_THREADS, MAX_WAITING)

    @app.get("/quality", response_model=QualityView)
    async def show_quality(_: Reviewer, parameters: Annotated[QualityParameters, Query()]) -> Response:
        return await threads.run(lambda: quality.view(parameters).model_dump_json())

    @app.get("/suspects", response_model=SuspectPage)
    async def list_suspects(_: Reviewer, parameters: Annotated[SuspectParameters, Query()]) -> Response:
        return await threads.run(lambda: quality.suspects(parameters).model_dump_json())

    @app.get("/drift", response_model=DriftPage)
    async def list_drift(_: Reviewer, parameters: Annotated[DriftParameters, Query()]) -> Response:
        return await threads.run(lambda: quality.drift(parameters).model_dump_json())

"""Routes of training runs."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import FastAPI, Query, Response

from inference.feedback_api import RetrainProgress, RunListParameters, RunPage, RunReceipt
from inference.feedback_service.bounded_threads import BoundedThreads
from inference.feedback_service.callers import Admin
from inference.feedback_service.index_refresher import IndexRefresher
from inference.feedback_service.notifier import TriggerNotifier
from inference.http.problems import Problem, public_message
from inference.http.public_paths import public_path
from product_classifier.errors import IndexUnavailable
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.retraining import LabelProgress, RunStore, RunView, find_run, list_runs, start_requested_run

RUN_WAIT_S = 5.0
"""Longest time that a request about runs waits for corrections that were just stored."""


class Runs:
    """Runs of the training pipeline, and the corrections that the next one would use."""

    def __init__(self, run_store: RunStore, index: FeedbackIndex, refresher: IndexRefresher, needed: int) -> None:
        self._run_store = run_store
        self._index = index
        self._refresher = refresher
        self._progress = LabelProgress(index, run_store)
        self._needed = needed

    def page(self, parameters: RunListParameters) -> RunPage:
        """Return a page of runs and the progress toward the next one."""
        self._refresher.refresh(RUN_WAIT_S)
        self._progress.update()
        progress = RetrainProgress(corrections=self._progress.count(), needed=self._needed)
        found = list_runs(self._run_store, parameters.limit + 1, parameters.cursor)
        items, more = found[: parameters.limit], found[parameters.limit :]
        return RunPage(items=items, next_cursor=items[-1].run_id if more else None, runs=items, progress=progress)

    def find(self, run_id: str) -> RunView:
        """Return a run; raise a 404 problem if there is none."""
        found = find_run(self._run_store, run_id)
        if found is None:
            raise Problem(404, f"run_id: no run has the id {public_message(run_id)}", kind="unknown-run")
        return found

    def start(self, user: str, now: datetime) -> RunReceipt:
        """Claim a run with all trusted corrections.

        Raises:
            RetrainActive: If a run is active.
            IndexUnavailable: If not all corrections are indexed.
        """
        self._refresher.refresh(RUN_WAIT_S)
        if not self._index.is_complete:
            count = self._index.unread_count()
            raise IndexUnavailable(f"the index of corrections is being built, {count} are left; send the request later")
        self._progress.update()
        claim = start_requested_run(self._run_store, self._progress, user, now)
        return RunReceipt(run_id=claim.run_id, status_url=public_path(f"/retrain/{claim.run_id}"))


def add_run_request(
    app: FastAPI, runs: Runs, notifier: TriggerNotifier, now: Callable[[], datetime], lists: BoundedThreads
) -> None:
    @app.post("/retrain", status_code=202, response_model=RunReceipt)
    async def start_run(caller: Admin) -> Response:
        receipts: list[RunReceipt] = []

        def start() -> str:
            receipts.append(runs.start(caller.name, now()))
            notifier.notify()
            return receipts[0].model_dump_json()

        response = await lists.run(start, status=202)
        response.headers["Location"] = receipts[0].status_url
        return response


def add_runs(app: FastAPI, runs: Runs, lists: BoundedThreads) -> None:
    @app.get("/retrain", response_model=RunPage)
    async def show_runs(_: Admin, parameters: Annotated[RunListParameters, Query()]) -> Response:
        return await lists.run(lambda: runs.page(parameters).model_dump_json())

    @app.get("/retrain/{run_id}", response_model=RunView)
    async def show_run(run_id: str, _: Admin) -> Response:
        return await lists.run(lambda: runs.find(run_id).model_dump_json())

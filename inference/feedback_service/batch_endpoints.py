"""Routes of batches; an upload is streamed to disk, so memory does not grow with its size."""

import asyncio
import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated

from anyio import to_thread
from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import StreamingResponse

from inference.batch_api import (
    CSV,
    RESULT_FILE,
    ZIP,
    BatchListParameters,
    BatchPage,
    BatchParameters,
    BatchView,
)
from inference.feedback_service.batch_uploads import Batches
from inference.feedback_service.bounded_threads import BoundedThreads
from inference.feedback_service.callers import User
from inference.feedback_service.notifier import TriggerNotifier
from inference.http.problems import BodyIncomplete, BodyTimeout, BodyTooLarge, Problem, public_message
from product_classifier.batches.uploaded_files import Kind

CHECK_THREADS = 2
"""Uploads that are checked, or lists that are made, concurrently."""
MAX_WAITING = 16
CHUNK_TIMEOUT_S = 30.0
"""Seconds in which the next bytes of an upload must arrive."""
KINDS: dict[str, Kind] = {CSV: "csv", ZIP: "zip", "application/x-zip-compressed": "zip"}


def add_batches(app: FastAPI, batches: Batches, notifier: TriggerNotifier, folder: Path, upload_limit: int) -> None:
    """Add the routes of `/batches`; uploads are on disk in `folder` while they are checked."""
    threads = BoundedThreads(CHECK_THREADS, MAX_WAITING)

    @app.post("/batches", status_code=202, response_model=BatchView)
    async def upload(request: Request, caller: User, parameters: Annotated[BatchParameters, Query()]) -> Response:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        kind = KINDS.get(media_type)
        if kind is None:
            raise Problem(415, f"content-type: {public_message(media_type)} is not supported; send {CSV} or {ZIP}")
        await to_thread.run_sync(batches.check_none_active, caller.name)
        await to_thread.run_sync(partial(folder.mkdir, parents=True, exist_ok=True))
        with tempfile.TemporaryDirectory(dir=folder, prefix="upload-") as name:
            path = Path(name, "file")
            await _receive(request, path, upload_limit)
            views: list[BatchView] = []

            def check() -> str:
                views.append(batches.submit(caller.name, path, kind, parameters))
                notifier.notify()
                return views[0].model_dump_json()

            response = await threads.run(check, status=202)
        response.headers["Location"] = f"{request.headers.get('x-forwarded-prefix', '')}/batches/{views[0].batch_id}"
        return response

    @app.get("/batches", response_model=BatchPage)
    async def list_batches(caller: User, parameters: Annotated[BatchListParameters, Query()]) -> Response:
        return await threads.run(lambda: batches.page(caller.name, parameters).model_dump_json())

    @app.get("/batches/{batch_id}", response_model=BatchView)
    async def show_batch(batch_id: str, caller: User) -> Response:
        return await threads.run(lambda: batches.view(caller.name, batch_id).model_dump_json())

    @app.get("/batches/{batch_id}/result")
    async def download(batch_id: str, caller: User) -> Response:
        parts = await to_thread.run_sync(batches.result, caller.name, batch_id)
        headers = {"Content-Disposition": f'attachment; filename="{RESULT_FILE}"'}
        return StreamingResponse(parts, media_type=f"{CSV}; charset=utf-8", headers=headers)


async def _receive(request: Request, path: Path, limit: int) -> None:
    """Write the body of a request to a file.

    Raises:
        BodyTooLarge: If it has more than `limit` bytes.
        BodyTimeout: If no bytes arrive for `CHUNK_TIMEOUT_S`.
        BodyIncomplete: If the connection ends before it.
    """
    size, complete = 0, False
    with path.open("wb") as file:
        while not complete:
            try:
                async with asyncio.timeout(CHUNK_TIMEOUT_S):
                    message = await request.receive()
            except TimeoutError as error:
                raise BodyTimeout(f"no bytes of the file arrived for {CHUNK_TIMEOUT_S:g} s") from error
            if message["type"] == "http.disconnect":
                raise BodyIncomplete("the connection was closed before the file was complete")
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > limit:
                raise BodyTooLarge(limit)
            file.write(chunk)
            complete = not message.get("more_body", False)

"""Routes that export and import corrections."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from anyio import open_file
from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import StreamingResponse

from inference.feedback_service.bounded_threads import BoundedThreads
from inference.feedback_service.callers import Reviewer
from inference.feedback_service.label_transfer import LabelExport, LabelImport
from inference.feedback_service.middleware import IMPORT_PATH
from inference.label_file_api import ExportParameters, ImportParameters, ImportReport
from product_classifier.feedback.label_files import write_rows
from product_classifier.feedback.label_formats import MEDIA_TYPES, SUFFIXES

IMPORTS = 1
"""Files that are imported at the same time; the threads of submissions stay free."""
MAX_WAITING = 8


def add_label_files(
    app: FastAPI, exports: LabelExport, imports: LabelImport, folder: Path | None, notify: Callable[[], None]
) -> None:
    """Add the routes; uploads wait in files in a folder, None for that of the system."""
    threads = BoundedThreads(IMPORTS, MAX_WAITING)

    @app.get("/feedback/export")
    def export(_: Reviewer, parameters: Annotated[ExportParameters, Query()]) -> StreamingResponse:
        parts = write_rows(exports.rows(parameters), parameters.format)
        return StreamingResponse(parts, media_type=MEDIA_TYPES[parameters.format])

    @app.post(IMPORT_PATH, response_model=ImportReport)
    async def import_labels(
        request: Request, caller: Reviewer, parameters: Annotated[ImportParameters, Query()]
    ) -> Response:
        with tempfile.TemporaryDirectory(prefix="import-", dir=folder) as created:
            path = Path(created) / f"file.{SUFFIXES[parameters.format]}"
            async with await open_file(path, "wb") as file:
                async for chunk in request.stream():
                    await file.write(chunk)
            report = await threads.call(lambda: imports.run(caller, path, parameters.format))
        notify()
        return Response(report.model_dump_json(), media_type="application/json")

"""Routes of batches: files that are classified in the background."""

from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.feedback.forwarding import forward_feedback
from inference.auth_proxy.feedback.streaming import forward_download, forward_upload
from inference.auth_proxy.routing import DocumentedResponse, Route
from inference.auth_proxy.schemas import UploadedFile
from inference.batch_api import CSV, ZIP, BatchListParameters, BatchPage, BatchParameters, BatchView
from product_classifier.limits import GIB

BATCH = "019ab0f2-7d1e-7c3a-9d55-0c8f6a4be111"
EXAMPLE_BATCH = {
    "batch_id": BATCH,
    "file_name": "spring.csv",
    "state": "succeeded",
    "created": "2027-01-31T12:00:00Z",
    "finished": "2027-01-31T12:02:10Z",
    "reason": "",
    "rows": 100_000,
    "classified": 99_998,
    "accepted": 61_204,
    "rejected": 2,
    "problems": [{"line": 17, "field": "designation", "value": "", "reason": "neither text nor photo"}],
    "release": "r-20270131T120000-1a2b3c4d",
    "result_url": f"/batches/{BATCH}/result",
}

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/batches",
        handler=forward_upload,
        role=Role.USER,
        operation_id="upload_batch",
        tag="batches",
        summary="Upload a CSV, or a ZIP with a CSV and photos, to classify in the background; one at a time per user",
        request={CSV: UploadedFile, ZIP: UploadedFile},
        query=BatchParameters,
        responses={
            202: DocumentedResponse(
                "The file is checked and waits.",
                BatchView,
                headers={"Location": "Path of the batch."},
                example=EXAMPLE_BATCH,
            )
        },
        problems=(408, 409, 503),
        body_limit=GIB,
        is_upload=True,
    ),
    Route(
        method="GET",
        path="/batches",
        handler=forward_feedback,
        role=Role.USER,
        operation_id="list_batches",
        tag="batches",
        summary="List the own batches, newest first",
        query=BatchListParameters,
        responses={
            200: DocumentedResponse(
                "A page of batches.", BatchPage, example={"items": [EXAMPLE_BATCH], "next_cursor": None}
            )
        },
        problems=(503,),
    ),
    Route(
        method="GET",
        path="/batches/{id}",
        handler=forward_feedback,
        role=Role.USER,
        operation_id="get_batch",
        tag="batches",
        summary="Describe an own batch and its progress",
        responses={200: DocumentedResponse("The batch.", BatchView, example=EXAMPLE_BATCH)},
        problems=(503,),
    ),
    Route(
        method="GET",
        path="/batches/{id}/result",
        handler=forward_download,
        role=Role.USER,
        operation_id="download_batch_result",
        tag="batches",
        summary="Download the predictions of an own batch",
        responses={200: DocumentedResponse("The predictions, in the order of the file.", str, (CSV,))},
        problems=(409, 503),
    ),
)

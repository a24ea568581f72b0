"""Routes of the queue."""

from typing import Annotated

from fastapi import FastAPI, Query, Response

from inference.feedback_service.bounded_threads import BoundedThreads
from inference.feedback_service.callers import User
from inference.feedback_service.label_queue import LabelQueue
from inference.queue_api import QueuePage, QueueParameters


def add_queue(app: FastAPI, queue: LabelQueue, lists: BoundedThreads) -> None:
    """Add the routes that lease and skip items."""

    @app.get("/queue", response_model=QueuePage)
    async def lease_items(caller: User, parameters: Annotated[QueueParameters, Query()]) -> Response:
        return await lists.run(lambda: queue.page(caller, parameters).model_dump_json())

    @app.post("/queue/{item_id}/skip", status_code=204)
    def skip_item(item_id: str, caller: User) -> Response:
        queue.skip(caller, item_id)
        return Response(status_code=204)

"""Route of photos."""

from typing import Annotated

from fastapi import FastAPI, Header, Path, Query, Response

from inference.feedback_service.bounded_threads import BoundedThreads
from inference.feedback_service.callers import User
from inference.feedback_service.photos import PhotoService
from inference.photo_api import SHA256, PhotoParameters

THUMBNAIL_THREADS = 2
"""Photos that are read or decoded at the same time."""
MAX_WAITING = 256
"""Requests for photos that wait for a thread: several pages of thumbnails; more are refused."""


def add_photos(app: FastAPI, photos: PhotoService) -> None:
    """Add the route of photos and thumbnails."""
    threads = BoundedThreads(THUMBNAIL_THREADS, MAX_WAITING)

    @app.get("/photos/{sha256}")
    async def show_photo(
        sha256: Annotated[str, Path(pattern=f"^{SHA256}$")],
        caller: User,
        parameters: Annotated[PhotoParameters, Query()],
        if_none_match: Annotated[str, Header()] = "",
    ) -> Response:
        size = None if parameters.size is None else int(parameters.size)
        etag = f'"{sha256}-{size or 0}"'

        def respond() -> Response:
            photos.check(caller, sha256)
            if etag in if_none_match or if_none_match.strip() == "*":
                return Response(status_code=304, headers={"ETag": etag})
            found = photos.read(sha256, size)
            return Response(found.data, media_type=found.media_type, headers={"ETag": etag})

        return await threads.call(respond)

"""Photos and their thumbnails, for users who may see a product that has them."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from inference.durability.writer import DurableWriter
from inference.feedback_service.callers import is_reviewer
from inference.feedback_service.index_refresher import IndexRefresher
from inference.feedback_service.service import Caller
from inference.http.problems import Problem
from inference.photo_api import PHOTO_MEDIA_TYPES
from product_classifier.errors import InvalidImage, ObjectNotFound
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.prediction_index import PredictionIndex
from product_classifier.feedback.records import image_key
from product_classifier.images.headers import photo_format
from product_classifier.limits import MIB
from product_classifier.store import ObjectStore

CACHE_BYTES = 64 * MIB
"""Memory of thumbnails; one of 320 pixels has about 20 kB."""
WAIT_S = 1.0
"""Longest time that a request for the photo of a new prediction waits for the index."""


@dataclass(frozen=True, slots=True)
class PhotoContent:
    """Bytes of a photo or thumbnail, and their media type."""

    data: bytes
    media_type: str


class ThumbnailCache:
    """The thumbnails used last, up to a number of bytes. Thread-safe."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._found: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple[str, int]) -> bytes | None:
        """Return the thumbnail of a hash and size, None if it is not in memory."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
            return self._found.get(key)

    def put(self, key: tuple[str, int], data: bytes) -> None:
        """Add a thumbnail, and remove those whose last use is longest ago."""
        with self._lock:
            self._bytes += len(data) - len(self._found.pop(key, b""))
            self._found[key] = data
            while self._bytes > self._max_bytes:
                _, removed = self._found.popitem(last=False)
                self._bytes -= len(removed)


class PhotoService:
    """Reads photos; safe for any number of threads."""

    def __init__(
        self,
        store: ObjectStore,
        writer: DurableWriter,
        predictions: PredictionIndex,
        corrections: FeedbackIndex,
        refresher: IndexRefresher,
        is_queued: Callable[[str, str], bool] = lambda _user, _sha256: False,
    ) -> None:
        """Take where photos are, and who may see them.

        Args:
            store: Where photos are.
            writer: Has the photos of corrections that are in the journal only.
            predictions: Predictions with photos.
            corrections: Corrections with photos.
            refresher: Refreshes the index of predictions.
            is_queued: Returns whether the queue gave a user a product with this photo.
        """
        self._store = store
        self._writer = writer
        self._predictions = predictions
        self._corrections = corrections
        self._refresher = refresher
        self._is_queued = is_queued
        self._cache = ThumbnailCache(CACHE_BYTES)

    def check(self, caller: Caller, sha256: str) -> None:
        """Raise a 404 problem unless the caller may see a product with this photo."""
        if self._may_see(caller, sha256):
            return
        self._refresher.refresh(WAIT_S)
        if not self._may_see(caller, sha256):
            raise _unknown(sha256)

    def read(self, sha256: str, size: int | None) -> PhotoContent:
        """Return a photo, or its thumbnail of a size in pixels.

        Raises:
            Problem: 404 if it was deleted.
            InvalidImage: If a thumbnail is requested and the stored object is no photo.
            StoreUnavailable: If the store cannot be reached.
        """
        if size is None:
            return _whole(self._stored(sha256))
        cached = self._cache.get((sha256, size))
        if cached is None:
            from product_classifier.images.thumbnails import thumbnail  # noqa: PLC0415 - OpenCV takes long to import

            cached = thumbnail(self._stored(sha256), size)
            self._cache.put((sha256, size), cached)
        return PhotoContent(cached, PHOTO_MEDIA_TYPES["JPEG"])

    def _may_see(self, caller: Caller, sha256: str) -> bool:
        return (
            is_reviewer(caller)  # of every product, also of a suspected label
            or self._predictions.has_photo(sha256, caller.name)
            or self._corrections.has_photo(sha256, caller.name)
            or self._is_queued(caller.name, sha256)
        )

    def _stored(self, sha256: str) -> bytes:
        pending = self._writer.pending(image_key(sha256))
        if pending is not None:
            return pending
        try:
            return self._store.get(image_key(sha256))
        except ObjectNotFound as error:
            raise _unknown(sha256) from error


def _whole(data: bytes) -> PhotoContent:
    kind = photo_format(data)
    if kind is None:
        raise InvalidImage("the stored object is not a JPEG, PNG, WebP or AVIF")
    return PhotoContent(data, PHOTO_MEDIA_TYPES[kind])


def _unknown(sha256: str) -> Problem:
    return Problem(404, f"sha256: no photo has the hash {sha256!r}, or it was deleted", kind="unknown-photo")

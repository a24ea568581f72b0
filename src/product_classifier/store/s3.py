"""Objects in an S3 bucket (MinIO in the cluster), through the minio client.

A request has a time limit and a bounded number of attempts, both ours to set. A repeated conditional write may meet
its own first attempt, whose reply was lost; it then recognises its bytes instead of reporting a conflict.

Some stores accept `If-None-Match` and ignore it. The first conditional write finds out, and on such a store a key is
claimed before it is written, see `claims.py`.
"""

import itertools
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import TypeVar

import certifi
import urllib3
from minio import Minio
from minio.error import InvalidResponseError, S3Error, ServerError
from minio.notificationconfig import NotificationConfig, PrefixFilterRule, QueueConfig
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from product_classifier.errors import ObjectChanged, ObjectExists, ObjectNotFound, StoreUnavailable
from product_classifier.store import ObjectInfo
from product_classifier.store.claims import claimed
from product_classifier.store.object_keys import RESERVED, is_reserved, validate_key, validate_prefix
from product_classifier.store.settings import StoreSettings

PAGE = 1000
"""Keys per listing request: S3's maximum."""

IMPOSSIBLE = ({"If-None-Match": "*"}, {"If-Match": f'"{"0" * 32}"'})
"""Conditions under which no store may overwrite an object that is there."""

PRECONDITION_FAILED = 412
RETRIED = frozenset({408, 429, 500, 502, 503, 504})
RETRIED_CODES = frozenset({"ConditionalRequestConflict", "OperationAborted", "RequestTimeout"})

T = TypeVar("T")


class S3Store:
    """An `ObjectStore` in one bucket."""

    def __init__(self, bucket: str, settings: StoreSettings) -> None:
        """Prepare a client; nothing is sent before the first operation."""
        self.bucket = bucket
        self._where = f"s3://{bucket} at {settings.s3_endpoint}"
        self._client = _client(settings)
        self._attempts = settings.s3_attempts

    def create_bucket(self) -> None:
        """Create the bucket unless it exists."""
        if not self._try("looking for the bucket", lambda: self._client.bucket_exists(self.bucket)):
            self._try("creating the bucket", lambda: self._client.make_bucket(self.bucket))

    def notify(self, target: str, prefix: str) -> None:
        """Have the store send an event to `target`, an ARN, for every object created below the prefix."""
        created = QueueConfig(["s3:ObjectCreated:*"], prefix_filter_rule=PrefixFilterRule(prefix), queue=target)
        config = NotificationConfig(queue_config_list=[created])
        self._try("asking for events", lambda: self._client.set_bucket_notification(self.bucket, config))

    def put(self, key: str, data: bytes, *, only_if_absent: bool = False) -> None:
        """Write an object."""
        validate_key(key)
        if not only_if_absent:
            self._write(key, data, {})
            return
        with self._exclusive(key):
            if not self._is_conditional and self.exists(key):
                raise _exists(key)
            try:
                self._write(key, data, {"If-None-Match": "*"})
            except _ConditionFailed as error:
                raise _exists(key) from error

    def replace_if(self, key: str, data: bytes, etag: str) -> ObjectInfo:
        """Replace an object that nobody changed since `etag` was read."""
        with self._exclusive(validate_key(key)):
            if self.head(key).etag != etag:
                raise _changed(key)
            try:
                return ObjectInfo(self._write(key, data, {"If-Match": f'"{etag}"'}), len(data))
            except _ConditionFailed as error:
                raise _changed(key) from error

    def get(self, key: str) -> bytes:
        """Return the content."""
        validate_key(key)
        return self._try(f"reading {key!r}", lambda: self._read(key))

    def head(self, key: str) -> ObjectInfo:
        """Return etag and size."""
        validate_key(key)
        found = self._try(f"reading {key!r}", lambda: self._client.stat_object(self.bucket, key))
        return ObjectInfo(str(found.etag), int(found.size or 0))

    def exists(self, key: str) -> bool:
        """Tell whether an object has this key."""
        try:
            self.head(key)
        except ObjectNotFound:
            return False
        return True

    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield keys as the store orders them, page by page."""
        validate_prefix(prefix)
        return (key for key in self._keys(prefix) if not is_reserved(key))

    def scan(self, prefix: str = "") -> Iterator[tuple[str, ObjectInfo]]:
        """Yield keys as `list` does, and what `head` says of each, at the price of the listing alone."""
        validate_prefix(prefix)
        return ((key, info) for key, info in self._entries(prefix) if not is_reserved(key))

    def delete(self, key: str) -> None:
        """Remove an object if it is there."""
        self.unpin(validate_key(key))

    def pin(self, key: str) -> None:
        """Write a claim (see `claims.Board`)."""
        self._write(key, b"", {})

    def pinned(self, prefix: str) -> Sequence[str]:
        """List claims (see `claims.Board`)."""
        return tuple(self._keys(prefix))

    def unpin(self, key: str) -> None:
        """Remove a claim, or any object (see `claims.Board`)."""
        try:
            self._try(f"deleting {key!r}", lambda: self._client.remove_object(self.bucket, key))
        except ObjectNotFound:
            return

    def _keys(self, prefix: str) -> Iterator[str]:
        return (key for key, _ in self._entries(prefix))

    def _entries(self, prefix: str) -> Iterator[tuple[str, ObjectInfo]]:
        page = self._page(prefix, "")
        while page:
            yield from page
            page = self._page(prefix, page[-1][0]) if len(page) == PAGE else []

    def _page(self, prefix: str, after: str) -> Sequence[tuple[str, ObjectInfo]]:
        def ask() -> Sequence[tuple[str, ObjectInfo]]:
            found = self._client.list_objects(
                self.bucket, prefix=prefix or None, recursive=True, start_after=after or None
            )
            return [
                (str(entry.object_name), ObjectInfo(str(entry.etag), int(entry.size or 0)))
                for entry in itertools.islice(found, PAGE)
            ]

        return self._try(f"listing {prefix!r}", ask)

    def _read(self, key: str) -> bytes:
        response = self._client.get_object(self.bucket, key)
        try:
            return bytes(response.read())
        finally:
            response.close()
            response.release_conn()

    def _write(self, key: str, data: bytes, condition: dict[str, str]) -> str:
        """Send an object and return its etag."""
        attempts = 0

        def send() -> str:
            nonlocal attempts
            attempts += 1
            # The client's public method cannot send a condition; the contract tests hold this one in place.
            return str(self._client._put_object(self.bucket, key, data, {**condition}).etag)  # noqa: SLF001

        try:
            return self._try(f"writing {key!r}", send)
        except _ConditionFailed:
            if attempts > 1 and self.get(key) == data:
                return self.head(key).etag
            raise

    def _exclusive(self, key: str) -> AbstractContextManager[None]:
        return nullcontext() if self._is_conditional else claimed(self, key)

    @cached_property
    def _is_conditional(self) -> bool:
        """Whether the store honours conditions; found by overwriting what must not be overwritten."""
        probe = f"{RESERVED}/probes/{uuid.uuid4().hex}"
        self._write(probe, b"first", {})
        try:
            return all(self._refuses(probe, condition) for condition in IMPOSSIBLE)
        finally:
            self.unpin(probe)

    def _refuses(self, key: str, condition: dict[str, str]) -> bool:
        try:
            self._write(key, uuid.uuid4().bytes, condition)
        except _ConditionFailed:
            return True
        return False

    def _try(self, doing: str, operation: Callable[[], T]) -> T:
        attempts = Retrying(
            stop=stop_after_attempt(self._attempts),
            wait=wait_random_exponential(multiplier=0.1, max=2),
            retry=retry_if_exception_type(_Passing),
            reraise=True,
        )
        try:
            return attempts(lambda: _translated(operation))
        except _Passing as error:
            raise StoreUnavailable(f"{doing} in {self._where}: {error} ({self._attempts} attempts)") from error
        except _Refused as error:
            raise StoreUnavailable(f"{doing} in {self._where}: {error}") from error
        except ObjectNotFound as error:
            raise ObjectNotFound(f"no object: {doing} in {self._where}") from error


class _ConditionFailed(Exception):
    """The object is there, or is not the one expected."""


class _Passing(Exception):
    """The next attempt may do better."""


class _Refused(Exception):
    """Every further attempt would be refused too: no bucket, wrong keys."""


def _translated(operation: Callable[[], T]) -> T:
    """Sort the client's failures; only codes and class names are kept, for messages can hold what was sent."""
    try:
        return operation()
    except S3Error as error:
        raise _meaning(error.response.status, error.code or "no code") from error
    except InvalidResponseError as error:
        raise _meaning(error._code, "an answer that is not S3's") from error  # noqa: SLF001 - it has no public name
    except ServerError as error:
        raise _meaning(error.status_code, "no reason given") from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise _Passing(type(error).__name__) from error


def _meaning(status: int, code: str) -> Exception:
    if code in {"NoSuchKey", "NoSuchVersion"}:
        return ObjectNotFound()
    if status == PRECONDITION_FAILED:
        return _ConditionFailed()
    if status in RETRIED or code in RETRIED_CODES:
        return _Passing(f"{code} ({status})")
    return _Refused(f"{code} ({status})")


def _client(settings: StoreSettings) -> Minio:
    host = settings.s3_endpoint.removeprefix("https://").removeprefix("http://")
    secret, token = settings.aws_secret_access_key, settings.aws_session_token
    client = Minio(
        host,
        access_key=settings.aws_access_key_id,
        secret_key=secret.get_secret_value() if secret else None,
        session_token=token.get_secret_value() if token else None,
        secure=settings.s3_endpoint.startswith("https://"),
        region=settings.s3_region,
        http_client=urllib3.PoolManager(
            maxsize=16,
            timeout=urllib3.Timeout(connect=settings.s3_connect_timeout_s, read=settings.s3_read_timeout_s),
            retries=False,  # attempts are counted in one place, `_try`
            cert_reqs="CERT_REQUIRED",
            ca_certs=settings.s3_ca_bundle or certifi.where(),
        ),
    )
    client.disable_virtual_style_endpoint()
    return client


def _exists(key: str) -> ObjectExists:
    return ObjectExists(f"object {key!r} is already there")


def _changed(key: str) -> ObjectChanged:
    return ObjectChanged(f"object {key!r} was changed by somebody else")

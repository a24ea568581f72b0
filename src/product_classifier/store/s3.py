"""An object store in an S3 bucket, accessed with the minio client.

Requests have a timeout and a bounded number of attempts. A retried conditional write may find the object of its
own first attempt, whose response was lost; it then compares the content instead of reporting a conflict.

Some stores accept `If-None-Match` and ignore it. The first conditional write detects this; on such a store a key is
claimed before it is written, see `claims`.
"""

import itertools
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import TypeVar

import certifi
import urllib3
from minio import Minio
from minio.credentials import Credentials, IamAwsProvider
from minio.error import InvalidResponseError, S3Error, ServerError
from minio.notificationconfig import NotificationConfig, PrefixFilterRule, QueueConfig
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from product_classifier.compat import minio as compat
from product_classifier.errors import ObjectExists, ObjectNotFound, StoreUnavailable
from product_classifier.store import ObjectInfo
from product_classifier.store.claims import exclusive_claim
from product_classifier.store.object_keys import RESERVED, is_reserved, validate_key, validate_prefix
from product_classifier.store.settings import StoreSettings

PAGE = 1000
"""Keys per listing request; the maximum of S3."""

ONLY_IF_ABSENT = {"If-None-Match": "*"}

IDENTITY_VARIABLES = frozenset({"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"})
"""Variables that a cluster sets in the pods of a service account with a role."""

PRECONDITION_FAILED = 412
RETRIED = frozenset({408, 429, 500, 502, 503, 504})
RETRIED_CODES = frozenset({"ConditionalRequestConflict", "OperationAborted", "RequestTimeout"})

T = TypeVar("T")


class S3Store:
    """An `ObjectStore` in one bucket."""

    def __init__(self, bucket: str, settings: StoreSettings) -> None:
        """Create a client; the first operation sends the first request."""
        self.bucket = bucket
        self._where = f"s3://{bucket} at {settings.s3_endpoint}"
        self._client = _client(settings)
        self._attempts = settings.s3_attempts

    def create_bucket(self) -> None:
        """Create the bucket unless it exists."""
        if not self._try("finding the bucket", lambda: self._client.bucket_exists(self.bucket)):
            self._try("creating the bucket", lambda: self._client.make_bucket(self.bucket))

    def notify(self, target: str, prefix: str) -> None:
        """Send bucket notifications to `target`, an ARN, for every object created under the prefix."""
        created = QueueConfig(["s3:ObjectCreated:*"], prefix_filter_rule=PrefixFilterRule(prefix), queue=target)
        config = NotificationConfig(queue_config_list=[created])
        self._try("configuring notifications", lambda: self._client.set_bucket_notification(self.bucket, config))

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
                self._write(key, data, ONLY_IF_ABSENT)
            except _ConditionFailed as error:
                raise _exists(key) from error

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
        """Return whether an object has this key."""
        try:
            self.head(key)
        except ObjectNotFound:
            return False
        return True

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[str]:
        """Yield the keys in the order of the store, page by page."""
        validate_prefix(prefix)
        return (key for key in self._keys(prefix, start_after) if not is_reserved(key))

    def scan(self, prefix: str = "") -> Iterator[tuple[str, ObjectInfo]]:
        """Yield the keys as `list` does, with the result of `head` for each, without further requests."""
        validate_prefix(prefix)
        return ((key, info) for key, info in self._entries(prefix) if not is_reserved(key))

    def delete(self, key: str) -> None:
        """Delete an object if it exists."""
        self.delete_claim(validate_key(key))

    def write_claim(self, key: str) -> None:
        """Write a claim, see `claims.ClaimStore`."""
        self._write(key, b"", {})

    def list_claims(self, prefix: str) -> Sequence[str]:
        """Return the claims with this prefix, see `claims.ClaimStore`."""
        return tuple(self._keys(prefix))

    def delete_claim(self, key: str) -> None:
        """Delete a claim or any other object, see `claims.ClaimStore`."""
        try:
            self._try(f"deleting {key!r}", lambda: self._client.remove_object(self.bucket, key))
        except ObjectNotFound:
            return

    def _keys(self, prefix: str, start_after: str = "") -> Iterator[str]:
        return (key for key, _ in self._entries(prefix, start_after))

    def _entries(self, prefix: str, start_after: str = "") -> Iterator[tuple[str, ObjectInfo]]:
        page = self._page(prefix, start_after)
        while page:
            yield from page
            page = self._page(prefix, page[-1][0]) if len(page) == PAGE else []

    def _page(self, prefix: str, after: str) -> Sequence[tuple[str, ObjectInfo]]:
        def fetch() -> Sequence[tuple[str, ObjectInfo]]:
            found = self._client.list_objects(
                self.bucket, prefix=prefix or None, recursive=True, start_after=after or None
            )
            return [
                (str(entry.object_name), ObjectInfo(str(entry.etag), int(entry.size or 0)))
                for entry in itertools.islice(found, PAGE)
            ]

        return self._try(f"listing {prefix!r}", fetch)

    def _read(self, key: str) -> bytes:
        response = self._client.get_object(self.bucket, key)
        try:
            return bytes(response.read())
        finally:
            response.close()
            response.release_conn()

    def _write(self, key: str, data: bytes, condition: dict[str, str]) -> None:
        attempts = 0

        def send() -> None:
            nonlocal attempts
            attempts += 1
            compat.put_object(self._client, self.bucket, key, data, condition)

        try:
            self._try(f"writing {key!r}", send)
        except _ConditionFailed:
            if attempts == 1 or self.get(key) != data:
                raise

    def _exclusive(self, key: str) -> AbstractContextManager[None]:
        return nullcontext() if self._is_conditional else exclusive_claim(self, key)

    @cached_property
    def _is_conditional(self) -> bool:
        """Whether the store honors `If-None-Match`, tested on a probe object."""
        probe = f"{RESERVED}/probes/{uuid.uuid4().hex}"
        self._write(probe, b"first", {})
        try:
            self._write(probe, b"second", ONLY_IF_ABSENT)
        except _ConditionFailed:
            return True
        finally:
            self.delete_claim(probe)
        return False

    def _try(self, doing: str, operation: Callable[[], T]) -> T:
        attempts = Retrying(
            stop=stop_after_attempt(self._attempts),
            wait=wait_random_exponential(multiplier=0.1, max=2),
            retry=retry_if_exception_type(_Transient),
            reraise=True,
        )
        try:
            return attempts(lambda: _translated(operation))
        except _Transient as error:
            raise StoreUnavailable(f"{doing} in {self._where}: {error} ({self._attempts} attempts)") from error
        except _Refused as error:
            raise StoreUnavailable(f"{doing} in {self._where}: {error}") from error
        except ObjectNotFound as error:
            raise ObjectNotFound(f"{doing} in {self._where}: no such object") from error


class _ConditionFailed(Exception):
    """The object exists."""


class _Transient(Exception):
    """A retry may succeed."""


class _Refused(Exception):
    """A retry cannot succeed, for example without a bucket or with wrong credentials."""


def _translated(operation: Callable[[], T]) -> T:
    """Classify errors of the client. Messages contain codes and class names only, because errors quote requests."""
    try:
        return operation()
    except S3Error as error:
        raise _classify(error.response.status, error.code or "no code") from error
    except InvalidResponseError as error:
        raise _classify(compat.status_of(error), "a response that is not XML") from error
    except ServerError as error:
        raise _classify(error.status_code, "no error code") from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise _Transient(type(error).__name__) from error


def _classify(status: int, code: str) -> Exception:
    if code in {"NoSuchKey", "NoSuchVersion"}:
        return ObjectNotFound()
    if status == PRECONDITION_FAILED:
        return _ConditionFailed()
    if status in RETRIED or code in RETRIED_CODES:
        return _Transient(f"{code} ({status})")
    return _Refused(f"{code} ({status})")


class _WorkloadIdentity(IamAwsProvider):
    """Temporary credentials for the identity of this pod; its errors quote no token."""

    def retrieve(self) -> Credentials:
        try:
            return super().retrieve()
        except ValueError as error:
            raise _Refused(f"no credentials for the role {os.environ.get('AWS_ROLE_ARN', 'of this pod')!r}") from error


def _workload_identity() -> IamAwsProvider | None:
    """Return the provider of this pod; None if it has no identity."""
    if not IDENTITY_VARIABLES & set(os.environ):
        return None
    return _WorkloadIdentity(custom_endpoint=os.environ.get("AWS_ENDPOINT_URL_STS"))


def _client(settings: StoreSettings) -> Minio:
    host = settings.s3_endpoint.removeprefix("https://").removeprefix("http://")
    secret, token = settings.aws_secret_access_key, settings.aws_session_token
    client = Minio(
        host,
        access_key=settings.aws_access_key_id,
        secret_key=secret.get_secret_value() if secret else None,
        session_token=token.get_secret_value() if token else None,
        credentials=_workload_identity() if settings.aws_access_key_id is None else None,
        secure=settings.s3_endpoint.startswith("https://"),
        region=settings.region,
        http_client=urllib3.PoolManager(
            maxsize=16,
            timeout=urllib3.Timeout(connect=settings.s3_connect_timeout_s, read=settings.s3_read_timeout_s),
            retries=False,  # `_try` retries
            cert_reqs="CERT_REQUIRED",
            ca_certs=settings.s3_ca_bundle or certifi.where(),
        ),
    )
    client.disable_virtual_style_endpoint()
    return client


def _exists(key: str) -> ObjectExists:
    return ObjectExists(f"object {key!r} already exists")

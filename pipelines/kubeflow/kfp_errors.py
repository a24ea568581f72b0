"""Translate errors of the Kubeflow Pipelines API to errors of this product."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import kfp_server_api  # type: ignore[import-untyped]
import urllib3

from product_classifier.errors import LauncherUnavailable, LaunchRefused

REFUSED = frozenset({400, 422})
"""Statuses after which the same request cannot succeed."""

MESSAGE_CHARACTERS = 300
HINTS = {
    401: "; check KF_PIPELINES_SA_TOKEN_PATH",
    403: "; give the account access to this namespace, or check KF_PIPELINES_NAMESPACE",
    404: "; check KF_PIPELINES_ENDPOINT and KF_PIPELINES_NAMESPACE",
}
"""What to do about a status that may be resolved outside this product."""


@contextmanager
def translated_errors(subject: str) -> Iterator[None]:
    """Raise API errors as `LaunchRefused` if no repetition can succeed, else as `LauncherUnavailable`.

    Args:
        subject: What the requests concern; begins the message.
    """
    try:
        yield
    except kfp_server_api.ApiException as error:
        reason = f"{subject}: the pipeline API responded {error.status} {error.reason}: {_message(error.body)}"
        if error.status in REFUSED:
            raise LaunchRefused(reason) from error
        raise LauncherUnavailable(f"{reason}{HINTS.get(error.status, '')}") from error
    except urllib3.exceptions.MaxRetryError as error:
        raise LauncherUnavailable(
            f"{subject}: does not respond: {error.reason!s:.200}; check KF_PIPELINES_ENDPOINT"
        ) from error
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise LauncherUnavailable(f"{subject}: {type(error).__name__}: {error}") from error


def _message(body: str | bytes | None) -> str:
    """Return the message of an error response; its end, as the API repeats the message with more context in front."""
    try:
        found = json.loads(body or "")
        return str(found.get("message") or found["error"])[-MESSAGE_CHARACTERS:]
    except (ValueError, KeyError, TypeError, AttributeError):
        text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body or "no reason given"
        return " ".join(text.split())[:MESSAGE_CHARACTERS]

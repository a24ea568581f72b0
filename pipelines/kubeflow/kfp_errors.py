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


@contextmanager
def translated_errors(subject: str) -> Iterator[None]:
    """Raise API errors as `LaunchRefused` if no repetition can succeed, else as `LauncherUnavailable`.

    Args:
        subject: What the requests concern; begins the message.
    """
    try:
        yield
    except kfp_server_api.ApiException as error:
        reason = f"{subject}: the pipeline API responded {error.status} {error.reason}"
        if error.status in REFUSED:
            raise LaunchRefused(f"{reason}: {_message(error.body)}") from error
        raise LauncherUnavailable(reason) from error
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise LauncherUnavailable(f"{subject}: {type(error).__name__}: {error}") from error


def _message(body: str | bytes | None) -> str:
    """Return the message of an error response; its end, as the API repeats the message with more context in front."""
    try:
        return str(json.loads(body or "")["message"])[-MESSAGE_CHARACTERS:]
    except (ValueError, KeyError, TypeError):
        return str(body)[:MESSAGE_CHARACTERS]

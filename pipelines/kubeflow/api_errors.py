"""What the API of Kubeflow Pipelines answers when it does not do its work, in our own errors."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import kfp_server_api  # type: ignore[import-untyped]
import urllib3

from product_classifier.errors import LauncherUnavailable, LaunchRefused

REFUSED = frozenset({400, 422})
LONGEST = 300


@contextmanager
def translated(about: str) -> Iterator[None]:
    """Raise `LaunchRefused` for what can never work, `LauncherUnavailable` for what says nothing about the matter."""
    try:
        yield
    except kfp_server_api.ApiException as error:
        reason = f"{about}: the pipeline API answers {error.status} {error.reason}"
        if error.status in REFUSED:
            raise LaunchRefused(f"{reason}: {_message(error.body)}") from error
        raise LauncherUnavailable(reason) from error
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise LauncherUnavailable(f"{about}: {type(error).__name__}: {error}") from error


def _message(body: str | bytes | None) -> str:
    """Return the API's own words; it wraps them in JSON and says them twice."""
    try:
        return str(json.loads(body or "")["message"])[-LONGEST:]
    except (ValueError, KeyError, TypeError):
        return str(body)[:LONGEST]

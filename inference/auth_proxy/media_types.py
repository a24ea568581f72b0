"""Media types of request bodies."""

from starlette.types import Scope

from inference.http.problems import Problem, public_message

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
BINARY = "application/octet-stream"


def content_type(scope: Scope) -> str:
    """Return the Content-Type of a request with its parameters, empty if it has none."""
    found = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    return str(found.decode("latin-1"))


def require_media_type(sent: str, *accepted: str) -> str:
    """Return the media type of a Content-Type; raise a 415 problem unless it is an accepted one."""
    media_type = sent.split(";", maxsplit=1)[0].strip().lower()
    if media_type not in accepted:
        raise Problem(415, f"content-type: {public_message(media_type)} is not supported; send {' or '.join(accepted)}")
    return media_type

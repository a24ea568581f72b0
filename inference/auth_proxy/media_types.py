"""Media types of request bodies."""

from starlette.types import Scope

from inference.http.problems import Problem, public_message
from product_classifier.images.headers import photo_format

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
HTML = "text/html"
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


def with_photo_advice(problem: Problem, body: bytes, advice: str) -> Problem:
    """Return a problem; one of media type or syntax with what to do, if the body is a photo."""
    kind = photo_format(body) if problem.status in {400, 415} else None
    if kind is None:
        return problem
    return Problem(problem.status, f"{problem.detail}; the body is a {kind}: {advice}", kind=problem.kind)

"""Photos for generated requests: neither `format` nor a media type says how to make a valid one."""

import base64
import io
from typing import Any

import schemathesis
from hypothesis import strategies as st
from PIL import Image


def photo(kind: str) -> bytes:
    """Return a small photo of this format."""
    out = io.BytesIO()
    Image.new("RGB", (8, 6), 120).save(out, kind)
    return out.getvalue()


@schemathesis.hook
def filter_case(_: schemathesis.HookContext, case: "schemathesis.Case[Any]") -> bool:
    """Skip changes of the user who sends the requests: they revoke the token of all later requests."""
    return (case.path_parameters or {}).get("name") != "ada"


PHOTOS = [photo("JPEG"), photo("PNG")]
schemathesis.openapi.format("photo", st.sampled_from([base64.b64encode(data).decode() for data in PHOTOS]))
for data, media_type in zip(PHOTOS, ("image/jpeg", "image/png"), strict=True):
    schemathesis.openapi.media_type(media_type, st.just(data))

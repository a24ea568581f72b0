"""The internals of the minio client that `product_classifier.compat.minio` uses."""

import inspect

from minio import Minio
from minio.error import InvalidResponseError
from minio.helpers import genheaders

from product_classifier.compat import minio as compat


def test_the_client_still_has_a_write_with_headers() -> None:
    method = getattr(Minio, "_put_object", None)

    assert method is not None, "minio has no Minio._put_object any more: adapt product_classifier/compat/minio.py"
    assert ["self", "bucket_name", "object_name", "data", "headers"] == list(inspect.signature(method).parameters)[
        :5
    ], "the parameters of Minio._put_object have changed: adapt product_classifier/compat/minio.py"


def test_the_public_write_still_cannot_send_a_condition() -> None:
    sent = {name.lower() for name in genheaders({"If-None-Match": "*"}, None, None, None, False)}

    assert "if-none-match" not in sent, "Minio.put_object sends If-None-Match: use it and delete compat/minio.py"


def test_the_status_of_a_response_that_is_not_xml_is_readable() -> None:
    assert compat.status_of(InvalidResponseError(502, "text/html", "")) == 502, (
        "InvalidResponseError has no _code any more: adapt product_classifier/compat/minio.py"
    )

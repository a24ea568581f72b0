"""Photos as clients send them: raw, in any base64, as an empty file, through each route."""

import base64
import json
from typing import Any

import httpx
import pytest

from inference.auth_proxy.auth.roles import Role
from inference.oip.client import encode_request
from tests.inference.auth_proxy.conftest import PASSWORD, Gateway, as_base64, make_photo
from tests.support.photo_structures import photos

JPEG = make_photo("JPEG")
PLAIN = as_base64(JPEG)
SPELLINGS = {
    "plain": PLAIN,
    "lines of 76": base64.encodebytes(JPEG).decode(),
    "lines of CR LF": base64.encodebytes(JPEG).decode().replace("\n", "\r\n"),
    "blanks": " ".join(PLAIN[at : at + 64] for at in range(0, len(PLAIN), 64)),
    "URL-safe": base64.urlsafe_b64encode(JPEG).decode(),
    "no padding": PLAIN.rstrip("="),
    "URL-safe without padding": base64.urlsafe_b64encode(JPEG).decode().rstrip("="),
    "data URL": f"data:image/jpeg;base64,{PLAIN}",
    "data URL with lines": f"data:image/jpeg;base64,\n{base64.encodebytes(JPEG).decode()}",
}
RAW = photos()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_photo_in_any_spelling_is_the_same_photo(gateway: Gateway, spelling: str) -> None:
    with gateway.client() as client:
        first = client.post("/predict", json={"image": PLAIN})
        alone = client.post("/predict", json={"image": SPELLINGS[spelling]})
        (row,) = client.post("/predict/batch", json=[{"image": SPELLINGS[spelling]}]).json()

    assert 200 == alone.status_code
    assert first.json()["category"] == alone.json()["category"] == row["category"]


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("content_type", ["image/jpeg", "application/json", "application/x-www-form-urlencoded", None])
@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("/predict", "curl -F image=@photo.jpg"),
        ("/predict/batch", "in base64 as 'image'"),
        ("/feedback", "in base64 as product.image"),
    ],
)
def test_a_raw_photo_is_refused_with_what_to_send(
    gateway: Gateway, path: str, advice: str, content_type: str | None, name: str
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    reply = gateway.client().post(path, content=RAW[name], headers=headers)

    assert (400 if content_type == "application/json" else 415) == reply.status_code
    assert advice in reply.json()["detail"]
    assert f"the body is a {name.replace('WEBP', 'WebP')}" in reply.json()["detail"]
    if reply.status_code == 415:
        assert "send application/json" in reply.json()["detail"]


@pytest.mark.parametrize("more", [{}, {"designation": "Livre"}], ids=["photo alone", "with a title"])
def test_an_empty_file_is_refused_unless_none_was_chosen(gateway: Gateway, more: dict[str, str]) -> None:
    named = gateway.client().post("/predict", files={"image": ("photo.jpg", b"", "image/jpeg")}, data=more)
    boundary = "--b\r\nContent-Disposition: form-data; name="
    fields = "".join(f'{boundary}"{name}"\r\n\r\n{value}\r\n' for name, value in more.items())
    unnamed = f'{fields}{boundary}"image"; filename=""\r\nContent-Type: application/octet-stream\r\n\r\n\r\n--b--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    browser = gateway.client().post("/predict", content=unnamed, headers=headers)

    assert (422, "form.image: the file 'photo.jpg' is empty (0 bytes); send a photo") == (
        named.status_code,
        named.json()["detail"],
    )
    assert (200 if more else 422) == browser.status_code


def v2(model: str, columns: dict[str, list[Any]], **options: Any) -> dict[str, Any]:
    body, headers = encode_request(columns, **options)
    return {"url": f"/v2/models/{model}/infer", "content": body, "headers": headers}


def with_megapixel(spelling: str = PLAIN) -> dict[str, dict[str, Any]]:
    """Return requests with one photo each, by route."""
    instances = {"v1 object": {"image": {"b64": spelling}}, "v1 b64": {"b64": spelling}, "v1 text": spelling}
    image, fusion = "image-predictor", "fusion-transformer"
    tensor = {"name": "image", "shape": [1, 1], "datatype": "BYTES", "data": [[spelling]]}
    return {
        "predict": {"url": "/predict", "json": {"image": spelling}},
        "batch": {"url": "/predict/batch", "json": [{"image": spelling}]},
        **{
            name: {"url": f"/v1/models/{image}:predict", "json": {"instances": [instance]}}
            for name, instance in instances.items()
        },
        "v1 fusion": {"url": f"/v1/models/{fusion}:predict", "json": {"instances": [instances["v1 object"]]}},
        "v2 binary": v2(image, {"image": [JPEG]}),
        "v2 base64": v2(image, {"image": [JPEG]}, binary=False),
        "v2 escaped": {
            "url": f"/v2/models/{image}/infer",
            "content": json.dumps({"inputs": [tensor]}).replace('"image"', '"im\\u0061ge"'),
        },
        "v2 version": {"url": f"/v2/models/{image}/versions/1/infer", "json": {"inputs": [tensor]}},
        "v2 fusion": v2(fusion, {"designation": [b""], "description": [b""], "image": [JPEG]}),
        "feedback": {
            "url": "/feedback",
            "json": {"product": {"image": spelling}, "code": 10},
            "headers": {"Idempotency-Key": "k"},
        },
    }


@pytest.mark.parametrize("own_gateway", [{"megapixel_limit": "1/hour"}], indirect=True)
def test_each_route_counts_the_megapixels_of_a_user(own_gateway: Gateway) -> None:
    for index, spelling in enumerate(["plain", "data URL with lines"]):
        for number, (name, request) in enumerate(with_megapixel(SPELLINGS[spelling]).items()):
            own_gateway.issuer.users.add(user := f"user-{index}-{number}", PASSWORD, Role.USER)
            statuses = [send(own_gateway, user, request).status_code for _ in range(2)]
            assert statuses[0] != 429 == statuses[1], name


def send(gateway: Gateway, user: str, request: dict[str, Any]) -> httpx.Response:
    with gateway.client(user) as client:
        return client.post(**request)


@pytest.mark.parametrize("own_gateway", [{"megapixel_limit": "1/hour"}], indirect=True)
def test_requests_without_a_photo_count_nothing(own_gateway: Gateway) -> None:
    tensor = {"name": "designation", "shape": [1], "datatype": "BYTES", "data": ["x"]}
    requests: list[dict[str, Any]] = [
        {"url": "/v2/models/text-predictor/infer", "json": {"inputs": [tensor]}},
        {"url": "/v2/models/fusion-transformer/infer", "json": {"inputs": [tensor | {"name": "image", "data": [""]}]}},
        {"url": "/v1/models/image-predictor:predict", "json": {"instances": ["no base64!"]}},
        {"url": "/v1/models/image-predictor:predict", "content": b"{"},
        {"url": "/feedback", "json": {"product": {"designation": "x"}, "code": 10}},
        {"url": "/feedback", "json": {"product": {"image": as_base64(b"no photo")}, "code": 10}},
    ]

    statuses = [send(own_gateway, "ursula", request).status_code for request in requests * 2]

    assert 429 not in statuses

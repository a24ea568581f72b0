"""Responses of `/predict`, and the records it writes."""

import hashlib
from typing import Any

import orjson
import pytest

from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.feedback.records import PredictionRecord, image_key, prediction_key
from product_classifier.limits import DESIGNATION_CHARACTERS, PHOTO_BODY_BYTES
from tests.inference.auth_proxy.conftest import Gateway, as_base64, make_photo


def test_a_prediction_has_the_members_of_the_contract(gateway: Gateway) -> None:
    reply = gateway.client().post("/predict", json={"designation": "Piscine ronde"})

    answer = reply.json()
    assert reply.status_code == 200
    assert set(answer) == {
        "prediction_id", "category", "confidence", "decision", "top", "modalities", "degraded", "release",
    }  # fmt: skip
    assert answer["category"] == {"code": answer["top"][0]["code"], "label": answer["top"][0]["label"]}
    assert answer["confidence"] == answer["top"][0]["probability"]
    assert len(answer["top"]) == 5
    assert [c["probability"] for c in answer["top"]] == sorted((c["probability"] for c in answer["top"]), reverse=True)
    assert answer["modalities"]["text"] == {**answer["top"][0], "probability": pytest.approx(0.9)}
    assert answer["modalities"]["image"] is None
    assert (answer["degraded"], answer["release"]) == (False, "r-20260101T000000-0000aaaa")
    assert answer["category"]["label"] == CHALLENGE.label(str(answer["category"]["code"]))


@pytest.mark.parametrize(("threshold", "expected"), [(0.5, "accept"), (0.99, "review"), (None, "review")])
def test_the_decision_is_that_of_the_fusion_and_is_recorded(
    threshold: float | None, expected: str, gateway: Gateway
) -> None:
    """A fusion from before there were decisions has no threshold; the confidence of its prediction is 0.9."""
    gateway.models.threshold = threshold

    alone = gateway.client().post("/predict", json={"designation": "Piscine"}).json()
    batch = gateway.client().post("/predict/batch", json=[{"designation": "Piscine"}, {"designation": "Lampe"}]).json()

    key = prediction_key(alone["prediction_id"])
    assert [expected] * 3 == [one["decision"] for one in (alone, *batch)]
    assert expected == PredictionRecord.from_json(gateway.store.objects[key], key).decision


def test_record_and_photo_are_stored_before_the_response(gateway: Gateway, photo: bytes) -> None:
    reply = gateway.client().post("/predict", json={"designation": "Été", "image": as_base64(photo)})

    answer = reply.json()
    key = prediction_key(answer["prediction_id"])
    record = PredictionRecord.from_json(gateway.store.objects[key], key)
    digest = hashlib.sha256(photo).hexdigest()
    assert reply.headers["prediction-record"] == "stored"
    assert gateway.store.objects[image_key(digest)] == photo
    assert (record.user, record.code, record.product.designation, record.product.image_sha256) == (
        "ursula", str(answer["category"]["code"]), "Été", digest,
    )  # fmt: skip


def test_a_form_and_json_get_the_same_prediction(gateway: Gateway, photo: bytes) -> None:
    fields = {"designation": "Lot de 3 BD", "description": "<p>état neuf</p>"}
    client = gateway.client()

    form = client.post("/predict", data=fields, files={"image": ("p.jpg", photo, "image/jpeg")}).json()
    json = client.post("/predict", json={**fields, "image": as_base64(photo)}).json()

    assert {**form, "prediction_id": ""} == {**json, "prediction_id": ""}


def test_a_prediction_without_one_model_is_degraded(gateway: Gateway, photo: bytes) -> None:
    gateway.models.silent = {"image"}

    answer = gateway.client().post("/predict", json={"designation": "a", "image": as_base64(photo)}).json()

    assert answer["degraded"] is True
    assert answer["modalities"]["image"] is None
    assert answer["modalities"]["text"]


def test_a_batch_keeps_its_order_and_has_a_problem_per_invalid_product(gateway: Gateway, photo: bytes) -> None:
    rows: list[Any] = [
        {"designation": "un"},
        {"designation": 3},
        {"image": as_base64(photo)},
        {},
        {"designation": "deux", "image": as_base64(make_photo("JPEG")[:-2] + b"broken\xff\xd9")},
        {"designation": "trois"},
    ]
    client = gateway.client()

    reply = client.post("/predict/batch", json=rows)

    answers = reply.json()
    alone = [client.post("/predict", json=rows[i]).json()["category"] for i in (0, 2, 5)]
    assert reply.status_code == 200
    assert [a.get("status") for a in answers] == [None, 422, None, 422, 422, None]
    assert [answers[i]["category"] for i in (0, 2, 5)] == alone
    assert "products[1].designation" in answers[1]["detail"]
    assert "products[4].image" in answers[4]["detail"]


def test_a_photo_that_only_the_models_reject_is_a_422(gateway: Gateway) -> None:
    image = make_photo("JPEG")[:-2] + b"broken\xff\xd9"

    reply = gateway.client().post("/predict", json={"image": as_base64(image)})

    assert reply.status_code == 422
    assert reply.json()["type"].endswith("invalid-image")


@pytest.mark.parametrize("count", [0, 65])
def test_a_batch_has_1_to_64_products(gateway: Gateway, count: int) -> None:
    reply = gateway.client().post("/predict/batch", json=[{"designation": "x"}] * count)

    assert reply.status_code == 422
    assert str(count) in reply.json()["detail"]


BAD_BODIES: list[tuple[str, bytes, int, str]] = [
    ("empty", b"", 400, "JSON"),
    ("not json", b"designation=x", 400, "line 1"),
    ("two documents", b"{}{}", 400, "column 3"),
    ("a list", b"[]", 422, "object"),
    ("a text", b'"x"', 422, "object"),
    ("a number", b"1", 422, "object"),
    ("null", b"null", 422, "object"),
    ("nothing in it", b"{}", 422, "neither"),
    ("only nulls", b'{"designation":null,"image":null}', 422, "neither"),
    ("only spaces", b'{"designation":"  ","description":"\\n"}', 422, "neither"),
    ("only markup", b'{"designation":"<br/>","description":"&nbsp;___!!!"}', 422, "neither"),
    ("missing values", b'{"designation":"nan","description":"NULL"}', 422, "neither"),
    ("unknown field", b'{"designation":"x","prix":1}', 422, "prix"),
    ("wrong case", b'{"Designation":"x"}', 422, "Designation"),
    ("prototype", b'{"__proto__":{"a":1}}', 422, "__proto__"),
    ("number as text", b'{"designation":12}', 422, "designation"),
    ("list as text", b'{"designation":["x"]}', 422, "designation"),
    ("object as text", b'{"description":{"a":1}}', 422, "description"),
    ("true as image", b'{"image":true}', 422, "image"),
    ("list as image", b'{"image":[255,216]}', 422, "image"),
    ("duplicate key", b'{"designation":"x","designation":"y"}', 400, "designation"),
    ("deep duplicate", b'{"designation":{"a":1,"a":2}}', 400, "'a'"),
    ("escaped duplicate", b'{"a":1,"\\u0061":2}', 400, "'a'"),
    ("NaN", b'{"designation":NaN}', 400, "NaN"),
    ("Infinity", b'{"designation":Infinity}', 400, "Infinity"),
    ("-Infinity", b'{"designation":-Infinity}', 400, "-Infinity"),
    ("comment", b'{"designation":"x"/**/}', 400, "column"),
    ("trailing comma", b'{"designation":"x",}', 400, "column"),
    ("single quotes", b"{'designation':'x'}", 400, "column"),
    ("unquoted", b"{designation:1}", 400, "column"),
    ("hex number", b'{"designation":0x10}', 400, "column"),
    ("leading zero", b'{"designation":01}', 400, "column"),
    ("control character", b'{"designation":"a\x01b"}', 400, "column"),
    ("raw newline", b'{"designation":"a\nb"}', 400, "column"),
    ("bad escape", b'{"designation":"\\x41"}', 400, "column"),
    ("unfinished", b'{"designation":"x', 400, "column"),
    ("unfinished object", b'{"designation":"x"', 400, "column"),
    ("NUL byte after", b'{"designation":"x"}\x00', 400, "column"),
    ("escaped NUL", b'{"designation":"a\\u0000b"}', 422, "NUL at character 1"),
    ("NUL in description", b'{"description":"\\u0000"}', 422, "description"),
    ("lone high surrogate", b'{"designation":"\\ud83d"}', 422, "surrogate"),
    ("lone low surrogate", b'{"designation":"a\\ude00"}', 422, "character 1"),
    ("swapped surrogates", b'{"description":"\\ude00\\ud83d"}', 422, "surrogate"),
    ("BOM", b'\xef\xbb\xbf{"designation":"x"}', 400, "BOM"),
    ("UTF-16", '{"designation":"x"}'.encode("utf-16"), 400, "UTF-8"),
    ("latin-1", '{"designation":"été"}'.encode("latin-1"), 400, "UTF-8"),
    ("overlong UTF-8", b'{"designation":"\xc0\xaf"}', 400, "UTF-8"),
    ("UTF-8 surrogate", b'{"designation":"\xed\xa0\x80"}', 400, "UTF-8"),
    ("beyond Unicode", b'{"designation":"\xf4\x90\x80\x80"}', 400, "UTF-8"),
    ("cut UTF-8", b'{"designation":"\xe2\x82"}', 400, "UTF-8"),
    ("deep list", b"[" * 40 + b"]" * 40, 400, "32 levels"),
    ("very deep list", b"[" * 100_000 + b"]" * 100_000, 400, "32 levels"),
    ("very deep object", b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400, "32 levels"),
    ("unclosed depth", b"[" * 1_000_000, 400, ""),
    ("huge number", b'{"designation":' + b"9" * 100_000 + b"}", 400, "digits"),
    ("huge exponent", b'{"designation":1e999999}', 422, "designation"),
    ("long title", orjson.dumps({"designation": "x" * (DESIGNATION_CHARACTERS + 1)}), 422, "10001 characters"),
    ("long description", orjson.dumps({"description": "é" * 50_001}), 422, "50001 characters"),
    ("long field name", b'{"' + b"k" * 100_000 + b'":1}', 422, "unknown field"),
    ("many fields", orjson.dumps({f"k{i}": i for i in range(4000)}), 422, "k0"),
    ("many duplicates", b"{" + b",".join(b'"k%d":1' % (i % 3999) for i in range(4000)) + b"}", 400, "k0"),
    ("too many fields", orjson.dumps({f"k{i}": i for i in range(50_000)}), 400, "more than 4096 values"),
    ("too many lists", b"[" + b"[]," * 2_000_000 + b"[]]", 400, "more than 4096 values"),
    ("image not base64", b'{"image":"not base64!"}', 422, "base64"),
    ("image with data URI", b'{"image":"data:image/jpeg,/9j/"}', 422, "data:<media type>;base64,"),
    ("image of an empty data URI", b'{"image":"data:image/jpeg;base64,"}', 422, "0 bytes"),
    ("image of mixed alphabets", b'{"image":"_9j+"}', 422, "mixes the characters"),
    ("image cut", b'{"image":"/9j/9"}', 422, "base64: 5 characters"),
    ("image double padding", b'{"image":"/9j/===="}', 422, "base64"),
    ("image not ASCII", '{"image":"é"}'.encode(), 422, "base64"),
    ("image fullwidth", '{"image":"/9ｊ/"}'.encode(), 422, "base64"),
    ("image of a text", orjson.dumps({"image": as_base64(b"hello world")}), 422, "a JPEG, a PNG, a still WebP or AVIF"),
    ("image a URL", orjson.dumps({"image": "http://169.254.169.254/latest"}), 422, "base64"),
    ("image a path", orjson.dumps({"image": "/etc/passwd"}), 422, ""),
]


@pytest.mark.parametrize(("body", "status", "named"), [row[1:] for row in BAD_BODIES], ids=[r[0] for r in BAD_BODIES])
def test_an_invalid_body_is_rejected_with_field_and_value(
    gateway: Gateway, body: bytes, status: int, named: str
) -> None:
    reply = gateway.client().post("/predict", content=body, headers={"content-type": "application/json"})

    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")
    assert named in reply.json()["detail"]
    assert reply.json()["request_id"] == reply.headers["x-request-id"]
    assert "Traceback" not in reply.text
    assert len(reply.content) < 1000
    assert gateway.models.seen == []


def bad_images() -> list[tuple[str, bytes]]:
    jpeg, png = make_photo("JPEG"), make_photo("PNG")
    kinds = [(kind, make_photo(kind)) for kind in ("GIF", "BMP", "TIFF", "ICO", "PPM")]
    return [
        *kinds,
        ("svg", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'),
        ("html", b"<html><script>alert(1)</script></html>"),
        ("pdf", b"%PDF-1.4"),
        ("zip", b"PK\x03\x04" + bytes(100)),
        ("nothing but the start", jpeg[:2]),
        ("png start", png[:8]),
        *[(f"jpeg cut at {share} %", jpeg[: len(jpeg) * share // 100]) for share in range(5, 100, 10)],
        *[(f"png cut at {share} %", png[: len(png) * share // 100]) for share in range(5, 100, 10)],
        ("too many pixels", make_photo("PNG", "L", (4096, 4000))),
        ("webp cut short", make_photo("WEBP")[:-3]),
        ("avif cut short", make_photo("AVIF")[:-3]),
        ("png of a jpeg", png[:8] + jpeg),
    ]


@pytest.mark.parametrize(("name", "image"), bad_images(), ids=[name for name, _ in bad_images()])
def test_an_incomplete_photo_is_rejected(gateway: Gateway, name: str, image: bytes) -> None:
    client = gateway.client()

    by_json = client.post("/predict", json={"image": as_base64(image)})
    by_form = client.post("/predict", files={"image": ("x.jpg", image)})

    assert (by_json.status_code, by_form.status_code) == (422, 422)
    assert by_json.json()["type"] == "urn:product-classifier:problem:invalid-image"
    assert gateway.models.seen == []


BAD_FORMS: list[tuple[str, dict[str, Any], int]] = [
    ("unknown field", {"data": {"designation": "x", "prix": "1"}, "files": {"image": b""}}, 422),
    ("file as title", {"files": {"designation": b"x"}}, 422),
    ("unknown file", {"files": {"photo": b"x"}}, 422),
    ("two files", {"files": [("image", b"x"), ("image", b"y")]}, 400),
    ("nothing", {"files": {"image": b""}}, 422),
    ("no boundary", {"content": b"--x", "headers": {"content-type": "multipart/form-data"}}, 400),
    ("empty boundary", {"content": b"--x", "headers": {"content-type": "multipart/form-data; boundary="}}, 400),
    (
        "unknown charset",
        {"content": b"--x--", "headers": {"content-type": "multipart/form-data; boundary=x; charset=zz"}},
        422,
    ),
    (
        "no end",
        {
            "content": b'--x\r\nContent-Disposition: form-data; name="designation"\r\n\r\na',
            "headers": {"content-type": "multipart/form-data; boundary=x"},
        },
        422,
    ),
    (
        "no name",
        {
            "content": b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--",
            "headers": {"content-type": "multipart/form-data; boundary=x"},
        },
        400,
    ),
    (
        "not UTF-8",
        {
            "content": b'--x\r\nContent-Disposition: form-data; name="designation"\r\n\r\n\xff\r\n--x--',
            "headers": {"content-type": "multipart/form-data; boundary=x"},
        },
        400,
    ),
    (
        "Latin-1 that occurs as UTF-8 in the photo",
        {"files": {"designation": (None, "é".encode("latin-1")), "image": ("x.jpg", "é".encode())}},
        400,
    ),
    ("url-encoded form", {"data": {"designation": "x"}}, 415),
    ("text", {"content": b"x", "headers": {"content-type": "text/plain"}}, 415),
    ("xml", {"content": b"<a/>", "headers": {"content-type": "application/xml"}}, 415),
    ("no type", {"content": b"{}"}, 415),
    ("gzip", {"content": b"{}", "headers": {"content-type": "application/json", "content-encoding": "gzip"}}, 415),
    (
        "deflate",
        {"content": b"{}", "headers": {"content-type": "application/json", "content-encoding": "deflate"}},
        415,
    ),
    ("br", {"content": b"{}", "headers": {"content-type": "application/json", "content-encoding": "br"}}, 415),
    ("two encodings", {"content": b"{}", "headers": {"content-encoding": "identity, gzip"}}, 415),
]


@pytest.mark.parametrize(("request_", "status"), [row[1:] for row in BAD_FORMS], ids=[row[0] for row in BAD_FORMS])
def test_an_invalid_form_is_rejected(gateway: Gateway, request_: dict[str, Any], status: int) -> None:
    reply = gateway.client().post("/predict", **request_)

    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")
    assert gateway.models.seen == []


def test_a_form_is_read_as_utf_8_whatever_charset_it_names(gateway: Gateway) -> None:
    body = '--x\r\nContent-Disposition: form-data; name="designation"\r\n\r\népée 木\r\n--x--'.encode()

    reply = gateway.client().post(
        "/predict",
        content=body,
        headers={"content-type": "multipart/form-data; boundary=x; charset=iso-8859-1"},
    )

    key = prediction_key(reply.json()["prediction_id"])
    assert "épée 木" == PredictionRecord.from_json(gateway.store.objects[key], key).product.designation


def test_a_body_over_the_limit_is_a_413_however_it_is_sent(gateway: Gateway) -> None:
    client = gateway.client()

    def pieces() -> Any:
        for _ in range(130):
            yield b"x" * 100_000

    by_length = client.post(
        "/predict", content=b"x" * (PHOTO_BODY_BYTES + 1), headers={"content-type": "application/json"}
    )
    by_chunks = client.post("/predict", content=pieces(), headers={"content-type": "application/json"})

    assert (by_length.status_code, by_chunks.status_code) == (413, 413)
    assert str(PHOTO_BODY_BYTES) in by_length.json()["detail"]


def test_unavailable_models_are_a_503_without_their_message(gateway: Gateway) -> None:
    gateway.models.away = True

    reply = gateway.client().post("/predict", json={"designation": "x"})

    assert reply.status_code == 503
    assert reply.json()["type"].endswith("model-unavailable")


def test_a_slow_model_is_a_503_after_the_timeout(gateway: Gateway) -> None:
    gateway.models.delay_s = 5

    reply = gateway.client().post("/predict", json={"designation": "x"})

    assert (reply.status_code, "2 s" in reply.json()["detail"]) == (503, True)

"""Compare this project's inference routes with the KServe SDK's on generated requests (decision 0033)."""

import copy
import logging
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import orjson
import pytest
import structlog
from starlette.types import ASGIApp

from inference.model_server.flags import parse_flags
from inference.model_server.grpc_server import Servicer
from inference.model_server.model import HostedModels
from inference.model_server.rest import RestApp
from inference.text_predictor.model import make
from tests.support.sdk_twin import Response, Twin, front_ends, post
from tests.support.tiny_release import make_release

from kserve import ModelRepository  # isort: skip
from kserve.protocol.dataplane import DataPlane  # isort: skip
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb  # isort: skip
from kserve.protocol.grpc.servicer import InferenceServicer  # isort: skip

NAME = "text-predictor"
ROUNDS = 200
WORDS = [
    "Livre",
    "de poche",
    "été",
    "ÉTÉ",
    "n°5",
    "日本",
    "🎲",
    "<b>neuf</b>",
    "&eacute;",
    "  ",
    "x" * 300,
    "\\u0041",
    '"',
]


@dataclass(frozen=True)
class Pair:
    """This package's REST and gRPC front ends and the SDK's, with the same model."""

    ours: ASGIApp
    sdk: ASGIApp
    our_servicer: Servicer
    sdk_servicer: InferenceServicer


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    """Disable the log line of each request."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)
    structlog.configure(**before)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    release = make_release(tmp_path_factory.mktemp("release"), 3)
    model = make(parse_flags(NAME, ["--model_dir", str(release.path)]))
    models = ModelRepository()
    models.update(model)
    plane = DataPlane(model_registry=models)
    application, servicer = front_ends(Twin(NAME, model.releases.current.model))
    hosted = HostedModels([model])
    yield Pair(RestApp(hosted, plane, application, 2**20), application, Servicer(hosted, plane), servicer)
    model.workers.close()


Body = dict[str, Any]


def draw_v1(rng: random.Random) -> Body:
    rows: list[Any] = []
    for _ in range(rng.randint(1, 4)):
        row: Any = {"designation": text(rng)}
        if rng.random() < 0.5:
            row["description"] = text(rng)
        rows.append(row["designation"] if rng.random() < 0.2 else row)
    return {"instances": rows}


def draw_v2(rng: random.Random) -> Body:
    count = rng.randint(1, 4)
    inputs = [tensor("designation", [text(rng) for _ in range(count)])]
    if rng.random() < 0.6:
        inputs.append(tensor("description", [text(rng) for _ in range(count)]))
    rng.shuffle(inputs)
    body: Body = {"inputs": inputs}
    if rng.random() < 0.5:
        body["id"] = str(rng.randrange(10**9))
    if rng.random() < 0.3:
        body["outputs"] = [{"name": "probabilities"}]
    if rng.random() < 0.2:
        body["parameters"] = {"note": "anything"}
    return body


def tensor(name: str, data: list[str]) -> Body:
    return {"name": name, "shape": [len(data)], "datatype": "BYTES", "data": data}


def text(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(0, 5)))


PATHS = {"v1": f"/v1/models/{NAME}:predict", "v2": f"/v2/models/{NAME}/infer"}
DRAW: dict[str, Callable[[random.Random], Body]] = {"v1": draw_v1, "v2": draw_v2}


async def both(pair: Pair, path: str, body: bytes, **headers: str) -> tuple[Response, Response]:
    given = {name.replace("_", "-"): value for name, value in ({"Content_Type": "application/json"} | headers).items()}
    return await post(pair.ours, path, body, given), await post(pair.sdk, path, body, given)


@pytest.mark.parametrize("seed", range(3))
async def test_v1_responses_are_the_same(pair: Pair, seed: int) -> None:
    rng = random.Random(f"v1/{seed}")
    for _ in range(ROUNDS):
        body = orjson.dumps(draw_v1(rng))

        ours, sdk = await both(pair, PATHS["v1"], body)

        assert (200, 200) == (ours.status, sdk.status), body
        np.testing.assert_allclose(ours.json()["predictions"], sdk.json()["predictions"], atol=1e-6, err_msg=str(body))


@pytest.mark.parametrize("seed", range(3))
async def test_v2_responses_are_the_same(pair: Pair, seed: int) -> None:
    rng = random.Random(f"v2/{seed}")
    for _ in range(ROUNDS):
        request = draw_v2(rng)

        ours, sdk = await both(pair, PATHS["v2"], orjson.dumps(request))

        assert (200, 200) == (ours.status, sdk.status), request
        assert_same(ours.json(), sdk.json(), request)


async def test_v2_responses_to_binary_tensors_are_the_same(pair: Pair) -> None:
    rng = random.Random("binary")
    for _ in range(ROUNDS):
        request = draw_v2(rng)
        tail = b""
        for one in request["inputs"]:
            packed = b"".join(struct.pack("<I", len(value.encode())) + value.encode() for value in one.pop("data"))
            one["parameters"] = {"binary_data_size": len(packed)}
            tail += packed
        head = orjson.dumps(request)

        headers = {"Content_Type": "application/octet-stream", "Inference_Header_Content_Length": str(len(head))}
        ours, sdk = await both(pair, PATHS["v2"], head + tail, **headers)

        assert (200, 200) == (ours.status, sdk.status), request
        assert_same(ours.json(), sdk.json(), request)


def assert_same(ours: Body, sdk: Body, request: Body) -> None:
    (our_output,), (sdk_output,) = ours["outputs"], sdk["outputs"]
    for field in ("name", "datatype", "shape"):
        assert sdk_output[field] == our_output[field]
    np.testing.assert_allclose(our_output["data"], sdk_output["data"], atol=1e-6, err_msg=str(request))
    assert sdk["model_name"] == ours["model_name"]
    if "id" in request:
        assert request["id"] == ours["id"] == sdk["id"]


Break = Callable[[Body], Any]


def change(*path: str | int, to: object) -> Break:
    """Return a change that sets the value at a path."""

    def broken(body: Body) -> Body:
        place: Any = body
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to
        return body

    return broken


def drop(*path: str | int) -> Break:
    """Return a change that deletes the value at a path."""

    def broken(body: Body) -> Body:
        place: Any = body
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]
        return body

    return broken


REFUSED: dict[str, list[Break]] = {
    "v1": [
        drop("instances"),
        *(change("instances", to=value) for value in (None, 7)),
        *(change("instances", 0, to=value) for value in (None, 7, ["x"], {})),
        *(change("instances", 0, to={"designation": value}) for value in (None, 7, ["x"])),
        change("instances", 0, to={"title": "x"}),
    ],
    "v2": [
        drop("inputs"),
        *(change("inputs", to=value) for value in (None, "x", 7, [], {"a": 1})),
        *(change("inputs", 0, to=value) for value in (None, 7, "x", {})),
        *(drop("inputs", 0, field) for field in ("name", "shape", "datatype", "data")),
        *(change("inputs", 0, "name", to=value) for value in (None, 7)),
        *(change("inputs", 0, "shape", to=value) for value in (None, "x")),
        *(change("inputs", 0, "data", to=value) for value in (7, [7], [None], [["x", 7]])),
        *(change("id", to=value) for value in (7, ["x"])),
        *(change("outputs", to=value) for value in ("x", 7, [7], [{}])),
        *(change("parameters", to=value) for value in ("x", 7)),
    ],
}
"""Changes that neither server accepts."""

STRICTER: dict[str, list[Break]] = {
    "v1": [
        *(change("instances", to=value) for value in ([], "x", {"a": 1})),
        change("instances", 0, to={"designation": "x", "colour": "red"}),
    ],
    "v2": [
        change("inputs", 0, "shape", to=[9]),
        change("inputs", 0, "shape", to=[1, 2]),
        change("inputs", 0, "datatype", to="FP32"),
        change("outputs", to=[{"name": "price"}]),
    ],
}
"""Changes that the SDK accepts by guessing or ignoring, and this server refuses."""


@pytest.mark.parametrize("protocol", ["v1", "v2"])
async def test_a_request_that_the_sdk_refuses_gets_a_400(pair: Pair, protocol: str) -> None:
    rng = random.Random(f"refused/{protocol}")
    for number, broken in enumerate(REFUSED[protocol] * 6):
        body = orjson.dumps(broken(copy.deepcopy(DRAW[protocol](rng))))

        ours, sdk = await both(pair, PATHS[protocol], body)

        assert sdk.status >= 400, (number, body)
        assert 400 == ours.status, (number, body)
        assert isinstance(ours.json()["error"], str)


@pytest.mark.parametrize("protocol", ["v1", "v2"])
async def test_only_listed_requests_are_refused_here_and_accepted_by_the_sdk(pair: Pair, protocol: str) -> None:
    rng = random.Random(f"stricter/{protocol}")
    for number, broken in enumerate(STRICTER[protocol] * 6):
        body = orjson.dumps(broken(copy.deepcopy(DRAW[protocol](rng))))

        ours, sdk = await both(pair, PATHS[protocol], body)

        assert (400, 200) == (ours.status, sdk.status), (number, body)


@pytest.mark.parametrize("protocol", ["v1", "v2"])
async def test_a_body_that_is_no_json_object_is_refused_by_both(pair: Pair, protocol: str) -> None:
    rng = random.Random(f"bytes/{protocol}")
    for _ in range(60):
        good = orjson.dumps(DRAW[protocol](rng))
        cut = good[: rng.randrange(len(good))]
        for body in (cut, good + b"}", b"\xff" + good, rng.randbytes(20), b"[]", b"null", b'"x"'):
            ours, sdk = await both(pair, PATHS[protocol], body)

            assert 400 == ours.status, body
            assert sdk.status >= 400, body


@pytest.mark.parametrize("path", ["/v1/models/other:predict", "/v2/models/other/infer"])
async def test_an_unknown_model_is_not_found_by_both(pair: Pair, path: str) -> None:
    body = orjson.dumps(DRAW[path[1:3]](random.Random(0)))

    assert [404, 404] == [response.status for response in await both(pair, path, body)]


class Aborted(Exception):
    """A call was aborted with a status."""


class FakeContext:
    """The context of a gRPC call."""

    def __init__(self) -> None:
        self.code: grpc.StatusCode | None = None

    def invocation_metadata(self) -> tuple[()]:
        return ()

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: object = ()) -> None:
        self.code = code
        raise Aborted(details)

    def set_code(self, code: grpc.StatusCode) -> None:
        self.code = code

    def set_details(self, details: str) -> None:
        """Only the code is compared."""


async def call(servicer: InferenceServicer, message: Any) -> tuple[Any, grpc.StatusCode | None]:
    context = FakeContext()
    try:
        return await servicer.ModelInfer(message, context), context.code
    except Exception:  # noqa: BLE001 - any exception ends a call
        return None, context.code or grpc.StatusCode.UNKNOWN


def message_of(request: Body, *, packed: bool) -> Any:
    message = pb.ModelInferRequest(model_name=NAME, id=request.get("id", ""))
    for one in request["inputs"]:
        values = [value.encode() for value in one["data"]]
        added = message.inputs.add(name=one["name"], datatype="BYTES", shape=one["shape"])
        if packed:
            message.raw_input_contents.append(b"".join(struct.pack("<I", len(value)) + value for value in values))
        else:
            added.contents.bytes_contents.extend(values)
    return message


@pytest.mark.parametrize("packed", [True, False], ids=["raw", "contents"])
async def test_grpc_responses_are_the_same(pair: Pair, packed: bool) -> None:
    rng = random.Random(f"grpc/{packed}")
    for _ in range(ROUNDS):
        message = message_of(draw_v2(rng), packed=packed)

        (ours, _), (sdk, _) = await call(pair.our_servicer, message), await call(pair.sdk_servicer, message)

        assert (ours.model_name, message.id or ours.id) == (sdk.model_name, (message.id and sdk.id) or ours.id)
        assert list(sdk.outputs[0].shape) == list(ours.outputs[0].shape)
        expected, actual = (np.frombuffer(one.raw_output_contents[0], "<f4") for one in (sdk, ours))
        np.testing.assert_allclose(actual, expected, atol=1e-6)


async def test_a_grpc_call_that_the_sdk_refuses_is_refused(pair: Pair) -> None:
    rng = random.Random("grpc/refused")
    for number in range(120):
        message = message_of(draw_v2(rng), packed=True)
        match number % 3:
            case 0:
                message.model_name = "other"
            case 1:
                message.raw_input_contents[0] = b"\xff\xff\xff\x7fshort"
            case _:
                del message.inputs[:]
                del message.raw_input_contents[:]

        (ours, code), (sdk, _) = await call(pair.our_servicer, message), await call(pair.sdk_servicer, message)

        assert ours is sdk is None
        assert code in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}

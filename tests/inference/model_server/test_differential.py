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
from tests.support.sdk_twin import Heard, Twin, ask, doors
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
    """Our doors and the SDK's, the same model behind both."""

    ours: ASGIApp
    sdk: ASGIApp
    our_calls: Servicer
    sdk_calls: InferenceServicer


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    """No log line for each of thousands of requests."""
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
    application, calls = doors(Twin(NAME, model.releases.current.model))
    hosted = HostedModels([model])
    yield Pair(RestApp(hosted, plane, application, 2**20), application, Servicer(hosted, plane), calls)
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


async def both(pair: Pair, path: str, body: bytes, **headers: str) -> tuple[Heard, Heard]:
    given = {name.replace("_", "-"): value for name, value in ({"Content_Type": "application/json"} | headers).items()}
    return await ask(pair.ours, path, body, given), await ask(pair.sdk, path, body, given)


@pytest.mark.parametrize("seed", range(3))
async def test_v1_answers_are_the_same(pair: Pair, seed: int) -> None:
    rng = random.Random(f"v1/{seed}")
    for _ in range(ROUNDS):
        body = orjson.dumps(draw_v1(rng))

        ours, sdk = await both(pair, PATHS["v1"], body)

        assert (200, 200) == (ours.status, sdk.status), body
        np.testing.assert_allclose(ours.json()["predictions"], sdk.json()["predictions"], atol=1e-6, err_msg=str(body))


@pytest.mark.parametrize("seed", range(3))
async def test_v2_answers_are_the_same(pair: Pair, seed: int) -> None:
    rng = random.Random(f"v2/{seed}")
    for _ in range(ROUNDS):
        asked = draw_v2(rng)

        ours, sdk = await both(pair, PATHS["v2"], orjson.dumps(asked))

        assert (200, 200) == (ours.status, sdk.status), asked
        assert_same(ours.json(), sdk.json(), asked)


async def test_v2_texts_behind_the_json_are_the_same(pair: Pair) -> None:
    rng = random.Random("binary")
    for _ in range(ROUNDS):
        asked = draw_v2(rng)
        tail = b""
        for one in asked["inputs"]:
            packed = b"".join(struct.pack("<I", len(value.encode())) + value.encode() for value in one.pop("data"))
            one["parameters"] = {"binary_data_size": len(packed)}
            tail += packed
        head = orjson.dumps(asked)

        about = {"Content_Type": "application/octet-stream", "Inference_Header_Content_Length": str(len(head))}
        ours, sdk = await both(pair, PATHS["v2"], head + tail, **about)

        assert (200, 200) == (ours.status, sdk.status), asked
        assert_same(ours.json(), sdk.json(), asked)


def assert_same(ours: Body, sdk: Body, asked: Body) -> None:
    (our_output,), (sdk_output,) = ours["outputs"], sdk["outputs"]
    for field in ("name", "datatype", "shape"):
        assert sdk_output[field] == our_output[field]
    np.testing.assert_allclose(our_output["data"], sdk_output["data"], atol=1e-6, err_msg=str(asked))
    assert sdk["model_name"] == ours["model_name"]
    if "id" in asked:
        assert asked["id"] == ours["id"] == sdk["id"]


Break = Callable[[Body], Any]


def change(*path: str | int, to: object) -> Break:
    """Put a value at a place."""

    def broken(body: Body) -> Body:
        place: Any = body
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to
        return body

    return broken


def drop(*path: str | int) -> Break:
    """Take the value of a place away."""

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
"""Changes that neither side takes."""

STRICTER: dict[str, list[Break]] = {
    "v1": [
        *(change("instances", to=value) for value in ([], "x", {"a": 1})),
        change("instances", 0, to={"designation": "x", "colour": "red"}),
    ],
    "v2": [
        change("inputs", 0, "shape", to=[9]),
        change("inputs", 0, "shape", to=[1, 1]),
        change("inputs", 0, "datatype", to="FP32"),
        change("outputs", to=[{"name": "price"}]),
    ],
}
"""Changes of which the SDK makes what it can, and we say what is wrong: the answer would be to another question."""


@pytest.mark.parametrize("protocol", ["v1", "v2"])
async def test_what_the_sdk_refuses_we_refuse_and_as_the_callers_fault(pair: Pair, protocol: str) -> None:
    rng = random.Random(f"refused/{protocol}")
    for number, broken in enumerate(REFUSED[protocol] * 6):
        body = orjson.dumps(broken(copy.deepcopy(DRAW[protocol](rng))))

        ours, sdk = await both(pair, PATHS[protocol], body)

        assert sdk.status >= 400, (number, body)
        assert 400 == ours.status, (number, body)
        assert isinstance(ours.json()["error"], str)


@pytest.mark.parametrize("protocol", ["v1", "v2"])
async def test_what_we_refuse_and_the_sdk_does_not_is_listed(pair: Pair, protocol: str) -> None:
    rng = random.Random(f"stricter/{protocol}")
    for number, broken in enumerate(STRICTER[protocol] * 6):
        body = orjson.dumps(broken(copy.deepcopy(DRAW[protocol](rng))))

        ours, sdk = await both(pair, PATHS[protocol], body)

        assert (400, 200) == (ours.status, sdk.status), (number, body)


@pytest.mark.parametrize("protocol", ["v1", "v2"])
async def test_bytes_that_are_no_json_object_are_refused_by_both(pair: Pair, protocol: str) -> None:
    rng = random.Random(f"bytes/{protocol}")
    for _ in range(60):
        good = orjson.dumps(DRAW[protocol](rng))
        cut = good[: rng.randrange(len(good))]
        for body in (cut, good + b"}", b"\xff" + good, rng.randbytes(20), b"[]", b"null", b'"x"'):
            ours, sdk = await both(pair, PATHS[protocol], body)

            assert 400 == ours.status, body
            assert sdk.status >= 400, body


@pytest.mark.parametrize("path", ["/v1/models/other:predict", "/v2/models/other/infer"])
async def test_a_model_that_is_not_here_is_not_found_by_both(pair: Pair, path: str) -> None:
    body = orjson.dumps(DRAW[path[1:3]](random.Random(0)))

    assert [404, 404] == [heard.status for heard in await both(pair, path, body)]


class Refused(Exception):
    """A call was ended with a status."""


class Call:
    """What a gRPC service is told of a call."""

    def __init__(self) -> None:
        self.code: grpc.StatusCode | None = None

    def invocation_metadata(self) -> tuple[()]:
        return ()

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: object = ()) -> None:
        self.code = code
        raise Refused(details)

    def set_code(self, code: grpc.StatusCode) -> None:
        self.code = code

    def set_details(self, details: str) -> None:
        """Only the code is compared."""


async def call(servicer: InferenceServicer, message: Any) -> tuple[Any, grpc.StatusCode | None]:
    about = Call()
    try:
        return await servicer.ModelInfer(message, about), about.code
    except Exception:  # noqa: BLE001 - whatever ends a call refuses it
        return None, about.code or grpc.StatusCode.UNKNOWN


def message_of(asked: Body, *, packed: bool) -> Any:
    message = pb.ModelInferRequest(model_name=NAME, id=asked.get("id", ""))
    for one in asked["inputs"]:
        values = [value.encode() for value in one["data"]]
        added = message.inputs.add(name=one["name"], datatype="BYTES", shape=one["shape"])
        if packed:
            message.raw_input_contents.append(b"".join(struct.pack("<I", len(value)) + value for value in values))
        else:
            added.contents.bytes_contents.extend(values)
    return message


@pytest.mark.parametrize("packed", [True, False], ids=["raw", "contents"])
async def test_grpc_answers_are_the_same(pair: Pair, packed: bool) -> None:
    rng = random.Random(f"grpc/{packed}")
    for _ in range(ROUNDS):
        message = message_of(draw_v2(rng), packed=packed)

        (ours, _), (sdk, _) = await call(pair.our_calls, message), await call(pair.sdk_calls, message)

        assert (ours.model_name, message.id or ours.id) == (sdk.model_name, (message.id and sdk.id) or ours.id)
        assert list(sdk.outputs[0].shape) == list(ours.outputs[0].shape)
        expected, actual = (np.frombuffer(one.raw_output_contents[0], "<f4") for one in (sdk, ours))
        np.testing.assert_allclose(actual, expected, atol=1e-6)


async def test_grpc_refuses_what_the_sdk_refuses(pair: Pair) -> None:
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

        (ours, code), (sdk, _) = await call(pair.our_calls, message), await call(pair.sdk_calls, message)

        assert ours is sdk is None
        assert code in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}

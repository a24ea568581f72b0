"""A product on which the model fails is refused with its row, and fails no request of another user."""

import asyncio
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import orjson
import pytest
from kserve import ModelRepository
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from inference.http.problems import InvalidTensor
from inference.model_server.flags import parse_flags
from inference.model_server.grpc_server import Servicer
from inference.model_server.model import HostedModels
from inference.model_server.rest import RestApp
from inference.oip.types import validate_request
from inference.text_predictor.model import MAX_BATCHED_ROWS, TextPredictor, make
from product_classifier.probabilities import Floats
from product_classifier.text.hashed_linear import HashedLinear
from tests.support.sdk_twin import post
from tests.support.tiny_release import make_release

NAME = "text-predictor"


class FailingModel(HashedLinear):
    """A model that fails on a word, as a library may on an unusual text."""

    broken = False

    def classify(self, texts: list[str]) -> Floats:
        if self.broken or any("poison" in text for text in texts):
            raise ValueError("an unusual text")
        return super().classify(texts)


@pytest.fixture
def predictor(tmp_path: Path) -> Iterator[TextPredictor]:
    predictor = make(parse_flags(NAME, ["--model_dir", str(make_release(tmp_path, 3).path)]))
    current = predictor.releases.current
    model = current.model
    fields = {field.name: getattr(model, field.name) for field in dataclasses.fields(model)}
    predictor.releases.loaded()[0] = dataclasses.replace(current, model=FailingModel(**fields))
    yield predictor
    predictor.workers.close()


async def predict(predictor: TextPredictor, *titles: str) -> np.ndarray:
    request = validate_request(predictor.signature, {"designation": list(titles)})
    return (await predictor.predict(request)).outputs["probabilities"]


async def test_requests_that_are_batched_with_a_failing_one_are_answered(predictor: TextPredictor) -> None:
    titles = [f"livre {number}" if number % 5 else f"poison {number}" for number in range(50)]
    alone = {title: await predict(predictor, title) for title in titles if "poison" not in title}

    found = await asyncio.gather(*(predict(predictor, title) for title in titles), return_exceptions=True)

    for title, result in zip(titles, found, strict=True):
        if title in alone:
            np.testing.assert_allclose(result, alone[title], atol=1e-6)
        else:
            assert isinstance(result, InvalidTensor)


@pytest.mark.parametrize("rows", [2, MAX_BATCHED_ROWS, MAX_BATCHED_ROWS + 1, 64])
async def test_the_row_that_fails_is_named(predictor: TextPredictor, rows: int) -> None:
    titles = [f"livre {row}" for row in range(rows - 1)]
    for row in {0, rows // 2, rows - 1}:
        with pytest.raises(InvalidTensor, match=f"row {row}: cannot be read by the model"):
            await predict(predictor, *titles[:row], "poison", *titles[row:])


async def test_every_protocol_names_the_row(predictor: TextPredictor) -> None:
    models = ModelRepository()
    models.update(predictor)
    plane, hosted = DataPlane(model_registry=models), HostedModels([predictor])
    application = RestApp(hosted, plane, _no_application, 2**20)
    titles = ["livre", "poison"]
    v1, v2 = {"instances": titles}, {"inputs": [tensor(titles)]}
    context = _Context()

    replies = [
        await post(application, path, orjson.dumps(body), {"Content-Type": "application/json"})
        for path, body in ((f"/v1/models/{NAME}:predict", v1), (f"/v2/models/{NAME}/infer", v2))
    ]
    message = pb.ModelInferRequest(model_name=NAME)
    message.inputs.add(name="designation", datatype="BYTES", shape=[2]).contents.bytes_contents.extend(
        [title.encode() for title in titles]
    )
    await Servicer(hosted, plane).ModelInfer(message, context)

    assert [400, 400] == [reply.status for reply in replies]
    assert [(1, "designation")] * 2 == [(reply.json()["row"], reply.json()["input"]) for reply in replies]
    assert grpc.StatusCode.INVALID_ARGUMENT == context.code
    assert "row 1" in context.details


async def test_a_model_that_fails_on_any_text_is_not_blamed_on_a_row(
    predictor: TextPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FailingModel, "broken", True)

    with pytest.raises(ValueError, match="an unusual text"):
        await predict(predictor, "livre", "lampe")


def tensor(data: Sequence[str]) -> dict[str, Any]:
    return {"name": "designation", "shape": [len(data)], "datatype": "BYTES", "data": list(data)}


class _Context:
    """The context of a gRPC call, which keeps the status of an aborted one."""

    code: grpc.StatusCode | None = None
    details = ""

    def invocation_metadata(self) -> tuple[()]:
        return ()

    async def abort(self, code: grpc.StatusCode, details: str, **_: object) -> None:
        self.code, self.details = code, details


async def _no_application(*_: object) -> None:
    raise AssertionError("the SDK's application serves none of these routes")

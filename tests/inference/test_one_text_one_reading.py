"""Any text has the same probabilities in training and on every route, and one bad product fails alone.

A longer search: TEXT_EXAMPLES=300 .venv/bin/python -m pytest --timeout=0 tests/inference/test_one_text_one_reading.py
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import httpx
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from components.train_text.step import read_texts
from inference.oip.client import HEADER_LENGTH, decode_response, encode_request
from inference.oip.tensors import pack_bytes
from inference.simulation.offline import OfflineModels
from inference.simulation.unseen import UnseenProduct
from product_classifier.releases.release import Release, load_text
from product_classifier.text.model import TextModel
from product_classifier.text.mojibake import repair
from product_classifier.text.normalization import has_words
from tests.inference.auth_proxy.conftest import Gateway, as_base64, start
from tests.support.adversarial_texts import VALID_TEXTS
from tests.support.model_servers import RunningServer
from tests.support.tiny_release import photo

EXAMPLES = int(os.environ.get("TEXT_EXAMPLES", "5"))
TOLERANCE = 1e-5
HUGE = "&#" + "9" * 4301
PRODUCTS = [
    ("TÃ©lÃ©commande", "t&amp;eacute;l&eacute;"),
    ("Chaise lon\u00adgue", "nan"),
    (f"Livre {HUGE}", "\u0301" * 40_000),
    ("Table\x01basse \u202eabc", "\u200b<p>x</p>&#xD800;&#x110000;" + "<" * 500),
]
WORDLESS = [
    "",
    "!!!",
    "<br/>",
    "&nbsp;",
    "___",
    "nan",
    " NULL ",
    "\u200b\u00ad",
    "&amp;nbsp;",
    "<p>&#8203;</p>",
    "\u0301" * 50,
]
Products = Sequence[tuple[str, str]]


@pytest.fixture(scope="module")
def model(releases: tuple[Release, Release]) -> TextModel:
    return load_text(releases[0].path)[0]


@pytest.fixture(scope="module")
def offline(releases: tuple[Release, Release], model: TextModel) -> OfflineModels:
    return OfflineModels(releases[0].path)


@pytest.fixture(scope="module")
def gateway(servers: dict[str, RunningServer], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    yield from start(tmp_path_factory.mktemp("gateway"), {name: server.url for name, server in servers.items()})


@settings(max_examples=EXAMPLES)
@given(st.lists(st.tuples(VALID_TEXTS, VALID_TEXTS).filter(lambda texts: has_words(*texts)), min_size=1, max_size=4))
@example(PRODUCTS)
def test_any_text_has_the_same_probabilities_everywhere(
    servers: dict[str, RunningServer],
    gateway: Gateway,
    model: TextModel,
    offline: OfflineModels,
    products: list[tuple[str, str]],
) -> None:
    expected = in_training(model, products)

    text = servers["text-predictor"]
    for protocol in (by_v1, by_v2, by_v2_binary, by_grpc):
        np.testing.assert_allclose(protocol(text, products), expected, atol=TOLERANCE, err_msg=protocol.__name__)
    unseen = [UnseenProduct(number, *texts, "", model.codes[0], "", "a") for number, texts in enumerate(products)]
    fused = [(one.code, one.confidence) for one in offline.predict(unseen, {}) if one]
    with gateway.client() as client:
        rows = [{"designation": title, "description": body} for title, body in products]
        single = [client.post("/predict", json=row).json() for row in rows]
        batch = client.post("/predict/batch", json=rows).json()
    for answers in (single, batch):
        assert [code for code, _ in fused] == [str(answer["category"]["code"]) for answer in answers]
        np.testing.assert_allclose([one["confidence"] for one in answers], [one for _, one in fused], atol=TOLERANCE)
        of_text = [answer["modalities"]["text"]["probability"] for answer in answers]
        np.testing.assert_allclose(of_text, expected.max(axis=1), atol=TOLERANCE)


@pytest.mark.parametrize("text", WORDLESS)
def test_a_text_without_words_is_no_text(servers: dict[str, RunningServer], gateway: Gateway, text: str) -> None:
    alone, with_photo = {"designation": text, "description": text}, {"designation": text, "image": as_base64(photo(1))}
    fusion = servers["fusion-transformer"]
    with gateway.client() as client:
        refused = client.post("/predict", json=alone)
        batch = client.post("/predict/batch", json=[{"designation": "Livre"}, alone, with_photo]).json()
        photo_only = client.post("/predict", json={"image": as_base64(photo(1))}).json()

    assert (422, "urn:product-classifier:problem:invalid-product") == (refused.status_code, refused.json()["type"])
    assert [None, 422, None] == [entry.get("status") for entry in batch]
    assert batch[2]["modalities"]["text"] is None
    assert photo_only["confidence"] == pytest.approx(batch[2]["confidence"], abs=TOLERANCE)
    v2 = httpx.post(fusion.infer, json=v2_body([("Livre", ""), (text, text)]))
    v1 = httpx.post(fusion.predict, json={"instances": [{"designation": "Livre"}, alone]})
    assert [(400, True)] * 2 == [(reply.status_code, "row 1" in reply.json()["error"]) for reply in (v1, v2)]


def in_training(model: TextModel, products: Products) -> np.ndarray:
    """Return the probabilities of products that went through the catalogue, as the training reads them."""
    rows = [(repair(title), repair(body), model.codes[0]) for title, body in products]
    with TemporaryDirectory() as folder:
        split = Path(folder) / "split.parquet"
        frame = pd.DataFrame(rows, columns=["designation", "description", "code"])
        frame.assign(product_id=range(len(frame)), image_sha256="").to_parquet(split)
        texts = read_texts(split, split, model.codes, model.prepare)
    assert len(texts.prepared) == 2 * len(products)
    return model.classify(texts.prepared[: len(products)])


def v2_body(products: Products) -> dict[str, object]:
    columns = zip(("designation", "description"), zip(*products, strict=True), strict=True)
    return {
        "inputs": [
            {"name": name, "shape": [len(products)], "datatype": "BYTES", "data": list(values)}
            for name, values in columns
        ]
    }


def by_v1(server: RunningServer, products: Products) -> np.ndarray:
    instances = [{"designation": title, "description": body} for title, body in products]
    return np.array(httpx.post(server.predict, json={"instances": instances}).json()["predictions"])


def by_v2(server: RunningServer, products: Products) -> np.ndarray:
    (output,) = httpx.post(server.infer, json=v2_body(products)).json()["outputs"]
    return np.reshape(output["data"], output["shape"])


def by_v2_binary(server: RunningServer, products: Products) -> np.ndarray:
    titles, bodies = ([text.encode() for text in column] for column in zip(*products, strict=True))
    body, headers = encode_request({"designation": titles, "description": bodies})
    reply = httpx.post(server.infer, content=body, headers=headers)
    return decode_response(reply.content, reply.headers.get(HEADER_LENGTH)).outputs["probabilities"]


def by_grpc(server: RunningServer, products: Products) -> np.ndarray:
    request = pb.ModelInferRequest(model_name="text-predictor")
    for name, column in zip(("designation", "description"), zip(*products, strict=True), strict=True):
        request.inputs.add(name=name, datatype="BYTES", shape=[len(column)])
        request.raw_input_contents.append(pack_bytes([text.encode() for text in column]))
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        reply = GRPCInferenceServiceStub(channel).ModelInfer(request)
    return np.frombuffer(reply.raw_output_contents[0], np.float32).reshape(reply.outputs[0].shape)

"""Server codecs, worker pool, flags and error documents without a server."""

import asyncio
import struct
import threading
import time
from contextlib import suppress

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.http.problems import InvalidTensor, Overloaded
from inference.model_server.flags import parse_flags
from inference.model_server.workers import WorkerPool
from inference.oip.rest_codec import decode_v1, decode_v2, unpack_bytes
from inference.oip.types import InputTensor, ModelResponse, OutputTensor, Signature, validate_request
from product_classifier.errors import InvalidInput

SIGNATURE = Signature(
    (InputTensor("title"), InputTensor("photo", photo=True)), (OutputTensor("probabilities", "FP32"),)
)
RESPONSE = ModelResponse({"probabilities": np.array([[0.25, 0.75]], np.float32)}, "r-1", "v-1", {"degraded": False})


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_packed_bytes_are_unpacked_unchanged(elements: list[bytes]) -> None:
    packed = b"".join(struct.pack("<I", len(one)) + one for one in elements)

    assert elements == unpack_bytes(memoryview(packed), "photo", 64)


@given(st.binary(max_size=60))
def test_any_bytes_are_unpacked_or_refused(tail: bytes) -> None:
    try:
        elements = unpack_bytes(memoryview(tail), "photo", 64)
    except InvalidTensor:
        return
    assert len(tail) == sum(4 + len(one) for one in elements)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
tensors = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["title", "photo"]) | json_values,
        "shape": st.just([1]) | json_values,
        "datatype": st.just("BYTES") | json_values,
        "data": st.just(["YQ=="]) | json_values,
        "parameters": json_values,
    },
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "inputs": st.lists(tensors, max_size=3) | json_values,
        "instances": st.lists(json_values, max_size=3) | json_values,
        "outputs": json_values,
        "parameters": json_values,
        "id": json_values,
    },
)


@given(documents)
def test_any_json_is_decoded_or_refused(body: object) -> None:
    try:
        encoded = orjson.dumps(body)
    except TypeError:  # integers JSON has no room for
        return
    for read in (lambda: decode_v2(encoded, None, SIGNATURE), lambda: decode_v1(encoded, SIGNATURE)):
        with suppress(InvalidInput):
            assert read().rows in {1, 2, 3}


async def test_work_does_not_block_the_event_loop() -> None:
    workers, release = WorkerPool(1, 4), threading.Event()

    work = asyncio.create_task(workers.run(release.wait, 10))
    await asyncio.sleep(0)
    iterations = 0
    for _ in range(10):
        await asyncio.sleep(0)
        iterations += 1
    release.set()

    assert (10, True) == (iterations, await work)


async def test_work_is_refused_when_the_queue_is_full() -> None:
    workers, release = WorkerPool(1, 1), threading.Event()
    waiting = [asyncio.create_task(workers.run(release.wait, 10)) for _ in range(2)]
    await asyncio.sleep(0)

    with pytest.raises(Overloaded):
        await workers.run(time.sleep, 0)
    release.set()
    await asyncio.gather(*waiting)
    await asyncio.sleep(0)

    assert await workers.run(lambda: "accepted") == "accepted"


async def test_cancelled_work_occupies_its_thread_until_it_ends() -> None:
    workers, release = WorkerPool(1, 0), threading.Event()
    cancelled = asyncio.create_task(workers.run(release.wait, 10))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.sleep(0)

    with pytest.raises(Overloaded):
        await workers.run(time.sleep, 0)
    release.set()


async def test_work_cancelled_in_the_queue_is_not_started() -> None:
    workers, release, started = WorkerPool(1, 1), threading.Event(), threading.Event()
    running = asyncio.create_task(workers.run(release.wait, 10))
    waiting = asyncio.create_task(workers.run(started.set))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.sleep(0)
    release.set()
    await running

    assert await workers.run(lambda: "accepted") == "accepted"
    assert not started.is_set()


async def test_work_that_waited_too_long_is_refused() -> None:
    workers, release, started = WorkerPool(1, 1, max_wait_s=0), threading.Event(), threading.Event()
    busy = asyncio.create_task(workers.run(release.wait, 10))
    late = asyncio.create_task(workers.run(started.set))
    await asyncio.sleep(0.01)
    release.set()

    (outcome,) = await asyncio.gather(late, return_exceptions=True)

    assert isinstance(outcome, Overloaded)
    assert not started.is_set()
    await asyncio.gather(busy, return_exceptions=True)


def test_flags_that_the_controller_appends_are_ignored() -> None:
    argv = ["--model_dir", "/m", "--workers", "3", "--predictor_host", "x", "--http_port", "9", "--unheard_of=1"]

    flags = parse_flags("text-predictor", argv)

    assert ("/m", 9, "text-predictor") == (str(flags.model_dir), flags.http_port, flags.model_name)


@pytest.mark.parametrize("as_bytes", [True, False])
def test_a_text_has_at_most_the_characters_of_its_input(as_bytes: bool) -> None:
    signature = Signature((InputTensor("title", max_characters=4),), ())
    allowed, refused = ["éééé", "ééééé"] if not as_bytes else ["éééé".encode(), "ééééé".encode()]

    assert 1 == validate_request(signature, {"title": [allowed]}).rows
    with pytest.raises(InvalidTensor, match=r"input 'title', row 0: is .* long, more than 4 characters"):
        validate_request(signature, {"title": [refused]})

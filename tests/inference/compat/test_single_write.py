"""Writes of one event loop iteration are sent together, in order, and none is lost at close."""

import asyncio
from types import SimpleNamespace
from typing import cast

from inference.compat.single_write import SingleWriteTransport
from inference.compat.uvicorn import HttpProtocol

PROTOCOL = cast("HttpProtocol", SimpleNamespace(pipeline=(), expects_data=False))


class RecordingTransport(asyncio.Transport):
    """A transport that records the data of each call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[bytes] = []
        self.closed = False

    def writelines(self, list_of_data: object) -> None:
        self.calls.append(b"".join(list_of_data))  # type: ignore[call-overload]

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


async def test_head_and_body_are_one_write() -> None:
    recording = RecordingTransport()
    transport = SingleWriteTransport(recording, PROTOCOL)

    transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
    transport.write(b"body")
    before = list(recording.calls)
    await asyncio.sleep(0)

    assert before == []
    assert [b"HTTP/1.1 200 OK\r\n\r\nbody"] == recording.calls


async def test_later_iterations_are_separate_writes() -> None:
    recording = RecordingTransport()
    transport = SingleWriteTransport(recording, PROTOCOL)

    for chunk in (b"one", b"two"):
        transport.write(chunk)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    assert [b"one", b"two"] == recording.calls


async def test_pending_data_is_written_before_the_close() -> None:
    recording = RecordingTransport()
    transport = SingleWriteTransport(recording, PROTOCOL)

    transport.write(b"last response")
    transport.close()
    await asyncio.sleep(0)

    assert [b"last response"] == recording.calls
    assert recording.closed
    assert transport.is_closing()

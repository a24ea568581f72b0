"""What is written in pieces within one turn of the loop goes out whole, in order, and is not lost at the end."""

import asyncio

from inference.compat.uvicorn_writes import WholeWrites


class Wire(asyncio.Transport):
    """A transport that remembers what it was given, one entry per call."""

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
    wire = Wire()
    transport = WholeWrites(wire)

    transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
    transport.write(b"body")
    before = list(wire.calls)
    await asyncio.sleep(0)

    assert before == []
    assert [b"HTTP/1.1 200 OK\r\n\r\nbody"] == wire.calls


async def test_later_turns_are_writes_of_their_own() -> None:
    wire = Wire()
    transport = WholeWrites(wire)

    for chunk in (b"one", b"two"):
        transport.write(chunk)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    assert [b"one", b"two"] == wire.calls


async def test_nothing_is_lost_when_it_hangs_up() -> None:
    wire = Wire()
    transport = WholeWrites(wire)

    transport.write(b"last words")
    transport.close()
    await asyncio.sleep(0)

    assert [b"last words"] == wire.calls
    assert wire.closed
    assert transport.is_closing()

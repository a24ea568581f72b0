"""read_body: limits on size and time, and incomplete bodies."""

import asyncio
from typing import Any

import pytest

from inference.http.bodies import read_body
from inference.http.problems import BodyIncomplete, BodyTimeout, BodyTooLarge


class Body:
    """A request body in chunks; `receive` blocks after the last one if it is not complete."""

    def __init__(self, *chunks: bytes, complete: bool = True) -> None:
        self.chunks = list(chunks)
        self.complete = complete
        self.received = 0

    async def receive(self) -> dict[str, Any]:
        if self.received == len(self.chunks):
            await asyncio.sleep(10)
        chunk = self.chunks[self.received]
        self.received += 1
        more = self.received < len(self.chunks) or not self.complete
        return {"type": "http.request", "body": chunk, "more_body": more}


def scope(content_length: int | None = None) -> dict[str, Any]:
    headers = [] if content_length is None else [(b"content-length", b"%d" % content_length)]
    return {"type": "http", "headers": headers}


@pytest.mark.parametrize("chunks", [(b"",), (b"abcdef",), (b"ab", b"cd", b"ef")], ids=str)
async def test_a_body_within_the_limit_is_returned_whole(chunks: tuple[bytes, ...]) -> None:
    assert b"".join(chunks) == await read_body(scope(), Body(*chunks).receive, 6)


async def test_a_content_length_over_the_limit_is_refused_before_reading() -> None:
    body = Body(b"abcdefg")

    with pytest.raises(BodyTooLarge, match="more than 6 bytes"):
        await read_body(scope(7), body.receive, 6)
    assert 0 == body.received


async def test_chunks_over_the_limit_are_refused_without_reading_the_rest() -> None:
    body = Body(b"abcd", b"efgh", b"ijkl")

    with pytest.raises(BodyTooLarge, match="more than 6 bytes"):
        await read_body(scope(), body.receive, 6)
    assert 2 == body.received


async def test_a_body_that_does_not_arrive_in_time_is_refused() -> None:
    with pytest.raises(BodyTimeout, match=r"within 0\.01 s"):
        await read_body(scope(), Body(b"ab", complete=False).receive, 6, timeout_s=0.01)


async def test_a_disconnect_before_the_end_is_an_incomplete_body() -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    with pytest.raises(BodyIncomplete):
        await read_body(scope(2), receive, 6)

"""The worst requests one user can send, for row P19.

Run one by `python -m benchmarks.attacks ATTACK PORT SECONDS`, with an access token on standard input.
An attack runs in its own process with low priority: the machine of an attacker is another one.
"""

import argparse
import asyncio
import base64
import io
import json
import os
import sys
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import psutil
import uvloop

from benchmarks.load import ConnectionPool
from benchmarks.payloads import JSON, post

CONCURRENCY = 8
"""Requests of the attacker in progress; the number with which a good client was first degraded."""
BODY = 12 * 2**20 - 1000
PIPELINED = 1000
UPLOADS = 150
UPLOAD_BYTES = 6_000_000
IDLE = 1003
MIN_AVAILABLE = 4 << 30
"""Bytes of memory of the machine below which an attack ends."""

Attack = Callable[[int, str, float], Awaitable[Counter[str]]]
"""Attacks a gateway with a token for some seconds; returns how often it got each status."""


def _predict(token: str, body: bytes) -> bytes:
    return post("/predict", body, JSON | {"Authorization": f"Bearer {token}"})


def _text(description: str) -> Callable[[str], bytes]:
    return lambda token: _predict(token, json.dumps({"description": description}).encode())


def _photo(make: Callable[[], bytes]) -> Callable[[str], bytes]:
    return lambda token: _predict(token, b'{"image":"' + base64.b64encode(make()) + b'"}')


def _body(path: str, make: Callable[[], bytes]) -> Callable[[str], bytes]:
    return lambda token: post(path, make(), JSON | {"Authorization": f"Bearer {token}"})


def _one_color_png() -> bytes:
    from PIL import Image  # noqa: PLC0415 - only for this attack

    out = io.BytesIO()
    Image.new("RGBA", (4000, 4000), (200, 30, 30, 255)).save(out, "PNG")
    return out.getvalue()


def _camera_jpeg() -> bytes:
    from PIL import Image  # noqa: PLC0415

    out = io.BytesIO()
    noise = Image.effect_noise((1000, 750), 60).resize((4000, 3000)).convert("RGB")
    noise.save(out, "JPEG", quality=85)
    return out.getvalue()


def _png_of_two_sizes() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    def size(side: int) -> bytes:
        return chunk(b"IHDR", side.to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00")

    pixels = chunk(b"IDAT", zlib.compress(bytes(12_000 * 36_001), 9))
    return b"\x89PNG\r\n\x1a\n" + size(1) + size(12_000) + pixels + chunk(b"IEND", b"")


def _empty_elements() -> bytes:
    tensor = {"name": "designation", "shape": [1_000_000], "datatype": "BYTES", "data": [""] * 1_000_000}
    return json.dumps({"inputs": [tensor]}, separators=(",", ":")).encode()


def _outputs() -> bytes:
    tensor = {"name": "designation", "shape": [1], "datatype": "BYTES", "data": ["a"]}
    return json.dumps({"inputs": [tensor], "outputs": [{"name": "probabilities"}] * 200_000}).encode()


async def _repeat(make: Callable[[str], bytes], port: int, token: str, seconds: float) -> Counter[str]:
    """Keep `CONCURRENCY` equal requests in progress."""
    request, statuses, end = make(token), Counter[str](), time.monotonic() + seconds
    pool = ConnectionPool("127.0.0.1", port)

    async def send_until_end() -> None:
        while time.monotonic() < end:
            if psutil.virtual_memory().available < MIN_AVAILABLE:
                raise MemoryError("the attack is stopped: the machine has no memory left")
            response = await pool.send(request)
            statuses[str(response.status)] += 1
            if response.status in {0, 429}:
                await asyncio.sleep(0.01)

    await asyncio.gather(*(send_until_end() for _ in range(CONCURRENCY)))
    pool.close()
    return statuses


async def _pipeline(path: str, port: int, _: str, seconds: float) -> Counter[str]:
    """Send many requests at once on each connection, and discard the responses."""
    requests = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * PIPELINED
    statuses, end = Counter[str](), time.monotonic() + seconds

    async def send_until_end() -> None:
        while time.monotonic() < end:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(requests)
                while time.monotonic() < end and (data := await asyncio.wait_for(reader.read(1 << 20), 1)):
                    statuses["200"] += data.count(b"HTTP/1.1 200")
                writer.close()
            except (OSError, TimeoutError):
                await asyncio.sleep(0.01)

    await asyncio.gather(*(send_until_end() for _ in range(CONCURRENCY)))
    return statuses


async def _hold_uploads(port: int, token: str, seconds: float) -> Counter[str]:
    """Send half of a large body on many connections; begin again where the server ends one."""
    head = (
        f"POST /predict HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {2 * UPLOAD_BYTES}\r\n\r\n"
    )
    return await _hold(port, head.encode() + b" " * UPLOAD_BYTES, UPLOADS, seconds)


async def _hold_idle(port: int, _: str, seconds: float) -> Counter[str]:
    return await _hold(port, b"", IDLE, seconds)


async def _hold(port: int, data: bytes, connections: int, seconds: float) -> Counter[str]:
    statuses, end = Counter[str](), time.monotonic() + seconds

    async def hold_until_end() -> None:
        while (left := end - time.monotonic()) > 0:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(data)
                answer = await asyncio.wait_for(reader.read(100), left)
                statuses[answer[9:12].decode("latin-1") or "closed"] += 1
                writer.close()
            except TimeoutError:
                writer.transport.abort()
                statuses["held"] += 1
            except OSError:
                statuses["reset"] += 1
            await asyncio.sleep(0.05)

    await asyncio.gather(*(hold_until_end() for _ in range(connections)))
    return statuses


def _password(_: str) -> bytes:
    form = b"grant_type=password&username=demo-admin&password=wrong-" + os.urandom(8).hex().encode()
    return post("/token", form, {"Content-Type": "application/x-www-form-urlencoded"})


ATTACKS: Mapping[str, Attack] = {
    "combining marks": partial(_repeat, _text("e" + "\u0301" * 49_000)),
    "a huge entity": partial(_repeat, _text("&#" + "9" * 49_000)),
    "markup": partial(_repeat, _text("<a " * 16_000)),
    "one-color PNG of 16 megapixels": partial(_repeat, _photo(_one_color_png)),
    "JPEG of 12 megapixels": partial(_repeat, _photo(_camera_jpeg)),
    "PNG with two sizes": partial(_repeat, _photo(_png_of_two_sizes)),
    "JPEG of empty images": partial(_repeat, _photo(lambda: b"\xff\xd8\xff\xd9" * 1_475_000)),
    "JPEG of fill bytes": partial(_repeat, _photo(lambda: b"\xff\xd8" + b"\xff" * 5_900_000)),
    "empty lists": partial(_repeat, _body("/predict/batch", lambda: b"[" + b"[]," * (BODY // 3) + b"[]]")),
    "many keys": partial(
        _repeat, _body("/predict", lambda: b"{" + b",".join(b'"%d":1' % n for n in range(900_000)) + b"}")
    ),
    "deep JSON": partial(_repeat, _body("/feedback", lambda: b"[" * BODY)),
    "empty elements": partial(_repeat, _body("/v2/models/fusion-transformer/infer", _empty_elements)),
    "repeated outputs": partial(_repeat, _body("/v2/models/fusion-transformer/infer", _outputs)),
    "a 413": partial(_repeat, _body("/predict", lambda: bytes(20_000_000))),
    "pipelined /openapi.json": partial(_pipeline, "/openapi.json"),
    "pipelined /docs": partial(_pipeline, "/docs"),
    "held uploads": _hold_uploads,
    "idle connections": _hold_idle,
    "password guesses": partial(_repeat, _password),
}


def main(argv: Sequence[str]) -> int:
    """Run one attack and print the statuses it got as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attacks", description=__doc__)
    parser.add_argument("attack", choices=list(ATTACKS))
    parser.add_argument("port", type=int)
    parser.add_argument("seconds", type=float)
    given = parser.parse_args(argv)
    os.nice(10)
    token = sys.stdin.readline().strip()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        statuses = runner.run(_run(given.attack, given.port, token, given.seconds))
    print(json.dumps(statuses))  # noqa: T201
    return 0


async def _run(attack: str, port: int, token: str, seconds: float) -> Counter[str]:
    return await ATTACKS[attack](port, token, seconds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

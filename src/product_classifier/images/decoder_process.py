"""Decode WebP and AVIF in processes that end at the limits on CPU time and memory.

Headers bound what decoding a JPEG or PNG costs. They do not bound a WebP or AVIF: a few bits can stand for any number
of coefficients or tables. A server process without threads forks one process per photo, which the kernel ends at the
limits. It starts with the first such photo, or with `start`, and ends with this process.
"""

import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
from typing import Any

import numpy as np

from product_classifier.errors import InvalidImage
from product_classifier.images.image_info import ImageInfo
from product_classifier.limits import PHOTO_DECODING_BYTES, PHOTO_DECODING_MS

WALL_CLOCK_S = 20.0
"""Seconds for one photo, including those in which the process does not run."""
_HEADER = struct.Struct("<4sIIIB?I")
"""Format, width, height, size of the square, orientation, whether to trim, and length of a photo."""
_DECODED, _REFUSED, _FAILED = b"d", b"r", b"f"


class DecoderProcess:
    """A client of one server process; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def start(self) -> None:
        """Start the server, without waiting until it is ready."""
        with self._lock:
            self._running()

    def decode(self, data: bytes, info: ImageInfo, size: int, *, trimmed: bool = False) -> tuple[Any, int]:
        """Return RGB pixels `[size, size, 3]` before rotation, and the EXIF orientation.

        Raises:
            InvalidImage: If the photo cannot be decoded within the limits.
        """
        kind = info.format.encode()
        header = _HEADER.pack(kind, info.width, info.height, size, info.orientation, trimmed, len(data))
        with self._connect() as connection:
            status, reply = _exchange(connection, header + data)
        if status == _DECODED:
            return np.frombuffer(reply, np.uint8, offset=1).reshape(size, size, 3), reply[0]
        if status == _FAILED:
            raise OSError(f"the decoder process cannot fork: {reply.decode(errors='replace')}")
        raise InvalidImage(
            f"the {info.format} cannot be decoded: {reply.decode(errors='replace')}"
            if status == _REFUSED
            else f"the {info.format} of {info.width}x{info.height} pixels does not decode within {PHOTO_DECODING_MS} ms"
            f" and {PHOTO_DECODING_BYTES / 1e6:.0f} MB; send it smaller or as a baseline JPEG"
        )

    def _connect(self) -> socket.socket:
        """Return a connection to a new process that decodes one photo; start the server if it has ended."""
        ours, theirs = socket.socketpair()
        ours.settimeout(WALL_CLOCK_S)
        with theirs, self._lock:
            for attempt in (1, 2):
                control = self._running()
                try:
                    socket.send_fds(control, [b"p"], [theirs.fileno()])
                except OSError:
                    self._end()
                    if attempt == 2:
                        ours.close()
                        raise
                else:
                    break
        return ours

    def _running(self) -> socket.socket:
        if self._control is not None and self._owner == os.getpid():  # a fork of this process starts its own server
            return self._control
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - a fixed command
                [sys.executable, "-m", "product_classifier.images.decoder_server", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )
        self._control, self._owner = ours, os.getpid()
        return ours

    def _end(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None and self._owner == os.getpid():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """End the server."""
        with self._lock:
            self._end()


def _exchange(connection: socket.socket, request: bytes) -> tuple[bytes, bytes]:
    """Send a request and return status and content of the reply; empty if the process was ended."""
    try:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(1 << 20):
            parts.append(part)
    except (BrokenPipeError, ConnectionResetError, TimeoutError):
        return b"", b""
    reply = b"".join(parts)
    return reply[:1], reply[1:]


_server = DecoderProcess()
start, decode, close = _server.start, _server.decode, _server.close

"""The process that forks one process per WebP or AVIF photo; see `decoder_process`."""

import gc
import io
import os
import resource
import select
import signal
import socket
import sys
from typing import Any, NoReturn

import cv2
import numpy as np
from PIL import AvifImagePlugin, Image

from product_classifier.images.decoder_process import _DECODED, _FAILED, _HEADER, _REFUSED
from product_classifier.images.scaling import Pixels, composite_on_white, fit, trim
from product_classifier.limits import PHOTO_DECODING_BYTES, PHOTO_DECODING_MS

PARENT_INTERVAL_S = 5.0
"""Seconds between checks that the parent lives; a fork of it can hold the control socket open."""
_STRIP_ROWS = 64


def main(descriptor: int) -> None:
    """Fork a process for each connection that arrives on a control socket, until the parent has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides when to end
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    control, parent = socket.socket(fileno=descriptor), os.getppid()
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    Image.preinit()
    gc.freeze()
    while os.getppid() == parent:
        if not select.select([control], [], [], PARENT_INTERVAL_S)[0]:
            continue
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        _fork(control, socket.socket(fileno=descriptors[0]))


def _fork(control: socket.socket, connection: socket.socket) -> None:
    with connection:
        try:
            child = os.fork()
        except OSError as error:
            connection.sendall(_FAILED + str(error).encode())
            return
        if child == 0:
            control.close()
            _decode_one(connection)


def _decode_one(connection: socket.socket) -> NoReturn:
    """Decode the photo of a connection and end this process."""
    try:
        request = bytearray()
        while part := connection.recv(1 << 20):
            request += part
        kind, width, height, size, orientation, trimmed, length = _HEADER.unpack_from(request)
        data = memoryview(request)[_HEADER.size :]
        if len(data) != length:
            os._exit(1)
        _limit()
        try:
            read = _read_webp if kind == b"WEBP" else _read_avif
            pixels, orientation = read(data, width, height, orientation)
            square = fit(trim(pixels) if trimmed else pixels, size)
            reply = _DECODED + bytes([orientation]) + square.tobytes()
        except Exception as error:  # noqa: BLE001 - the process exists to contain what a decoder does
            reply = _REFUSED + (str(error).splitlines() or ["it is damaged"])[0][:80].encode()
        signal.setitimer(signal.ITIMER_PROF, 0)
        connection.sendall(reply)
    finally:
        os._exit(0)


def _limit() -> None:
    """Let the kernel end this process at the limits."""
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - pathlib costs more than the read
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + PHOTO_DECODING_BYTES,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, PHOTO_DECODING_MS / 1000)


def _read_webp(data: memoryview, width: int, height: int, orientation: int) -> tuple[Pixels, int]:
    """Return RGB pixels; OpenCV needs a third of the memory of Pillow, which has a decoder for animations only."""
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise ValueError("it is damaged")
    _check_size(decoded.shape[1], decoded.shape[0], width, height)
    rgb = np.empty((height, width, 3), np.uint8) if decoded.shape[2] == 4 else decoded
    for top in range(0, height, _STRIP_ROWS):
        part = decoded[top : top + _STRIP_ROWS]
        swapped = cv2.cvtColor(part, cv2.COLOR_BGRA2RGBA if decoded.shape[2] == 4 else cv2.COLOR_BGR2RGB)
        rgb[top : top + _STRIP_ROWS] = composite_on_white(swapped) if decoded.shape[2] == 4 else swapped
    return rgb, orientation


def _read_avif(data: memoryview, width: int, height: int, _: int) -> tuple[Pixels, int]:
    """Return RGB pixels and the orientation, which the boxes of the file say."""
    image: Any = Image.open(io.BytesIO(data), formats=["AVIF"])
    _check_size(image.width, image.height, width, height)
    if getattr(image, "n_frames", 1) != 1:
        raise ValueError("it is animated")
    turned = image.getexif().get(0x0112, 1)
    image.load()
    _check_size(image.width, image.height, width, height)
    rgb = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _STRIP_ROWS):
        part = image.crop((0, top, width, min(top + _STRIP_ROWS, height)))
        if part.mode == "RGBA":
            rgb[top : top + _STRIP_ROWS] = composite_on_white(np.asarray(part))
        else:
            rgb[top : top + _STRIP_ROWS] = np.asarray(part.convert("RGB"))
    return rgb, turned if isinstance(turned, int) and 1 <= turned <= 8 else 1


def _check_size(found_width: int, found_height: int, width: int, height: int) -> None:
    if (found_width, found_height) != (width, height):
        raise ValueError(f"it is {width}x{height} pixels by its header and {found_width}x{found_height} by the decoder")


if __name__ == "__main__":
    main(int(sys.argv[1]))

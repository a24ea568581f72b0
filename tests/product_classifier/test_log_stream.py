"""A log never waits for its reader; dropped lines are counted and reported in their place."""

import fcntl
import os
import pty
import re
import select
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from product_classifier.log_stream import MAX_WAITING_BYTES, LogStream

Pair = tuple[int, int]
"""Descriptors of the reader and of the writer."""


def open_pipe() -> Pair:
    return os.pipe()


def open_terminal() -> Pair:
    return pty.openpty()


def open_socket() -> Pair:
    reader, writer = socket.socketpair()
    return reader.detach(), writer.detach()


@pytest.fixture(params=[open_pipe, open_terminal, open_socket])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    reader, writer = request.param()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def stream_on(descriptor: int) -> LogStream:
    return LogStream(descriptor, lambda count: f"dropped {count}\n")


def read(descriptor: int, until: Callable[[bytes], bool], within_s: float = 30) -> list[str]:
    """Read until a condition holds; return the lines."""
    found, end = b"", time.monotonic() + within_s
    while not until(found):
        assert time.monotonic() < end, found[-500:]
        if select.select([descriptor], [], [], 0.1)[0]:
            found += os.read(descriptor, 65536)
    return found.decode().replace("\r\n", "\n").splitlines()


def test_lines_are_written_at_once_while_they_are_read(pair: Pair) -> None:
    reader, writer = pair
    stream = stream_on(writer)
    for number in range(100):
        stream.write(f"line {number}\n")
        assert [f"line {number}"] == read(reader, lambda found: found.endswith(b"\n"))

    assert 0 == stream.dropped


def test_without_a_reader_lines_wait_and_then_arrive_in_order(pair: Pair) -> None:
    reader, writer = pair
    stream = stream_on(writer)
    lines = [f"{number} {'x' * 100}" for number in range(5000)]
    for line in lines:
        stream.write(line + "\n")

    assert lines == read(reader, lambda found: b"4999 x" in found and found.endswith(b"\n"))
    assert 0 == stream.dropped


def test_lines_that_wait_are_never_written_to_another_file_with_the_number_of_the_descriptor(pair: Pair) -> None:
    reader, writer = pair
    other_reader, other_writer = os.pipe()
    stream = stream_on(writer)
    lines = [f"{number} {'x' * 100}" for number in range(5000)]
    for line in lines:
        stream.write(line + "\n")
    os.dup2(other_writer, writer)

    found = read(reader, lambda found: b"4999 x" in found and found.endswith(b"\n"))

    assert lines == found
    assert not select.select([other_reader], [], [], 0)[0]
    os.close(other_reader)
    os.close(other_writer)


def test_a_closed_descriptor_gets_no_line_when_its_number_is_given_to_another_file() -> None:
    reader, writer = os.pipe()
    closed = os.dup(writer)
    os.close(closed)
    stream = stream_on(closed)
    stream.write("line\n")
    assert stream.wait_until_written(30)
    os.dup2(writer, closed)
    stream.write("line\n")

    assert stream.wait_until_written(30)
    assert not select.select([reader], [], [], 0)[0]
    assert 2 == stream.dropped
    for descriptor in (reader, writer, closed):
        os.close(descriptor)


def test_the_lines_that_were_dropped_are_reported_in_their_place() -> None:
    reader, writer = os.pipe()
    stream = stream_on(writer)
    count = 3 * MAX_WAITING_BYTES // 1000
    for number in range(count):
        stream.write(f"{number:06} {'x' * 992}\n")
    dropped = stream.dropped
    lines = read(reader, lambda found: b"dropped" in found)
    for number in range(count, count + 10):
        stream.write(f"{number:06} y\n")
    lines += read(reader, lambda found: f"{count + 9:06}".encode() in found)
    [position] = [at for at, line in enumerate(lines) if line.startswith("dropped")]

    assert 0 < dropped < count
    assert lines[position] == f"dropped {dropped}"
    assert [int(line[:6]) for line in lines[:position]] == list(range(count - dropped))
    assert [int(line[:6]) for line in lines[position + 1 :]] == list(range(count, count + 10))


def test_lines_of_several_threads_and_a_slow_reader_are_whole_and_in_the_order_of_their_thread() -> None:
    reader, writer = os.pipe()
    stream = stream_on(writer)

    def write(thread: int) -> None:
        for number in range(2000):
            stream.write(f"{thread} {number} {'x' * (number % 300)}.\n")

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(6)]
    for thread in threads:
        thread.start()
    lines = read(reader, lambda found: found.count(b"\n") == 12_000)

    assert all(re.fullmatch(r"\d \d+ x*\.", line) for line in lines)
    for thread in range(6):
        numbers = [int(line.split()[1]) for line in lines if line.startswith(f"{thread} ")]
        assert list(range(2000)) == numbers


def test_a_terminal_whose_output_is_stopped_blocks_nothing() -> None:
    reader, writer = pty.openpty()
    stream = stream_on(writer)
    termios.tcflow(writer, termios.TCOOFF)  # Ctrl-S
    for number in range(1000):
        stream.write(f"line {number}\n")
    termios.tcflow(writer, termios.TCOON)

    assert [f"line {number}" for number in range(1000)] == read(reader, lambda found: b"line 999" in found)


def test_the_descriptor_stays_as_it_is_for_the_processes_that_share_it(pair: Pair) -> None:
    _, writer = pair
    stream_on(writer).write("line\n")

    assert not fcntl.fcntl(writer, fcntl.F_GETFL) & os.O_NONBLOCK


def test_a_closed_reader_raises_nothing_and_is_noticed() -> None:
    reader, writer = os.pipe()
    stream = stream_on(writer)
    stream.write("line\n")
    os.close(reader)
    for _ in range(3):
        stream.write("line\n")

    assert stream.is_closed
    assert 3 == stream.dropped


def test_a_closed_reader_is_noticed_while_lines_wait() -> None:
    reader, writer = os.pipe()
    stream = stream_on(writer)
    for _ in range(2000):
        stream.write("x" * 99 + "\n")
    os.close(reader)

    assert stream.wait_until_written(30)
    assert stream.is_closed
    assert stream.dropped


def test_a_full_disk_is_no_closed_reader_and_its_lines_are_reported(tmp_path: Path) -> None:
    if not os.access("/dev/full", os.W_OK):
        pytest.skip("there is no /dev/full")
    descriptor = os.open("/dev/full", os.O_WRONLY)
    stream = stream_on(descriptor)
    for _ in range(5):
        stream.write("line\n")
    assert (stream.dropped, stream.is_closed) == (5, False)

    with (tmp_path / "log").open("wb") as file:
        os.dup2(file.fileno(), descriptor)
        fresh = stream_on(descriptor)
        fresh.write("line\n")

    assert "line\n" == (tmp_path / "log").read_text()


FORKING = """
import os, sys
from product_classifier.log_stream import LogStream
stream = LogStream(1, lambda count: f"dropped {count}\\n")
for number in range(2000):
    stream.write(f"parent {number} {'x' * 90}\\n")
child = os.fork()
stream.write(f"{'parent' if child else 'child'} end\\n")
stream.wait_until_written(30)
if child:
    os.waitpid(child, 0)
else:
    os._exit(0)
"""


def test_a_forked_process_does_not_write_the_waiting_lines_again() -> None:
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", FORKING], stdout=subprocess.PIPE) as process:
        assert process.stdout
        time.sleep(1)
        lines = process.stdout.read().decode().splitlines()

    assert [f"parent {number}" for number in range(2000)] == [
        " ".join(line.split()[:2]) for line in lines if "x" in line
    ]
    assert 1 == lines.count("parent end")
    assert 1 == lines.count("child end")


EXITING = """
import sys
from product_classifier.observability import configure_logging, dropped_log_lines, get_logger
configure_logging("test", json=True)
for number in range(int(sys.argv[1])):
    get_logger().info("counted", number=number, padding="x" * 200)
print(dropped_log_lines()["full"], flush=True)
"""


def test_a_process_logs_more_than_its_pipe_holds_and_ends_although_nothing_reads() -> None:
    command = [sys.executable, "-c", EXITING, "40000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert int(process.stdout.readline()) > 0
        assert 0 == process.wait(60)


def test_the_exit_writes_what_waits_if_it_is_read() -> None:
    command = [sys.executable, "-c", EXITING, "1000"]
    found = subprocess.run(command, capture_output=True, check=True)

    assert b"0\n" == found.stdout
    assert 1000 == len(found.stderr.splitlines())
    assert b'"number":999' in found.stderr.splitlines()[-1]

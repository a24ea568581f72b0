"""The measuring code of the benchmarks, on synthetic servers and figures."""

import asyncio
import json
import math
from pathlib import Path

import pytest

from benchmarks import capacity, compare, load, profiling, report
from benchmarks.load import ConnectionPool, Load, LoadResponse, closed_loop, open_loop, poisson
from benchmarks.outcome import Check, Outcome
from benchmarks.table import ROWS


def test_open_loop_charges_a_stall_to_every_request_scheduled_during_it() -> None:
    """One request takes 200 ms: the open loop charges every request scheduled during the stall."""
    free = asyncio.Lock()

    async def one_at_a_time(number: int) -> int:
        async with free:
            await asyncio.sleep(0.2 if number == 5 else 0)
        return 200

    moments = [number * 0.01 for number in range(40)]
    found = asyncio.run(open_loop(one_at_a_time, moments))

    late = [latency for latency in found.latencies_s if latency > 0.02]
    assert 15 <= len(late) <= 25
    assert found.latencies_s[6] > 0.15
    assert found.percentile_ms(90) > 100


def test_closed_loop_keeps_the_requested_concurrency() -> None:
    in_flight, most = 0, 0

    async def send(_: int) -> int:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(0.001)
        in_flight -= 1
        return 200

    found = asyncio.run(closed_loop(send, 3, 0.05))

    assert 3 == most
    assert len(found.statuses) == found.answered > 10


def test_poisson_arrivals_have_the_requested_rate_and_are_deterministic() -> None:
    moments = poisson(200, 20, 1)

    assert 17 < moments[-1] < 23
    assert sorted(moments) == list(moments) == list(poisson(200, 20, 1))


def test_only_2xx_responses_count_as_answered() -> None:
    found = Load(2.0, (0.1, 0.2, 0.3, 9.0), (200, 503, 200, load.NO_RESPONSE), 0.5, 2.0)

    assert (2, 1.0) == (found.answered, found.rate)
    assert {"0": 1, "200": 2, "503": 1} == found.status_counts()
    assert 200 == pytest.approx(found.percentile_ms(50))
    assert math.isinf(Load(1.0, (), (), 0).percentile_ms(50))


async def test_a_closed_connection_is_counted_and_replaced() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        if connections > 1:
            writer.write(b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        pool = ConnectionPool("127.0.0.1", server.sockets[0].getsockname()[1])
        found = [await pool.send(b"GET / HTTP/1.1\r\n\r\n") for _ in range(2)]

    assert [LoadResponse(0), LoadResponse(200, b"ok", ((b"x-a", b"b"), (b"content-length", b"2")))] == found


def test_cost_per_response_is_refused_when_requests_fail() -> None:
    class Busy:
        name, log = "busy", Path("log")

        def cpu_s(self) -> float:
            return 1.0

    with pytest.raises(compare.TooManyFailures, match="'503': 9"):
        compare.measure_cost(Busy(), lambda: Load(1.0, (0.1,) * 10, (200,) + (503,) * 9, 0.1))  # type: ignore[arg-type]


def test_sides_are_measured_alternately() -> None:
    order: list[str] = []
    compare.alternate({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)

    assert ["a", "b", "a", "b"] == order


@pytest.mark.parametrize("limit", [37, 150])
def test_the_search_converges_on_the_sustainable_rate(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def tried(_port: int, _requests: object, moments: list[float]) -> Load:
        rate = len(moments) / capacity.SECONDS
        latency = 0.01 if rate <= limit else 1.0
        return Load(capacity.SECONDS, (latency,) * len(moments), (200,) * len(moments), 0.1, rate)

    monkeypatch.setattr(capacity, "http_closed_loop", lambda *_: Load(1.0, (0.01,) * 160, (200,) * 160, 0.1))
    monkeypatch.setattr(capacity, "http_open_loop", tried)

    found = capacity.search(1, [b""], 100, lambda: 0.0, 1)

    assert found.rate <= limit
    assert limit - found.rate < 160 / 2**4
    assert 160 == found.peak


@pytest.mark.parametrize(("value", "bound", "met"), [(1.0, "≤", True), (1.1, "≤", False), (1.0, "≥", True)])
def test_a_goal_reached_exactly_is_met(value: float, bound: str, met: bool) -> None:
    assert met is Check("x", value, "ms", bound, 1.0).met  # type: ignore[arg-type]


def test_the_table_shows_met_missed_and_unmeasured_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = Outcome("0.2 ms", "1 ms", 5.0, [Check("CPU", 0.2, "ms", "≤", 0.35)], [{"what": "a|b", "ms": 0.2}])
    bad = Outcome("9 ms", "1 ms", 0.1, [Check("CPU", 9.0, "ms", "≤", 0.6)], series={"ours": [(1, 2), (3, 4)]})
    machine = dict.fromkeys(("processor", "cores", "memory_gb", "system", "python", "started", "commit"), "?")
    about = {"machine": machine | {"load_before": 0}, "seconds": 1.0, "command": "make bench"}
    for row, found in {"P1": good.to_json(), "P4": bad.to_json(), "P9": {"error": "OSError: x"}}.items():
        (tmp_path / f"{row}.json").write_text(json.dumps(about | found))
    monkeypatch.setattr(report, "README", tmp_path / "README.md")

    report.write(tmp_path)

    page = (tmp_path / "README.md").read_text()
    assert "| 0.2 ms | 5.0× | met |" in page
    assert "**missed**: CPU" in page
    assert "not measured: OSError: x" in page
    assert "| a\\|b | 0.2 |" in page
    assert "![`/predict` with text and photo, p99 ≤ 100 ms](results/P4.svg)" in page
    assert (tmp_path / "P4.svg").exists()


def test_every_row_has_a_module() -> None:
    rows = Path(report.__file__).parent / "rows"

    assert {row.module for row in ROWS.values()} == {path.stem for path in rows.glob("*.py")} - {"__init__"}
    assert [f"P{number}" for number in (*range(1, 17), 18, 19, 20, 21, 22, 23, 24)] == [
        name for name in ROWS if name.startswith("P")
    ]


def test_a_profile_counts_the_innermost_function_of_each_stack() -> None:
    stacks = "main (a.py:1);work (a.py:2) 3\nmain (a.py:1) 1\nmain (a.py:1);other (a.py:9);work (a.py:2) 4\n"

    assert ["88% work (a.py:2)", "12% main (a.py:1)"] == profiling._longest(stacks)

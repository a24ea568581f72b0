"""Three models in one process against three processes, behind the same gateway."""

from functools import partial
from pathlib import Path

from benchmarks import capacity, materials, payloads
from benchmarks.compare import alternate, median_of
from benchmarks.machine import ALL
from benchmarks.outcome import Outcome
from benchmarks.rows import p04_predict
from benchmarks.stack import running_product

ROUNDS = 1
P99_MS = {"text and photo": 100.0, "text": 25.0}


def measure(folder: Path) -> Outcome:
    """Search the capacity of both layouts for both kinds of request."""
    samples = list(zip(materials.products(p04_predict.PHOTOS), materials.photos(p04_predict.PHOTOS), strict=True))
    with (
        running_product(folder / "apart", ALL) as apart,
        running_product(folder / "together", ALL, collocated=True) as together,
    ):
        stacks = {"three processes": apart, "one process": together}
        sides = {}
        for name, stack in stacks.items():
            for kind, bound in P99_MS.items():
                requests = [
                    payloads.predict(one, photo if kind != "text" else None, stack.token) for one, photo in samples
                ]
                sides[f"{name}, {kind}"] = partial(capacity.search, stack.port, requests, bound, stack.cpu_s, 6)
        found = alternate(sides, ROUNDS)
        memory = {name: stack.memory_mb() for name, stack in stacks.items()}
    rate = {name: median_of([one.rate for one in rounds]) for name, rounds in found.items()}
    cpu = {name: median_of([one.cpu_ms for one in rounds]) for name, rounds in found.items()}

    def summary(layout: str) -> str:
        kinds = ", ".join(
            f"{kind} {rate[f'{layout}, {kind}']:.0f}/s at {cpu[f'{layout}, {kind}']:.1f} ms CPU" for kind in P99_MS
        )
        return f"{layout}: {kinds}, {memory[layout]:.0f} MiB"

    return Outcome(
        ours=summary("one process"),
        peer=summary("three processes"),
        ratio=cpu["three processes, text"] / cpu["one process, text"],
        checks=[],
        details=[p04_predict.describe(name, of, memory[name.partition(",")[0]]) for name, of in found.items()],
        series={name: rounds[-1].tried for name, rounds in found.items()},
        note="The ratio is that of CPU per request with text alone.",
    )

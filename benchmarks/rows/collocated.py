"""One process for all three models, beside three, behind the same gateway."""

from functools import partial
from pathlib import Path

from benchmarks import capacity, materials, payloads
from benchmarks.compare import in_turns, middle
from benchmarks.machine import ALL
from benchmarks.outcome import Outcome
from benchmarks.rows import p04_predict
from benchmarks.stack import product

ROUNDS = 1
P99_MS = {"text and photo": 100.0, "text": 25.0}


def measure(folder: Path) -> Outcome:
    """Search the capacity of both ways for both kinds of request."""
    asked = list(zip(materials.products(p04_predict.PHOTOS), materials.photos(p04_predict.PHOTOS), strict=True))
    with product(folder / "apart", ALL) as apart, product(folder / "together", ALL, collocated=True) as together:
        stacks = {"three processes": apart, "one process": together}
        sides = {}
        for name, stack in stacks.items():
            for kind, bound in P99_MS.items():
                requests = [
                    payloads.predict(one, photo if kind != "text" else None, stack.token) for one, photo in asked
                ]
                sides[f"{name}, {kind}"] = partial(capacity.search, stack.port, requests, bound, stack.cpu_s, 6)
        found = in_turns(sides, ROUNDS)
        memory = {name: stack.memory_mb() for name, stack in stacks.items()}
    rate = {name: middle([one.rate for one in rounds]) for name, rounds in found.items()}
    cpu = {name: middle([one.cpu_ms for one in rounds]) for name, rounds in found.items()}

    def told(way: str) -> str:
        kinds = ", ".join(
            f"{kind} {rate[f'{way}, {kind}']:.0f}/s at {cpu[f'{way}, {kind}']:.1f} ms CPU" for kind in P99_MS
        )
        return f"{way}: {kinds}, {memory[way]:.0f} MiB"

    return Outcome(
        ours=told("one process"),
        peer=told("three processes"),
        ratio=cpu["three processes, text"] / cpu["one process, text"],
        checks=[],
        details=[p04_predict.describe(name, of, memory[name.partition(",")[0]]) for name, of in found.items()],
        series={name: rounds[-1].tried for name, rounds in found.items()},
        note="The ratio is that of CPU per request with text alone.",
    )

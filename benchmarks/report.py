"""The tables and curves of a whole run, from its results and from nothing else."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.table import ROWS

README = Path(__file__).parent / "README.md"
ABOUT = """\
# What it costs

<!-- written by `make bench`; edit benchmarks/report.py instead -->

`make bench` measures everything again and writes this page ({minutes:.0f} minutes); `make bench ROW=P3`
measures one row, into `build/bench/results/`. Every peer is measured in the same run, in turns with ours (A B A
B), with the same payloads and, where there is one, the same model file. It lives in an environment of its own
(`benchmarks/peers/*.txt`) and logs nothing; ours logs one line per request, as in service.

Where CPU per request is compared, the server has one core and the load comes from another; where capacity is,
all processes share all cores with the generator. CPU is that of the whole process tree, from /proc. Latencies
are those of an open loop with Poisson arrivals and count from the moment a request was planned for, so that a
stall is charged for the requests it held up; closed loops tell throughput and CPU only. A range is the least
and the most of the rounds, beside their median.

Measured {started} UTC at {commit} on {processor}, {cores} cores, {memory_gb} GB, {system}, Python {python};
load before: {load_before}.
"""


def write(results: Path) -> None:
    """Write README.md beside the results, and their curves."""
    found = {
        row: json.loads((results / f"{row}.json").read_text()) for row in ROWS if (results / f"{row}.json").exists()
    }
    curves = plots.draw(results, found)
    minutes = sum(one["seconds"] for one in found.values()) / 60
    parts = [ABOUT.format(minutes=minutes, **next(iter(found.values()))["machine"]), _summary(found)]
    parts += [_section(row, one, curves.get(row)) for row, one in found.items()]
    README.write_text("\n".join(parts), encoding="utf-8")


def verdict(row: str, found: Mapping[str, Any]) -> str:
    """Return what a row found in a few lines for the terminal."""
    if "error" in found:
        return f"  not measured: {found['error']}"
    checks = [f"  {_check(check)}" for check in found["checks"]]
    return "\n".join([f"  {row} ours: {found['ours']}", f"  peer: {found['peer']}", *checks])


def _summary(found: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        {
            "": f"[{row}](#{row.lower()})",
            "what": ROWS[row].metric,
            "goal": ROWS[row].goal,
            "peer": one.get("peer", ""),
            "ours": one.get("ours", f"not measured: {one.get('error', '')}"),
            "ratio": f"{one['ratio']:.1f}×" if one.get("ratio") else "",
            "verdict": _verdict(one),
        }
        for row, one in found.items()
    ]
    return _table(rows)


def _verdict(one: Mapping[str, Any]) -> str:
    if "error" in one:
        return "not measured"
    if not one["checks"]:
        return ""
    return "met" if one["met"] else "**missed**: " + ", ".join(c["what"] for c in one["checks"] if not c["met"])


def _section(row: str, one: Mapping[str, Any], curve: str | None) -> str:
    parts = [f"## {row}", "", f"{ROWS[row].metric} — `{one['command']}`, {one['seconds']:.0f} s", ""]
    parts += [f"- {_check(check)}" for check in one.get("checks", [])]
    if one.get("details"):
        parts += ["", _table(one["details"])]
    if one.get("note"):
        parts += ["", one["note"]]
    if one.get("profile"):
        parts += ["", "Where the time goes:", "", *(f"- {line}" for line in one["profile"])]
    if curve:
        parts += ["", f"![{ROWS[row].metric}](results/{curve})"]
    return "\n".join([*parts, ""])


def _check(check: Mapping[str, Any]) -> str:
    unit = f" {check['unit']}" if check["unit"] not in {"", "×", "/s"} else check["unit"]
    met = "met" if check["met"] else "missed"
    return f"{check['what']}: {check['value']:.3g}{unit} (goal {check['bound']} {check['goal']:g}{unit}): {met}"


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(_cell(row.get(name, '')) for name in columns)} |" for row in rows]
    return "\n".join([*lines, ""])


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")

"""What a row found: checks against its goal, and the figures behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Check:
    """One number against its goal."""

    what: str
    value: float
    unit: str
    bound: Literal["≤", "≥"]
    goal: float

    @property
    def met(self) -> bool:
        """Whether the goal was reached."""
        return self.value <= self.goal if self.bound == "≤" else self.value >= self.goal


@dataclass(frozen=True)
class Outcome:
    """What a row found.

    `ours` and `peer` say in a few words what was measured of either, `ratio` how many times better ours is. `details`
    are further figures, one mapping per line of a table; `series` are curves to draw: points by name.
    """

    ours: str
    peer: str
    ratio: float | None
    checks: Sequence[Check]
    details: Sequence[Mapping[str, Any]] = ()
    series: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    note: str = ""
    profile: Sequence[str] = ()
    """Where the time goes, for a goal that was missed."""

    @property
    def met(self) -> bool:
        """Whether every goal was reached."""
        return all(check.met for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return asdict(self) | {"met": self.met, "checks": [asdict(one) | {"met": one.met} for one in self.checks]}

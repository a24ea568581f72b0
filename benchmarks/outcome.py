"""Result of a row: checks against its goals and the figures behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Check:
    """One measured value and its goal."""

    what: str
    value: float
    unit: str
    bound: Literal["≤", "≥"]
    goal: float

    @property
    def met(self) -> bool:
        """Whether the value reaches the goal."""
        return self.value <= self.goal if self.bound == "≤" else self.value >= self.goal


@dataclass(frozen=True)
class Outcome:
    """Result of a row.

    `ours` and `peer` summarize the figures of either side; `ratio` is peer over ours. `details` has one mapping per
    table row; `series` maps the name of a curve to its points.
    """

    ours: str
    peer: str
    ratio: float | None
    checks: Sequence[Check]
    details: Sequence[Mapping[str, Any]] = ()
    series: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    note: str = ""
    profile: Sequence[str] = ()
    """Where time is spent; read it when a goal is missed."""

    @property
    def met(self) -> bool:
        """Whether all goals are met."""
        return all(check.met for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        return asdict(self) | {"met": self.met, "checks": [asdict(one) | {"met": one.met} for one in self.checks]}

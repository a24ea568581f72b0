"""The report of a monitored window, as stored and as `GET /drift` returns it.

A window is the predictions of a time span made by one release. Each monitoring run writes one `DriftWindow` to
`reports/drift/<window>.json`, the same as a page to `reports/drift/<window>.html`, and replaces
`reports/drift/latest.json`, which gauges are read from. Readers ignore fields they do not know.
"""

import heapq
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from product_classifier.errors import ObjectNotFound, StoreUnavailable
from product_classifier.feedback.records import Record
from product_classifier.observability import get_logger
from product_classifier.store import ObjectStore

log = get_logger()
PREFIX: Final = "reports/drift/"
LATEST: Final = f"{PREFIX}latest.json"
WINDOW_ID: Final = r"^d-[0-9]{8}T[0-9]{6}-[0-9a-f]{8}$"

Finite = Annotated[float, Field(allow_inf_nan=False)]
DriftVerdict = Literal["drift", "quiet", "too_few", "no_reference"]
"""`too_few`: no measure had enough products; `no_reference`: the release has no profile, so nothing was compared."""


class StoredReport(Record):
    """A part of the report; fields of later versions are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Mover(StoredReport):
    """A word, category, photo or product whose share changed most, or that is an example of the change."""

    name: str
    """Word, category code, prediction id or SHA-256 of a photo."""
    reference: Finite | None = None
    """Share or mean in the reference; None if it has none."""
    window: Finite | None = None
    """Share or mean in the window."""


class DriftMeasure(StoredReport):
    """One measure of a window; of inputs and outputs it is compared with a threshold."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    statistic: str
    """What `value` is: `ks`, `total_variation`, `auc`, `difference`, `share`, `mean` or `ece`."""
    value: Finite | None
    """None if no product of the window has what is measured."""
    threshold: Finite | None = None
    """The value above which it counts as drift at this window's size; None for a measure that is only reported."""
    drifted: bool = False
    products: int = Field(default=0, ge=0)
    """Products of the window it was computed on."""
    reference: Finite | None = None
    """The mean or share in the reference."""
    window: Finite | None = None
    """The mean or share in the window."""
    low: Finite | None = None
    """Lower end of the 95 % interval of `value`, where it is an estimate."""
    high: Finite | None = None
    """Upper end of that interval."""
    note: str = ""
    movers: tuple[Mover, ...] = ()


class DriftWindow(StoredReport):
    """What one monitoring run found."""

    version: Literal[1] = 1
    window_id: str = Field(pattern=WINDOW_ID)
    created: AwareDatetime
    since: AwareDatetime
    until: AwareDatetime
    release: str
    products: int = Field(ge=0)
    """Predictions of the release in the time span; of many, a sample is measured, see `sampled`."""
    sampled: int = Field(ge=0)
    verdict: DriftVerdict
    reasons: tuple[str, ...] = ()
    """One sentence for each measure that drifted; otherwise why nothing was compared."""
    actions: tuple[str, ...] = ()
    """What the policy did: queued, lowered the threshold of runs, notified, or why not."""
    other_releases: dict[str, int] = Field(default_factory=dict)
    """Predictions in the same span by releases other than this one."""
    inputs: tuple[DriftMeasure, ...] = ()
    outputs: tuple[DriftMeasure, ...] = ()
    quality: tuple[DriftMeasure, ...] = ()
    worst_categories: tuple[Mover, ...] = ()
    """Categories by realised accuracy, the lowest first; `reference` has the expected one, `window` the realised."""
    page: str = ""
    """Key of the page in the object store; empty if it was not written."""

    @property
    def key(self) -> str:
        """Key of the report."""
        return f"{PREFIX}{self.window_id}.json"

    @property
    def measures(self) -> tuple[DriftMeasure, ...]:
        """All measures, inputs first."""
        return (*self.inputs, *self.outputs, *self.quality)


def write_window(store: ObjectStore, window: DriftWindow) -> None:
    """Store a report, and as the latest one."""
    store.put(window.key, window.to_json())
    store.put(LATEST, window.to_json())


def read_latest_window(store: ObjectStore) -> DriftWindow | None:
    """Return the newest report; None before the first monitoring run, or if it cannot be parsed."""
    return _read(store, LATEST)


def read_window_report(store: ObjectStore, window_id: str) -> DriftWindow:
    """Return a report; raise `ObjectNotFound` without one, `StoreUnavailable` if it cannot be parsed."""
    key = f"{PREFIX}{window_id}.json"
    return DriftWindow.from_json(store.get(key), key)


def list_windows(store: ObjectStore, limit: int, before: str = "") -> list[DriftWindow]:
    """Return at most `limit` reports, newest first; reports that cannot be parsed are logged and left out.

    Args:
        store: The object store.
        limit: The most to return.
        before: Id of a window; only older ones are returned.
    """
    newest = heapq.nlargest(limit, _report_keys(store, before))
    found = (_read(store, key) for key in newest)
    return [window for window in found if window is not None]


def drift_gauges(window: DriftWindow) -> dict[str, dict[str, float]]:
    """Return what gauges show of a window, by gauge and measure; measures without a value are left out.

    The gauges are `score`, `threshold` and `drifted` (0 or 1) by measure, and `window` with `products`, `sampled`,
    `created` (seconds since the epoch) and `drifted`.
    """
    return {
        "score": {one.name: one.value for one in window.measures if one.value is not None},
        "threshold": {one.name: one.threshold for one in window.measures if one.threshold is not None},
        "drifted": {one.name: float(one.drifted) for one in window.measures if one.threshold is not None},
        "window": {
            "products": float(window.products),
            "sampled": float(window.sampled),
            "created": window.created.timestamp(),
            "drifted": float(window.verdict == "drift"),
        },
    }


def _report_keys(store: ObjectStore, before: str) -> Iterator[str]:
    end = f"{PREFIX}{before}.json" if before else "~"
    return (key for key in store.list(f"{PREFIX}d-") if key.endswith(".json") and key < end)


def _read(store: ObjectStore, key: str) -> DriftWindow | None:
    try:
        return DriftWindow.from_json(store.get(key), key)
    except ObjectNotFound:
        return None
    except StoreUnavailable as error:
        log.warning("record_damaged", key=key, reason=str(error))
        return None

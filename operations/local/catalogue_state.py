"""Switch the state folder between catalogues: `make run RAW=` uses the state of its catalogue.

Releases, corrections and runs of one catalogue have no meaning for another. The state folder holds those of the
catalogue in use at the usual places; those of others are moved to `catalogues/<id>` and back. Accounts, keys and logs
belong to all of them.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

from operations.local.settings import Settings
from product_classifier.catalogue.catalogue_layouts import find_layout
from product_classifier.errors import InvalidSettings
from product_classifier.store.folders import make_private_folder

RECORD: Final = "catalogue.json"
SWITCH: Final = "catalogue-switch.json"
ASIDE: Final = "catalogues"
ENTRIES: Final = (
    RECORD,
    "releases",
    "store",
    "mlflow.db",
    "mlflow.db.lock",
    "mlartifacts",
    "mlruns",
    "pipeline",
    "runs",
    "training.yaml",
    "feedback-index",
    "feedback-journal",
    "prediction-journal",
)
"""What belongs to one catalogue; the releases go first, so that an interrupted switch never serves another's."""
UNNAMED: Final = "unnamed"
"""Where the state goes that was made without RAW."""


@dataclass(frozen=True, slots=True)
class CatalogueRecord:
    """The catalogue of a state folder."""

    raw: str
    """Absolute path of its files."""
    layout: str = ""
    """Absolute path of its layout file, if that lies elsewhere."""

    @property
    def id(self) -> str:
        """Name of the folder for its state."""
        digest = hashlib.sha256(json.dumps([self.raw, self.layout]).encode()).hexdigest()
        return f"{Path(self.raw).name[:40]}-{digest[:8]}"


def activate_catalogue(settings: Settings) -> None:
    """Put the state of the catalogue in RAW in its place, and set that of another catalogue aside.

    Without RAW the state stays as it is. The caller holds the lock of the state folder. An interrupted switch is
    completed by the next call.

    Raises:
        CatalogueError: If RAW has no files of a catalogue; nothing is moved.
        InvalidSettings: If the state is that of another catalogue, and `STORE_URL` names its store, or if the data
            folder has been given the files of another catalogue meanwhile.
    """
    state = settings.state_dir.resolve()
    _resume(state)
    if settings.raw is None:
        _check_data(settings.data_dir / "raw", _read_record(state))
        return
    find_layout(settings.raw, settings.catalogue)
    wanted = CatalogueRecord(
        str(settings.raw.resolve()), str(settings.catalogue.resolve()) if settings.catalogue else ""
    )
    current = _read_record(state)
    if current is None and is_prepared(settings):
        current = wanted
    kept = any((state / name).exists() for name in ENTRIES)
    if current != wanted and (kept or (state / ASIDE / wanted.id).is_dir()):
        if settings.given_store_url:
            raise InvalidSettings(
                f"STORE_URL: {settings.given_store_url} is the store of another catalogue than RAW={settings.raw};"
                " give another store, or another STATE_DIR"
            )
        _write_switch(state, "out", UNNAMED if current is None else current.id, wanted.id)
        _resume(state)
    (state / RECORD).write_text(json.dumps(asdict(wanted)) + "\n", encoding="utf-8")


def _check_data(raw: Path, current: CatalogueRecord | None) -> None:
    """Raise `InvalidSettings` if a training would read other files than those of the state."""
    if current is not None and raw.exists() and raw.resolve() != Path(current.raw):
        raise InvalidSettings(
            f"RAW: {str(raw)!r} is now {str(raw.resolve())!r}, but the state is that of {current.raw!r}; name one of"
            " the two with RAW="
        )


def _read_record(state: Path) -> CatalogueRecord | None:
    try:
        return CatalogueRecord(**json.loads((state / RECORD).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def is_prepared(settings: Settings) -> bool:
    """Return whether the data folder holds the catalogue in RAW; True without RAW."""
    link = settings.data_dir / "raw"
    return settings.raw is None or (link.exists() and settings.raw.exists() and link.samefile(settings.raw))


def _resume(state: Path) -> None:
    """Complete the switch that is recorded, if there is one."""
    try:
        switch = json.loads((state / SWITCH).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    if switch["phase"] == "out":
        _move(state, state / ASIDE / switch["from"])
        _write_switch(state, "in", switch["from"], switch["to"])
    _move(state / ASIDE / switch["to"], state)
    (state / SWITCH).unlink()


def _move(source: Path, target: Path) -> None:
    make_private_folder(target)
    for name in ENTRIES:
        if (source / name).exists():
            (source / name).rename(target / name)


def _write_switch(state: Path, phase: Literal["out", "in"], before: str, after: str) -> None:
    written = state / f".{SWITCH}"
    written.write_text(json.dumps({"phase": phase, "from": before, "to": after}), encoding="utf-8")
    written.replace(state / SWITCH)

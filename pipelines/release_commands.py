"""List, prune, roll back and canary releases."""

from datetime import UTC, datetime

from rich.console import Console
from rich.table import Column, Table

from components.shared.imported_releases import import_release
from components.shared.rollout import retention
from components.shared.rollout.kserve_rollout import KServeRollout
from components.shared.rollout.releases import NoRelease, roll_back, stored_releases
from components.shared.rollout.rollout import open_rollout
from components.shared.rollout.smoke import SmokeTest
from components.shared.rollout.switch import Switch
from components.shared.tracking import Tracking, TrackingUnavailable
from pipelines.parameters import gate_limits, step_parameters
from pipelines.settings import PipelineSettings
from product_classifier.errors import ObjectNotFound, ProductClassifierError, RolloutFailed
from product_classifier.store import ObjectStore, open_store

LIST_WIDTH = 100
"""Characters of the widest row: a narrower output would cut ids and numbers, which a program may read."""


class RollbackFailed(ProductClassifierError):
    """A release could not be deployed again; the message has the reason and the release that is deployed."""


def list_releases(settings: PipelineSettings, console: Console) -> None:
    """Print the kept releases, newest first; raise `NoRelease` if there are none."""
    store = open_store(settings.store)
    columns = [Column(name, no_wrap=True) for name in ("release", "created", "F1", "hold-out", "corrections", "state")]
    table = Table(*columns, box=None, padding=(0, 1, 0, 0))
    hold_outs = set()
    for kept in stored_releases(store, open_rollout(settings.rollout, store)):
        count = "?" if kept.corrections is None else str(kept.corrections)
        score = "–" if kept.weighted_f1 is None else f"{kept.weighted_f1:.4f}"
        hold_outs.add(kept.hold_out)
        table.add_row(kept.release, kept.created[:16], score, kept.hold_out[:8] or "?", count, kept.state)
    if not table.row_count:
        raise NoRelease(f"{settings.store}: no release; train one with `python -m pipelines train`")
    console.width = max(console.width, LIST_WIDTH)
    console.print(table)
    if len(hold_outs) > 1:
        console.print("F1 compares only releases that were measured on the same hold-out", highlight=False)


def prune_releases(settings: PipelineSettings, keep: int, console: Console) -> None:
    """Delete all releases but those that are needed and the newest `keep`; print what was deleted."""
    store = open_store(settings.store)
    aliased = Tracking(settings.tracking, settings.experiment).aliased()
    deleted = retention.prune(store, open_rollout(settings.rollout, store), aliased, keep, datetime.now(UTC))
    for release in deleted:
        console.print(f"deleted {release}", highlight=False)
    if not deleted:
        console.print("nothing to delete: every release is needed", highlight=False)


def deploy_imported(settings: PipelineSettings, location: str, console: Console) -> None:
    """Import the release at a location and print its id, see `import_release`."""
    release = import_release(location, _switch(settings, open_store(settings.store, create=True)))
    console.print(f"release {release} of {location} is deployed", highlight=False)


def roll_back_release(settings: PipelineSettings, release: str, console: Console) -> None:
    """Deploy a kept release again, by default the previous one, and move the alias `champion` in MLflow.

    A release that is deployed already gets the alias only: what failed is repeated, what was done is not.

    Raises:
        RollbackFailed: If the release fails its checks or its rollout, or the alias does not move.
    """
    switch = _switch(settings, open_store(settings.store))
    try:
        switched = roll_back(switch, release)
    except NoRelease:
        if not release or release != switch.rollout.current():
            raise
        console.print(f"{release} is deployed already", highlight=False)
    else:
        if not switched.done:
            raise RollbackFailed("; ".join(switched.reasons))
        console.print("; ".join(switched.reasons), highlight=False)
    if current := switch.rollout.current():
        _move_alias(settings, current)


def _switch(settings: PipelineSettings, store: ObjectStore) -> Switch:
    smoke = SmokeTest(settings.service_url, gate_limits(), step_parameters("promote")["smoke_deadline_s"])
    return Switch(store, open_rollout(settings.rollout, store), smoke)


def _move_alias(settings: PipelineSettings, release: str) -> None:
    """Move the alias `champion` to the deployed release; a failure says what remains to be done, and how."""
    try:
        Tracking(settings.tracking, settings.experiment).set_champion_alias(release)
    except TrackingUnavailable as error:
        variable = "" if settings.tracking_uri else ", with MLFLOW_TRACKING_URI set to the MLflow of the deployment"
        raise RollbackFailed(
            f"{release} is deployed; only the alias champion in MLflow did not move: {error};"
            f" then run `python -m pipelines rollback {release}` again{variable}"
        ) from error


def start_canary(settings: PipelineSettings, release: str, share: float, *, shadow: bool) -> str:
    """Route traffic to a published release beside the champion on a cluster; return a message.

    Args:
        settings: Where releases are stored and deployed.
        release: Id of the release.
        share: Part of the requests that it responds to, above 0 and at most 1.
        shadow: Send it copies of the requests instead, only to compare its predictions.
    """
    store = open_store(settings.store)
    if not store.exists(f"models/{release}/release.json"):
        raise ObjectNotFound(f"release {release!r} was never published; `python -m pipelines releases` lists all")
    rollout = _open_kserve_rollout(settings, store)
    rollout.start_challenger(release, share=share, shadow=shadow)
    effect = "gets a copy of each request for comparison" if shadow else f"responds to {share:.0%} of the requests"
    return f"{release} {effect}; the champion is {rollout.current()}"


def stop_canary(settings: PipelineSettings) -> str:
    """Route all traffic to the champion again; return a message."""
    rollout = _open_kserve_rollout(settings, open_store(settings.store))
    rollout.stop_challenger()
    return f"the champion {rollout.current()} responds to all requests"


def _open_kserve_rollout(settings: PipelineSettings, store: ObjectStore) -> KServeRollout:
    rollout = open_rollout(settings.rollout, store)
    if not isinstance(rollout, KServeRollout):
        raise RolloutFailed(
            f"ROLLOUT_URL: {settings.rollout} cannot hold two releases; a canary needs kserve://namespace"
        )
    return rollout

"""Let a release challenge the one in service on a cluster, or end that."""

from components.shared.rollout.kserve_rollout import KServeRollout
from components.shared.rollout.rollout import open_rollout
from pipelines.settings import Settings
from product_classifier.errors import ObjectNotFound, RolloutFailed
from product_classifier.store import ObjectStore, open_store


def start(settings: Settings, release: str, share: float, *, shadow: bool) -> str:
    """Let a published release answer a share of the traffic, or be asked too; say what goes on now."""
    store = open_store(settings.store)
    if not store.exists(f"models/{release}/release.json"):
        raise ObjectNotFound(f"release {release!r} was never published")
    rollout = _on_cluster(settings, store)
    rollout.challenge(release, share=share, shadow=shadow)
    does = "is asked too and compared" if shadow else f"answers {share:.0%} of the products"
    return f"{release} {does}; {rollout.current()} is in service"


def stop(settings: Settings) -> str:
    """Let the release in service answer alone; say which it is."""
    rollout = _on_cluster(settings, open_store(settings.store))
    rollout.end_challenge()
    return f"{rollout.current()} answers alone"


def _on_cluster(settings: Settings, store: ObjectStore) -> KServeRollout:
    rollout = open_rollout(settings.rollout, store)
    if not isinstance(rollout, KServeRollout):
        raise RolloutFailed(f"a challenger needs servers that hold two releases: kserve://…, not {settings.rollout}")
    return rollout

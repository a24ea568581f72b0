"""Deploy releases on three InferenceServices without a failed request.

1. Both predictors get the new release beside the deployed one; all their pods are replaced and serve both.
2. The fusion gets the new release, which is the deployed one from then on. Old fusion pods still find their release at
   both predictors.

After a failure all three are restored.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from components.shared.kubernetes_api import ClusterApi, ClusterError, NotFound
from components.shared.rollout.inference_services import InferenceServices
from components.shared.rollout.lease import PromotionLease
from components.shared.rollout.placement import CANARY, SHADOW, SHARE, Placement
from product_classifier.errors import ObjectNotFound, RolloutFailed
from product_classifier.model_names import FUSION, IMAGE, TEXT

PREDICTORS = (TEXT, IMAGE)
Places = dict[str, Placement]


class KServeRollout:
    """Deployment of the releases of one namespace; implements `Rollout`."""

    def __init__(
        self,
        api: ClusterApi,
        models: str,
        *,
        is_published: Callable[[str], bool] = lambda _: True,
        deadline_s: float = 300.0,
        poll_interval_s: float = 1.0,
    ) -> None:
        """Use releases below `models`, s3://bucket/models; the deadline applies to each of the two phases."""
        self._is_published = is_published
        self._api = api
        self._services = InferenceServices(api, models)
        self._deadline_s = deadline_s
        self._poll_interval_s = poll_interval_s

    def current(self) -> str | None:
        """Return the release that is set for the fusion."""
        try:
            return self._services.placement(FUSION).current or None
        except NotFound:
            return None

    def switch(self, release_id: str) -> None:
        """Deploy a release on all three InferenceServices, or on none.

        Other releases that were deleted from the store are no longer named, also when the release is already deployed.
        """
        with self._lease() as lease:
            before = self._placements()
            champion = before[FUSION].current
            self._check(before, release_id)
            held = tuple(dict.fromkeys(filter(None, [release_id, champion, *self._services.serving(FUSION)])))
            if release_id == champion and all(release_id in place.held for place in before.values()):
                held = before[FUSION].held  # nothing to change unless one of them was deleted
            held = tuple(one for one in held if one == release_id or self._is_published(one))
            self._move(lease, before, {name: Placement(release_id, held) for name in (*PREDICTORS, FUSION)})

    def start_challenger(self, release_id: str, *, share: float = 0.0, shadow: bool = False) -> None:
        """Route a share of the traffic, or copies of all of it, to a release beside the deployed one."""
        annotations = {SHADOW: release_id} if shadow else {CANARY: release_id, SHARE: f"{share:g}"}
        with self._lease() as lease:
            before = self._placements()
            champion = before[FUSION].current
            if not champion or champion == release_id:
                raise RolloutFailed(f"{release_id}: cannot challenge {champion or 'nothing'}; name another release")
            self._check(before, release_id)
            held = tuple(dict.fromkeys([champion, release_id, *self._services.serving(FUSION)]))
            after = {name: Placement(champion, held) for name in PREDICTORS}
            self._move(lease, before, {**after, FUSION: Placement(champion, held, annotations)})

    def stop_challenger(self) -> None:
        """Route all traffic to the deployed release; the predictors hold the other until the next switch."""
        with self._lease() as lease:
            before = self._placements()
            found = before[FUSION]
            self._move(lease, before, {**before, FUSION: Placement(found.current, (found.current,))})

    def in_use(self) -> frozenset[str]:
        """Return the releases that pods hold or download on start."""
        try:
            return frozenset[str]().union(*(self._services.held(name) for name in (*PREDICTORS, FUSION)))
        except NotFound:
            return frozenset()

    @contextmanager
    def exclusive(self) -> Iterator[Callable[[], object]]:
        """Hold the promotion lease; yield the function that renews it."""
        with self._lease() as lease:
            yield lease.renew

    def _check(self, before: Places, release_id: str) -> None:
        """Raise `ObjectNotFound` for a release that pods neither hold nor can download."""
        if all(release_id in place.held for place in before.values()) or self._is_published(release_id):
            return
        raise ObjectNotFound(f"release {release_id!r}: was never published or has been deleted")

    def _placements(self) -> Places:
        return {name: self._services.placement(name) for name in (*PREDICTORS, FUSION)}

    def _lease(self) -> PromotionLease:
        return PromotionLease(self._api, 2 * self._deadline_s, self._poll_interval_s)

    def _move(self, lease: PromotionLease, before: Places, after: Places) -> None:
        try:
            for names in (PREDICTORS, (FUSION,)):
                self._place(names, before, after)
                self._wait(lease, names, after)
        except (RolloutFailed, ClusterError) as error:
            self._restore(lease, before, after, error)
            raise RolloutFailed(f"{after[FUSION].current}: is not deployed: {error}") from error

    def _restore(self, lease: PromotionLease, before: Places, after: Places, reason: Exception) -> None:
        """Restore the releases in the opposite order, and wait until they are served."""
        try:
            for names in ((FUSION,), PREDICTORS):
                self._place(names, after, before)
                self._wait(lease, [name for name in names if before[name].current], before)
        except (RolloutFailed, ClusterError) as error:
            raise RolloutFailed(f"{reason}; and the previous state could not be restored: {error}") from error

    def _place(self, names: Sequence[str], before: Places, after: Places) -> None:
        for name in names:
            self._services.place(name, after[name], instead_of=before[name])

    def _wait(self, lease: PromotionLease, names: Sequence[str], wanted: Places) -> None:
        """Return once all are rolled out; raise `RolloutFailed` with what is missing at the deadline."""

        def pending() -> str:
            lease.renew()
            return "; ".join(filter(None, (self._services.pending(name, wanted[name]) for name in names)))

        polling = Retrying(
            retry=retry_if_result(bool), stop=stop_after_delay(self._deadline_s), wait=wait_fixed(self._poll_interval_s)
        )
        try:
            polling(pending)
        except RetryError as error:
            raise RolloutFailed(f"{error.last_attempt.result()} after {self._deadline_s:.0f} s") from error


def open_kserve(namespace: str, models: str, is_published: Callable[[str], bool]) -> KServeRollout:
    """Return the deployment of a namespace, with the credentials of the pod or of kubectl."""
    return KServeRollout(ClusterApi(namespace), models, is_published=is_published)

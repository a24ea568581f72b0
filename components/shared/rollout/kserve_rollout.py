"""Releases on a cluster: three InferenceServices that go from one release to the next without a failed request.

1. Both predictors get the new release beside the one in service, and every pod of theirs is replaced. Whoever asks
   them for either is answered.
2. The fusion gets the new release: from here on it is the one in service. Fusion pods that still answer with the old
   one find it at both predictors.

Whatever goes wrong on the way, all three are put back.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from components.shared.kubernetes_api import ClusterApi, ClusterError, NotThere
from components.shared.rollout.inference_services import InferenceServices
from components.shared.rollout.lease import Turn
from components.shared.rollout.placement import CANARY, SHADOW, SHARE, Placement
from product_classifier.errors import ObjectNotFound, RolloutFailed

PREDICTORS = ("text-predictor", "image-predictor")
FUSION = "fusion-transformer"
Places = dict[str, Placement]


class KServeRollout:
    """The releases of one namespace; see `Rollout`."""

    def __init__(
        self,
        api: ClusterApi,
        models: str,
        *,
        is_published: Callable[[str], bool] = lambda _: True,
        deadline_s: float = 300.0,
        look_every_s: float = 1.0,
    ) -> None:
        """`models` is where releases are published: s3://bucket/models. The deadline is that of each phase."""
        self._is_published = is_published
        self._api = api
        self._services = InferenceServices(api, models)
        self._deadline_s = deadline_s
        self._look_every_s = look_every_s

    def current(self) -> str | None:
        """Return the release the fusion is told to serve."""
        try:
            return self._services.placement(FUSION).current or None
        except NotThere:
            return None

    def switch(self, release_id: str) -> None:
        """Put a release into service on all three, or on none."""
        with self._turn() as turn:
            before = self._placements()
            champion = before[FUSION].current
            self._check(before, release_id)
            held = tuple(dict.fromkeys(filter(None, [release_id, champion, *self._services.in_pods(FUSION)])))
            if release_id == champion and all(release_id in place.held for place in before.values()):
                held = before[FUSION].held  # nothing to do but see that it is so
            self._move(turn, before, {name: Placement(release_id, held) for name in (*PREDICTORS, FUSION)})

    def challenge(self, release_id: str, *, share: float = 0.0, shadow: bool = False) -> None:
        """Let a release answer a share of the traffic, or only be asked too, beside the one in service."""
        about = {SHADOW: release_id} if shadow else {CANARY: release_id, SHARE: f"{share:g}"}
        with self._turn() as turn:
            before = self._placements()
            champion = before[FUSION].current
            if not champion or champion == release_id:
                raise RolloutFailed(f"{release_id} cannot challenge {champion or 'nothing'}")
            self._check(before, release_id)
            held = tuple(dict.fromkeys([champion, release_id, *self._services.in_pods(FUSION)]))
            after = {name: Placement(champion, held) for name in PREDICTORS}
            self._move(turn, before, {**after, FUSION: Placement(champion, held, about)})

    def end_challenge(self) -> None:
        """Let the release in service answer alone; the predictors hold the other until the next switch."""
        with self._turn() as turn:
            before = self._placements()
            found = before[FUSION]
            self._move(turn, before, {**before, FUSION: Placement(found.current, (found.current,))})

    def in_use(self) -> frozenset[str]:
        try:
            return frozenset[str]().union(*(self._services.held(name) for name in (*PREDICTORS, FUSION)))
        except NotThere:
            return frozenset()

    @contextmanager
    def alone(self) -> Iterator[Callable[[], object]]:
        with self._turn() as turn:
            yield turn.renew

    def _check(self, before: Places, release_id: str) -> None:
        """Raise `ObjectNotFound` for a release that pods would have to bring and cannot: it may have been deleted."""
        if all(release_id in place.held for place in before.values()) or self._is_published(release_id):
            return
        raise ObjectNotFound(f"release {release_id!r} was never published, or has been deleted")

    def _placements(self) -> Places:
        return {name: self._services.placement(name) for name in (*PREDICTORS, FUSION)}

    def _turn(self) -> Turn:
        return Turn(self._api, 2 * self._deadline_s, self._look_every_s)

    def _move(self, turn: Turn, before: Places, after: Places) -> None:
        try:
            for names in (PREDICTORS, (FUSION,)):
                self._place(names, before, after)
                self._wait(turn, names, after)
        except (RolloutFailed, ClusterError) as error:
            self._put_back(turn, before, after, error)
            raise RolloutFailed(f"{after[FUSION].current} is not in service: {error}") from error

    def _put_back(self, turn: Turn, before: Places, after: Places, reason: Exception) -> None:
        """Undo in the opposite order, and see that what served before serves again."""
        try:
            for names in ((FUSION,), PREDICTORS):
                self._place(names, after, before)
                self._wait(turn, [name for name in names if before[name].current], before)
        except (RolloutFailed, ClusterError) as error:
            raise RolloutFailed(f"{reason}; and what was in service could not be put back: {error}") from error

    def _place(self, names: Sequence[str], before: Places, after: Places) -> None:
        for name in names:
            self._services.place(name, after[name], instead_of=before[name])

    def _wait(self, turn: Turn, names: Sequence[str], wanted: Places) -> None:
        """Return when all are rolled out; `RolloutFailed` says what did not come up in time."""

        def look() -> str:
            turn.renew()
            return "; ".join(filter(None, (self._services.missing(name, wanted[name]) for name in names)))

        looks = Retrying(
            retry=retry_if_result(bool), stop=stop_after_delay(self._deadline_s), wait=wait_fixed(self._look_every_s)
        )
        try:
            looks(look)
        except RetryError as error:
            raise RolloutFailed(f"{error.last_attempt.result()} after {self._deadline_s:.0f} s") from error


def open_kserve(namespace: str, models: str, is_published: Callable[[str], bool]) -> KServeRollout:
    """Return the rollout of a namespace, as the pod's service account or as kubectl would."""
    return KServeRollout(ClusterApi(namespace), models, is_published=is_published)

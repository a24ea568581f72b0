"""Put one release in place of another: tried out before, tried out after, and undone if it does not hold."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from components.shared.published_releases import fetch_release
from components.shared.rollout.rollout import Rollout
from components.shared.rollout.smoke import Smoke, SmokeFailed
from components.shared.serving_check import ReleaseModels
from product_classifier.errors import BundleRefused, ObjectNotFound, ProductClassifierError, RolloutFailed
from product_classifier.store import ObjectStore


@dataclass(frozen=True, slots=True)
class Switched:
    """Whether a release is in service now, and what happened on the way."""

    done: bool
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Switch:
    """Where releases come from, where they go, and who is asked whether they serve; without a server nobody is."""

    store: ObjectStore
    rollout: Rollout
    smoke: Smoke

    def put_into_service(self, release: str, before: str | None) -> Switched:
        """Switch from `before`, the release in service, to `release`; on a failed smoke test switch back.

        Safe to repeat: a release that is in service already is tried out again.

        Raises:
            BundleRefused: If the release is not what it says; nothing has moved.
            ObjectNotFound: If it was never published; nothing has moved.
            RolloutFailed: If it could not be rolled out; what served before still does.
        """
        with tempfile.TemporaryDirectory() as folder:
            models = ReleaseModels(fetch_release(self.store, release, Path(folder)).path)
            models.predict_each(models.known_products)
        before_ms = None
        if self.smoke.service and before and before != release and self.rollout.current() == before:
            before_ms = self.smoke.ms_per_product(models.known_products)
        self._move(release, before)
        if not self.smoke.service:
            return Switched(done=True)
        try:
            self.smoke.try_out(release, models, before_ms)
        except SmokeFailed as error:
            return self._go_back(str(error), release, before)
        return Switched(done=True)

    def _move(self, release: str, before: str | None) -> None:
        try:
            self.rollout.switch(release)
        except (BundleRefused, ObjectNotFound):
            raise  # nothing has moved
        except ProductClassifierError as error:
            if before and self.rollout.current() != before:
                self.rollout.switch(before)
            raise RolloutFailed(f"{release} could not be rolled out: {error}") from error

    def _go_back(self, reason: str, release: str, before: str | None) -> Switched:
        if before is None or before == release:
            return Switched(done=False, reasons=(reason, "there is no other release to go back to"))
        try:
            self.rollout.switch(before)
        except ProductClassifierError as error:
            raise RolloutFailed(f"{reason}; and {before} could not be put back: {error}") from error
        return Switched(done=False, reasons=(reason, f"{before} is back in service"))

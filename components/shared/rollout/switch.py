"""Deploy one release in place of another, with checks before and after, and undo it if a check fails."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from components.shared.published_releases import fetch_release
from components.shared.rollout.rollout import Rollout
from components.shared.rollout.smoke import SmokeTest, SmokeTestFailed
from components.shared.serving_check import ReleaseModels
from product_classifier.errors import BundleRefused, ObjectNotFound, ProductClassifierError, RolloutFailed
from product_classifier.store import ObjectStore


@dataclass(frozen=True, slots=True)
class SwitchResult:
    """Whether a release is deployed now, and why not."""

    done: bool
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Switch:
    """Deployment of releases of one store; the smoke test is skipped if its `service` is empty."""

    store: ObjectStore
    rollout: Rollout
    smoke: SmokeTest

    def deploy(self, release: str, before: str | None) -> SwitchResult:
        """Switch from `before`, the deployed release, to `release`; switch back if the smoke test fails.

        Idempotent: a release that is deployed already is tested again.

        Raises:
            BundleRefused: If the release is invalid; nothing has changed.
            ObjectNotFound: If it was never published; nothing has changed.
            RolloutFailed: If it could not be rolled out; `before` is deployed.
        """
        with tempfile.TemporaryDirectory() as folder:
            models = ReleaseModels(fetch_release(self.store, release, Path(folder)).path)
            models.predict_each(models.known_products)
        before_ms = None
        if self.smoke.service and before and before != release and self.rollout.current() == before:
            before_ms = self.smoke.ms_per_product(models.known_products)
        self._roll_out(release, before)
        if not self.smoke.service:
            return SwitchResult(done=True)
        try:
            self.smoke.verify_serving(release, models, before_ms)
        except SmokeTestFailed as error:
            return self._roll_back(str(error), release, before)
        return SwitchResult(done=True)

    def _roll_out(self, release: str, before: str | None) -> None:
        try:
            self.rollout.switch(release)
        except (BundleRefused, ObjectNotFound):
            raise  # nothing has changed
        except ProductClassifierError as error:
            if before and self.rollout.current() != before:
                self.rollout.switch(before)
            raise RolloutFailed(f"{release}: could not be rolled out: {error}") from error

    def _roll_back(self, reason: str, release: str, before: str | None) -> SwitchResult:
        if before is None or before == release:
            return SwitchResult(done=False, reasons=(reason, "there is no other release to roll back to"))
        try:
            self.rollout.switch(before)
        except ProductClassifierError as error:
            raise RolloutFailed(f"{reason}; and {before} could not be rolled back to: {error}") from error
        return SwitchResult(done=False, reasons=(reason, f"{before} is deployed again"))

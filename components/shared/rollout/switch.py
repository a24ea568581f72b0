"""Deploy one release in place of another, with checks before and after, and undo it if a check fails."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from components.shared.published_releases import fetch_release
from components.shared.rollout.rollout import Rollout
from components.shared.rollout.smoke import SmokeTest, SmokeTestFailed
from components.shared.serving_check import ReleaseModels
from product_classifier.errors import BundleRefused, ObjectNotFound, ProductClassifierError, RolloutFailed
from product_classifier.release_history.release_records import write_champion
from product_classifier.releases.release import Release
from product_classifier.store import ObjectStore
from product_classifier.stored_taxonomy.change_store import write_in_service, write_products


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

    def deploy(self, release: str, deployed: str | None) -> SwitchResult:
        """Switch from the release `deployed` to `release`; switch back if the smoke test fails.

        Idempotent: a release that is deployed already is tested again.

        Raises:
            BundleRefused: If the release is invalid; nothing has changed.
            ObjectNotFound: If it was never published; nothing has changed.
            RolloutFailed: If it could not be rolled out, or `deployed` could not be rolled back to.
        """
        with tempfile.TemporaryDirectory() as folder:
            fetched = fetch_release(self.store, release, Path(folder))
            models = ReleaseModels(fetched.path)
            models.predict_each(models.known_products)
        before_ms = None
        if self.smoke.service and deployed and deployed != release and self.rollout.current() == deployed:
            before_ms = self.smoke.ms_per_product(models.known_products)
        # Before the servers switch: a correction of the new release's first prediction is accepted.
        self._record(fetched)
        self._roll_out(release, deployed)
        if not self.smoke.service:
            return SwitchResult(done=True)
        try:
            self.smoke.verify_serving(release, models, before_ms)
        except SmokeTestFailed as error:
            return self._roll_back(str(error), release, deployed)
        return SwitchResult(done=True)

    def _roll_out(self, release: str, deployed: str | None) -> None:
        try:
            self.rollout.switch(release)
        except (BundleRefused, ObjectNotFound):
            raise  # nothing has changed
        except ProductClassifierError as error:
            if deployed and self.rollout.current() != deployed:
                self._restore(deployed)
            raise RolloutFailed(f"{release}: could not be rolled out: {error}") from error

    def _roll_back(self, reason: str, release: str, deployed: str | None) -> SwitchResult:
        if deployed is None or deployed == release:
            return SwitchResult(done=False, reasons=(reason, "there is no other release to roll back to"))
        try:
            self._restore(deployed)
        except ProductClassifierError as error:
            raise RolloutFailed(f"{reason}; and {deployed} could not be rolled back to: {error}") from error
        return SwitchResult(done=False, reasons=(reason, f"{deployed} is deployed again"))

    def _restore(self, deployed: str) -> None:
        """Deploy the earlier release again, with its taxonomy."""
        self.rollout.switch(deployed)
        with tempfile.TemporaryDirectory() as folder:
            self._record(fetch_release(self.store, deployed, Path(folder)))

    def _record(self, release: Release) -> None:
        """Record the release that servers switch to, its taxonomy and its labelled products."""
        write_champion(self.store, release.id)
        write_products(self.store, release.meta.products)
        write_in_service(self.store, release.taxonomy)

"""Run the steps of the pipeline in this process on a catalogue of titles: train, compare, deploy."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from components.compare import step as compare
from components.fit_fusion import step as fit_fusion
from components.merge_corrections import step as merge_corrections
from components.prepare_catalogue import step as prepare_catalogue
from components.shared.published_releases import publish
from components.shared.rollout.rollout import LocalRollout
from components.shared.rollout.smoke import SmokeTest
from components.shared.rollout.switch import Switch
from components.split_catalogue import step as split_catalogue
from components.train_image import step as train_image
from components.train_text import step as train_text
from pipelines.parameters import gate_limits
from product_classifier.catalogue.splits import SPLITS
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.records import Correction, ProductContent, new_id
from product_classifier.releases.release import ReleaseMeta, load_fusion, load_text, open_release, write_release
from product_classifier.retraining import write_snapshot
from product_classifier.store import open_store
from product_classifier.taxonomy.folder import read_taxonomy

LAYOUT = "products: [products.tsv]\ncolumns: {designation: title, category: category}\n"
LAYOUT += "category: {separator: ' > ', minimum_products: 3}\n"


@dataclass(frozen=True)
class Run:
    """A release that was trained and compared."""

    release: str
    promoted: bool
    reasons: Sequence[str]


class CatalogueLoop:
    """A catalogue in `raw/`, its object store and the deployed release, in one folder."""

    def __init__(self, folder: Path, products: Sequence[tuple[str, str]], buckets: int) -> None:
        self._folder, self._buckets, self._runs = folder, buckets, 0
        self.url = f"file://{folder}/store"
        self.store = open_store(self.url, create=True)
        self.rollout = LocalRollout(folder / "releases", self.store)
        self.switch = Switch(self.store, self.rollout, SmokeTest("", gate_limits(), 1.0))
        (folder / "raw").mkdir()
        (folder / "raw" / "catalogue.yaml").write_text(LAYOUT, encoding="utf-8")
        rows = "".join(f"{title}\t{category}\n" for title, category in products)
        (folder / "raw" / "products.tsv").write_text(f"title\tcategory\n{rows}", encoding="utf-8")

    def correct(self, title: str, code: str, version: int) -> None:
        """Submit a correction as a reviewer, who knows this version of the taxonomy."""
        now = datetime.now(UTC)
        correction = Correction(
            feedback_id=new_id(now),
            created=now,
            user="rita",
            role="reviewer",
            product=ProductContent(designation=title),
            code=code,
            taxonomy_version=version,
        )
        self.store.put(correction.key, correction.to_json(), only_if_absent=True)

    def run(self) -> Run:
        """Train on catalogue and corrections, compare, and deploy the release if it is promoted."""
        self._runs += 1
        at, raw = self._folder / f"run-{self._runs}", self._folder / "raw"
        splits = {name: at / f"{name}.parquet" for name in SPLITS}
        prepare_catalogue.run(
            raw, at / "all.parquet", at / "rejects.csv", at / "all.json", taxonomy=at / "known", store=self.url
        )
        split_catalogue.run(at / "all.parquet", **splits, report=at / "splits.json")
        merge_corrections.run(
            **splits,
            merged=at / "merged.parquet",
            calibration=at / "calibration.parquet",
            answerable=at / "answerable",
            report=at / "merged.json",
            taxonomy=read_taxonomy(at / "known"),
            store=self.url,
            snapshot=self._snapshot(),
        )
        taxonomy, labelled = read_taxonomy(at / "answerable"), (at / "merged.parquet", at / "calibration.parquet")
        by_text, by_image = at / "text.parquet", at / "image.parquet"
        train_text.run(*labelled, at / "text", by_text, taxonomy, buckets=self._buckets)
        train_image.run(*labelled, raw, at / "image", by_image, taxonomy)
        fit_fusion.run(*labelled, by_text, by_image, at / "fusion", taxonomy)
        bundles = at / "text", at / "image", at / "fusion"
        release = write_release(at / "release", *bundles, ReleaseMeta(f"revision-{self._runs}"), taxonomy)
        publish(self.store, release)
        decision = at / "decision.json"
        promoted = compare.run(
            release.id, splits["test"], raw, decision, at / "decision.html", self.url, self.rollout_url, slow_ms=1e6
        )
        if promoted:
            assert self.switch.deploy(release.id, self.rollout.current()).done
        return Run(release.id, promoted, json.loads(decision.read_text(encoding="utf-8"))["reasons"])

    def predict(self, *titles: str) -> list[str]:
        """Return the categories that the deployed release predicts."""
        folder = open_release(self._folder / "releases" / str(self.rollout.current())).path
        text, _ = load_text(folder)
        fusion, _ = load_fusion(folder, text.codes)
        by_text = text.probabilities(list(titles), [""] * len(titles))
        has_text = by_text.any(axis=1)
        fused = fusion.combine(by_text, by_text, has_text, ~has_text)
        return [text.codes[column] for column in fused.argmax(axis=1)]

    @property
    def rollout_url(self) -> str:
        """URL of the deployed releases."""
        return f"file://{self._folder}/releases"

    def _snapshot(self) -> str:
        index = FeedbackIndex(self.store)
        index.refresh()
        labels = index.labels()
        index.close()
        return write_snapshot(self.store, labels) if labels else ""

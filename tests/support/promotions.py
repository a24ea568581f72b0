"""Publish, evaluate and promote releases with random weights below one folder."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from components.promote import step
from components.shared.published_releases import publish
from components.shared.rollout.rollout import LocalRollout
from product_classifier.bundles import bundle
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.evaluation.gate import GateLimits
from product_classifier.images.model import ImageModel
from product_classifier.releases import self_check
from product_classifier.releases.release import Release, write_release
from product_classifier.store import open_store
from tests.support.tiny_release import SIZE, make_release

LIMITS: dict[str, Any] = {
    "min_gain": 0.002,
    "confidence": 0.9,
    "min_items": 10,
    "max_drop": 0.25,
    "max_slowdown": 3.0,
    "slow_ms": 50.0,
}


@dataclass
class FakeTracking:
    """A fake of the registry that records the champion alias."""

    known: set[str] = field(default_factory=set)
    champions: list[str] = field(default_factory=list)

    def __call__(self, uri: str, experiment: str) -> "FakeTracking":
        return self

    def aliased(self) -> set[str]:
        return self.known

    def set_champion_alias(self, release: str) -> None:
        self.champions.append(release)


@dataclass
class Stage:
    """An object store and a local rollout, with the operations of a promotion."""

    root: Path
    service: str = ""

    def __post_init__(self) -> None:
        self.store = open_store(self.url, create=True)
        self.rollout = LocalRollout(self.root / "releases", self.store)

    @property
    def url(self) -> str:
        return f"file://{self.root}/store"

    @property
    def rollout_url(self) -> str:
        return f"file://{self.root}/releases"

    def publish(self, seed: int, make: Callable[[Path, int], Any] = make_release) -> str:
        """Create a release and publish it to the store."""
        folder = self.root / f"made-{seed}"
        folder.mkdir(parents=True)
        release = make(folder, seed)
        publish(self.store, release)
        shutil.rmtree(folder)
        return str(release.id)

    def tamper(self, release: str, name: str, change: Callable[[bytes], bytes]) -> None:
        """Change a file of a published release in the store."""
        key = f"models/{release}/{name}"
        self.store.put(key, change(self.store.get(key)))

    def decide(self, release: str, champion: str | None, *, promote: bool = True, **limits: Any) -> Path:
        """Write a decision of the gate."""
        path = self.root / f"{release}.decision.json"
        found = {
            "release": release,
            "champion": champion,
            "promote": promote,
            "reasons": ["better" if promote else "worse"],
            "before": None,
            "after": {"weighted_f1": 0.8},
            "confidence": 0.9,
            "test_set": "t",
            "limits": asdict(GateLimits(**(LIMITS | limits))),
        }
        path.write_text(json.dumps(found))
        return path

    def promote(self, release: str, champion: str | None, **given: Any) -> bool:
        """Run the step on a decision, by default the one `decide` writes."""
        page = self.root / "report.html"
        page.write_text("<html></html>")
        decision = given.pop("decision", None) or self.decide(release, champion)
        verdict = self.root / f"{release}.verdict.json"
        where = {"store": self.url, "tracking_uri": "", "rollout": self.rollout_url, "service": self.service}
        return step.run(release, decision, page, verdict=verdict, **where, **given)

    def verdict(self, release: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / f"{release}.verdict.json").read_text())
        return found


def slow_release(folder: Path, seed: int, detour: int = 150) -> Release:
    """Return a release whose image model is slowed down by multiplications with the identity."""
    made = make_release(folder, seed)
    graph = made.path / "image" / "model.onnx"
    model = onnx.load(graph)
    nodes = model.graph.node
    last = next(node for node in nodes if node.op_type == "MatMul")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.eye(SIZE * SIZE * 3, dtype=np.float32), "same"))
    steps = ["rows", *(f"rows{number}" for number in range(detour))]
    for number, (before, after) in enumerate(pairwise(steps)):
        nodes.insert(3 + number, onnx.helper.make_node("MatMul", [before, "same"], [after]))
    last.input[0] = steps[-1]
    onnx.save(model, graph)
    bundle.write_manifest(
        made.path / "image",
        "image",
        None,
        self_check.record_image(ImageModel.load(made.path / "image")),
        CHALLENGE.codes,
    )
    return write_release(
        folder / "slow", *(made.path / kind for kind in ("text", "image", "fusion")), made.meta, made.taxonomy
    )

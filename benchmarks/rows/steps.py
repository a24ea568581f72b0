"""Cost per product of every pipeline step, from 1,000 to 100,000 products."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks import materials
from benchmarks.machine import ALL, pinned
from benchmarks.outcome import Check, Outcome
from benchmarks.timing import ms_per_item
from product_classifier.catalogue.challenge.sample.offers import offer
from product_classifier.feedback.records import ProductContent
from product_classifier.feedback.trust import Label, product_key
from product_classifier.retraining import write_snapshot
from product_classifier.store import open_store
from product_classifier.text.features import TextFeatures
from product_classifier.text.normalization import normalize

SIZES = (1000, 10_000, 100_000)
PRODUCTS_PER_CORRECTION = 20
MAX_GROWTH = 1.2
"""Largest allowed ratio of marginal cost: large sizes over small sizes."""
FLOOR_MS = 0.05
"""Marginal cost in ms per product below which a difference is noise."""
SEED = 27
TRAINING_TENTHS = 7
"""Tenths of the products in the training split."""


@dataclass(frozen=True)
class Cost:
    """Cost of one step."""

    cpu_s: float
    wall_s: float


def measure(folder: Path) -> Outcome:
    """Run the steps with `python -m components` on catalogues of several sizes."""
    with pinned(ALL):
        costs = {size: _steps(folder / str(size), size) for size in SIZES}
    steps = list(costs[SIZES[0]])
    few, many = ({step: _slope(costs, step, at) for step in steps} for at in (0, 1))
    growth = {step: many[step] / max(few[step], FLOOR_MS) for step in steps}
    worst = max(steps, key=growth.__getitem__)
    total = sum(cost.wall_s for cost in costs[SIZES[-1]].values())
    return Outcome(
        ours=f"{total / 60:.0f} min for {SIZES[-1]:,}; largest growth: {worst}, {growth[worst]:.2f}×",
        peer="–",
        ratio=None,
        checks=[
            Check(
                f"marginal CPU between {SIZES[1]:,} and {SIZES[2]:,} products over that below, worst step",
                growth[worst],
                "×",
                "≤",
                MAX_GROWTH,
            )
        ],
        details=[
            {
                "what": step,
                **{
                    f"CPU ms per product of {size:,}": round(costs[size][step].cpu_s * 1000 / size, 3) for size in SIZES
                },
                f"marginal, up to {SIZES[1]:,}": round(few[step], 3),
                f"marginal, up to {SIZES[2]:,}": round(many[step], 3),
                f"wall s of {SIZES[-1]:,}": round(costs[SIZES[-1]][step].wall_s, 1),
            }
            for step in steps
        ],
        series={step: [(size, costs[size][step].cpu_s * 1000 / size) for size in SIZES] for step in steps},
        profile=_text_training(costs),
        note=f"Start-up is in the figures per product and not in the marginal ones. The image network trains one"
        f" epoch; one product in {PRODUCTS_PER_CORRECTION} was corrected.",
    )


def _slope(costs: Mapping[int, Mapping[str, Cost]], step: str, at: int) -> float:
    """Return the marginal CPU milliseconds per product between two sizes."""
    small, large = SIZES[at], SIZES[at + 1]
    return max(0.0, costs[large][step].cpu_s - costs[small][step].cpu_s) * 1000 / (large - small)


def _text_training(costs: Mapping[int, Mapping[str, Cost]]) -> Sequence[str]:
    """Return the share of hashing, which is linear, in the training of the text model."""
    lines = []
    for size in SIZES:
        texts = [normalize(one.title, one.description) for one in materials.products(TRAINING_TENTHS * size // 10)]
        hashing_ms = ms_per_item(partial(TextFeatures().matrix, texts), size)
        rest_ms = costs[size]["train_text"].cpu_s * 1000 / size - hashing_ms
        lines.append(f"train_text of {size:,}: {hashing_ms:.2f} ms per product hashing, {rest_ms:.2f} ms the rest")
    return lines


def _steps(folder: Path, size: int) -> Mapping[str, Cost]:
    """Return the cost of every step, in the pipeline's order."""
    folder.mkdir(parents=True)
    store, raw = f"file://{folder}/store", {"raw": folder / "raw"}
    splits = {side: folder / f"{side}.parquet" for side in ("train", "validation", "test", "unseen")}
    models = {kind: folder / kind for kind in ("text", "image", "fusion")}
    training = {"train": folder / "merged.parquet", "validation": splits["validation"]}
    predictions = {kind: folder / f"{kind}_out_of_fold.parquet" for kind in ("text", "image")}
    published = {"store": store, "rollout": f"file://{folder}/releases"}
    tracked = {"store": store, "tracking_uri": f"sqlite:///{folder}/mlflow.db"}
    options: dict[str, Mapping[str, object]] = {
        "make_sample": {"folder": folder / "raw", "products": size},
        "start_run": {"store": store},
        "prepare_catalogue": {
            **raw,
            "catalogue": folder / "catalogue.parquet",
            "rejects": folder / "rejects.csv",
            "report": folder / "catalogue.json",
        },
        "split_catalogue": {
            "catalogue": folder / "catalogue.parquet",
            "report": folder / "splits.json",
            **splits,
        },
        "merge_corrections": {
            **splits,
            "merged": folder / "merged.parquet",
            "report": folder / "corrections.json",
            "store": store,
            "snapshot": _corrections(store, size // PRODUCTS_PER_CORRECTION),
        },
        "train_text": {**training, "model": models["text"], "out_of_fold": predictions["text"]},
        "train_image": {
            **training,
            **raw,
            "model": models["image"],
            "out_of_fold": predictions["image"],
        },
        "fit_fusion": {
            **training,
            **{f"{kind}_out_of_fold": path for kind, path in predictions.items()},
            "model": models["fusion"],
        },
        "evaluate": {
            "test": splits["test"],
            **raw,
            "metrics": folder / "s.json",
            "report": folder / "s.html",
            **models,
        },
        "register": {
            **models,
            **tracked,
            "metrics": folder / "s.json",
            "report": folder / "s.html",
            "test": splits["test"],
            "release": folder / "release",
            "data_revision": str(size),
        },
    }
    costs = {step: _cost(step, given) for step, given in options.items()}
    release = json.loads((folder / "release" / "release.json").read_text(encoding="utf-8"))["id"]
    gated = {"decision": folder / "d.json", "report": folder / "d.html", "release": release}
    costs["compare"] = _cost("compare", {"test": splits["test"], **raw, **gated, **published})
    costs["promote"] = _cost("promote", {"verdict": folder / "v.json", **gated, **published, **tracked})
    return costs


def _corrections(store: str, count: int) -> str:
    """Freeze corrections into a snapshot; return its hash."""
    labels, now = [], datetime.now(UTC)
    for number in range(count):
        one = offer(SEED, number, count)
        product = ProductContent(designation=one.title or one.description or str(number), description=one.description)
        labels.append(Label(product_key(product), product, str(one.code), str(number), now, "approved"))
    return write_snapshot(open_store(store, create=True), labels)


def _cost(step: str, options: Mapping[str, object]) -> Cost:
    arguments: Sequence[str] = [
        argument for name, value in options.items() for argument in (f"--{name.replace('_', '-')}", str(value))
    ]
    command = [sys.executable, "-m", "components", step, *arguments]
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    _, status, used = os.wait4(process.pid, 0)  # usage of this process and its children only
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Cost(used.ru_utime + used.ru_stime, time.perf_counter() - began)

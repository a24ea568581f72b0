"""P23: text models of 27, 417 and 5,595 categories; LinearSVC, omikuji and fastText as peers."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environments import PEERS, python_of
from benchmarks.generated_catalogue import generate_catalogue, generate_paths, read_paths
from benchmarks.outcome import Check, Outcome

TAXONOMY = "TAXONOMY"
"""Variable with a file in the format of Google's product taxonomy; without it a tree is generated."""
SIZES = {27: 10_000, 417: 20_000, 5595: 50_000}
"""Products by number of categories; with SIZE=full 1,000,000 of the last."""
FULL = 1_000_000
HELD_OUT = 5
"""Every fifth product is evaluated on."""
SVM_CATEGORIES = 417
"""Up to as many the ten lines are measured: their weights of 5,595 categories take 10 GB."""
GOAL_MB, GOAL_MS = 150, 1.0
PEER_NAMES = ("svm", "omikuji", "fasttext")


def measure(folder: Path) -> Outcome:
    """Train each classifier in a separate process, one after the other, on one thread."""
    details: list[dict[str, Any]] = []
    found: dict[int, dict[str, dict[str, float]]] = {}
    for categories, products in SIZES.items():
        many = categories == max(SIZES)
        work = _write(
            folder / str(categories), categories, FULL if many and os.environ.get("SIZE") == "full" else products
        )
        peers = [name for name in PEER_NAMES if name != "svm" or categories <= SVM_CATEGORIES]
        found[categories] = {"ours": _run(sys.executable, "-m", "benchmarks.many_categories", str(work))}
        for name in peers:
            script = str(PEERS / "many_categories.py")
            found[categories][name] = _run(str(python_of("many_categories")), script, name, str(work))
        details += [
            {"categories": categories, "model": name, **{what: round(value, 4) for what, value in one.items()}}
            for name, one in found[categories].items()
        ]
    most = found[max(SIZES)]
    return Outcome(
        ours=f"5,595 categories: F1 {most['ours']['F1']:.3f}, {most['ours']['ms per product']:.2f} ms",
        peer=f"omikuji: F1 {most['omikuji']['F1']:.3f}, {most['omikuji']['ms per product']:.2f} ms",
        ratio=most["omikuji"]["ms per product"] / most["ours"]["ms per product"],
        checks=[
            *(
                Check(f"F1 gained on {name}, {categories} categories", of["ours"]["F1"] - one["F1"], "", "≥", 0)
                for categories, of in found.items()
                if categories >= SVM_CATEGORIES
                for name, one in of.items()
                if name != "ours"
            ),
            Check("bundle, 5,595 categories", most["ours"]["MB of model"], "MB", "≤", GOAL_MB),
            Check("per product, 5,595 categories", most["ours"]["ms per product"], "ms CPU", "≤", GOAL_MS),
        ],
        details=details,
        note=(
            "Titles are made of the words of a taxonomy, a fifth of the products is evaluated on. Seconds are CPU time;"
            " ours fits the model and two folds, the peers fit once. Memory is the peak of the main process."
        ),
    )


def _write(folder: Path, categories: int, products: int) -> Path:
    """Write the training and test products as tab-separated label and title."""
    folder.mkdir()
    named = os.environ.get(TAXONOMY)
    paths = read_paths(Path(named)) if named else generate_paths(max(SIZES))
    chosen = np.sort(np.random.default_rng(0).permutation(len(paths))[:categories])
    made = generate_catalogue([paths[at] for at in chosen.tolist()], products)
    lines = [f"{label}\t{title}\n" for label, title in zip(made.labels.tolist(), made.titles, strict=True)]
    held = np.arange(len(lines)) % HELD_OUT == 0
    for split, rows in (("train", ~held), ("test", held)):
        (folder / f"{split}.tsv").write_text("".join(lines[row] for row in np.flatnonzero(rows)))
    return folder


def _run(*command: str) -> dict[str, float]:
    """Run a command on one thread; return the JSON of its last line."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "LOKY_MAX_CPU_COUNT": "1"}
    done = subprocess.run(  # noqa: S603 - a fixed command
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured

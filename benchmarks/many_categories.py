"""Train and evaluate our text model as `peers/many_categories.py` does: `python -m … FOLDER`."""

import json
import resource
import sys
from pathlib import Path

import numpy as np

from benchmarks.processes import tree_cpu_s
from components.train_text import linear_training, sparse_training
from product_classifier.evaluation.scores import weighted_f1
from product_classifier.text.features import TextFeatures
from product_classifier.text.loading import load_text_model
from product_classifier.text.normalization import normalize
from product_classifier.top_probabilities import CANDIDATES, TopProbabilities

TIMED = 2000


def main(folder: Path) -> None:
    """Fit on `train.tsv` with two folds, as the step does, and predict `test.tsv` product by product."""
    train, test = (
        [line.split("\t") for line in (folder / f"{split}.tsv").read_text().splitlines()] for split in ("train", "test")
    )
    codes = tuple(sorted({label for label, _ in train}))
    position = {code: at for at, code in enumerate(codes)}
    labels = np.array([position[label] for label, _ in train], np.int64)
    fit = sparse_training if len(codes) > CANDIDATES else linear_training
    began = tree_cpu_s()
    texts = [normalize(title, "") for _, title in train]
    model, _ = fit.fit_and_cross_predict(texts, labels, np.arange(len(texts)) % 2, codes, TextFeatures(), 1.0, 27)
    trained = tree_cpu_s() - began
    bundle = folder / "ours"
    bundle.mkdir()
    model.save(bundle)
    served = load_text_model(bundle)
    began = tree_cpu_s()
    timed = [TopProbabilities.of(served.probabilities([title], [""])) for _, title in test[:TIMED]]
    spent = tree_cpu_s() - began
    rest = [title for _, title in test[TIMED:]]
    parts = timed + [
        TopProbabilities.of(served.probabilities(rest[at : at + 256], [""] * len(rest[at : at + 256])))
        for at in range(0, len(rest), 256)
    ]
    predicted = TopProbabilities.concatenate(parts, len(codes))
    truth = np.array([position.get(label, 0) for label, _ in test], np.int64)
    found = {
        "F1": weighted_f1(predicted, truth),
        "CPU s": trained,
        "MB of memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "MB of model": sum(file.stat().st_size for file in bundle.iterdir()) / 1e6,
        "ms per product": 1000 * spent / len(timed),
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Train and evaluate one text classifier of many categories; called with its name and a folder of tab-separated files.

Prints F1, CPU seconds of training, the peak of memory, the size of the model and milliseconds per product as JSON.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC

Predict = Callable[[str], str]


def svm(titles: Sequence[str], labels: Sequence[str], _folder: Path) -> tuple[Predict, float]:
    """Ten lines: TF-IDF of words and characters, and a linear SVM."""
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=2, sublinear_tf=True)
    model = make_pipeline(make_union(words, characters), LinearSVC()).fit(titles, labels)
    return lambda title: str(model.predict([title])[0]), model[-1].coef_.nbytes / 1e6


def omikuji(titles: Sequence[str], labels: Sequence[str], folder: Path) -> tuple[Predict, float]:
    """Omikuji's default: three trees (Parabel) over TF-IDF of words and pairs of words."""
    import omikuji as package

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    matrix = vectorizer.fit_transform(titles)
    matrix.sort_indices()
    codes = sorted(set(labels))
    position = {code: at for at, code in enumerate(codes)}
    with (folder / "omikuji.txt").open("w") as file:
        file.write(f"{matrix.shape[0]} {matrix.shape[1]} {len(codes)}\n")
        for row, label in enumerate(labels):
            one = slice(matrix.indptr[row], matrix.indptr[row + 1])
            terms = zip(matrix.indices[one], matrix.data[one], strict=True)
            file.write(f"{position[label]} {' '.join(f'{term}:{value:.6f}' for term, value in terms)}\n")
    model = package.Model.train_on_data(str(folder / "omikuji.txt"), None, 1)
    model.save(str(folder / "omikuji"))

    def predict(title: str) -> str:
        row = vectorizer.transform([title])
        found = model.predict(list(zip(row.indices.tolist(), row.data.tolist(), strict=True)), top_k=1)
        return codes[found[0][0]] if found else ""

    return predict, sum(file.stat().st_size for file in (folder / "omikuji").iterdir()) / 1e6


def fasttext(titles: Sequence[str], labels: Sequence[str], folder: Path) -> tuple[Predict, float]:
    """Train fastText with pairs of words and character n-grams; hierarchical softmax of many categories."""
    import fasttext as package

    lines = [f"__label__{label} {title}\n" for title, label in zip(titles, labels, strict=True)]
    (folder / "fasttext.txt").write_text("".join(lines))
    loss = "softmax" if len(set(labels)) < 1000 else "hs"
    model = package.train_supervised(
        str(folder / "fasttext.txt"),
        dim=100,
        epoch=25,
        lr=0.5,
        wordNgrams=2,
        minn=2,
        maxn=5,
        bucket=200_000,
        thread=1,
        loss=loss,
        verbose=0,
    )
    model.save_model(str(folder / "fasttext.bin"))
    size = (folder / "fasttext.bin").stat().st_size / 1e6
    return lambda title: model.predict(title)[0][0].removeprefix("__label__"), size


def main(name: str, folder: Path) -> None:
    """Measure one classifier."""
    train, test = (
        [line.split("\t") for line in (folder / f"{split}.tsv").read_text().splitlines()] for split in ("train", "test")
    )
    began = time.process_time()
    predict, size = globals()[name]([title for _, title in train], [label for label, _ in train], folder)
    trained, began = time.process_time() - began, time.process_time()
    predicted = [predict(title) for _, title in test]
    spent = time.process_time() - began
    found = {
        "F1": f1_score([label for label, _ in test], predicted, average="weighted"),
        "CPU s": trained,
        "MB of memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "MB of model": size,
        "ms per product": 1000 * spent / len(test),
    }
    print(json.dumps(found))  # noqa: T201 - the result


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

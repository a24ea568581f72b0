"""Fit the scikit-learn text pipeline people would write: python train_sklearn.py PRODUCTS.json MODEL.joblib."""

import json
import sys
from pathlib import Path

import joblib
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline


def pipeline() -> object:
    """Return words and pairs, characters inside words, and a linear model with probabilities."""
    features = FeatureUnion(
        [
            ("words", TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)),
            ("characters", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=2, sublinear_tf=True)),
        ]
    )
    return make_pipeline(features, SGDClassifier(loss="log_loss", random_state=27))


if __name__ == "__main__":
    products = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    fitted = pipeline().fit([text for text, _ in products], [label for _, label in products])
    joblib.dump(fitted, sys.argv[2])

"""A pickled scikit-learn pipeline behind V1 JSON, as KServe's `sklearnserver` does it, which is on no index."""

import logging
import os

import joblib
from kserve import Model, ModelServer


class SklearnModel(Model):
    """Answers `predict_proba` of a pipeline."""

    def load(self) -> bool:
        self._model = joblib.load(os.environ["BENCH_PIPELINE"])
        self.ready = True
        return True

    def predict(self, payload: dict[str, list[str]], headers: dict[str, str] | None = None) -> dict[str, object]:
        return {"predictions": self._model.predict_proba(payload["instances"]).tolist()}


if __name__ == "__main__":
    logging.disable(logging.INFO)
    model = SklearnModel("text")
    model.load()
    ModelServer(enable_latency_logging=False, enable_grpc=False).start([model])

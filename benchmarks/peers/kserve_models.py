"""The product wired as the KServe SDK's samples do it: python kserve_models.py {text|image|fusion}.

Two custom predictors over V1 JSON, photos as base64, Pillow, the same ONNX graph and the same text model as ours; a
transformer that asks both through the SDK's client and averages.
"""

import argparse
import asyncio
import base64
import io
import logging
import os
from pathlib import Path

import numpy as np
from kserve import InferenceRESTClient, Model, ModelServer, RESTConfig
from PIL import Image

RELEASE = Path(os.environ["BENCH_RELEASE"])
Payload = dict[str, list[dict[str, str]]]


class Text(Model):
    """Answers for titles and descriptions."""

    def load(self) -> bool:
        from product_classifier.text.loading import load_text_model

        self._model = load_text_model(RELEASE / "text")
        self.ready = True
        return True

    def predict(self, payload: Payload, headers: dict[str, str] | None = None) -> dict[str, object]:
        products = payload["instances"]
        titles = [product["designation"] for product in products]
        return {"predictions": self._model.probabilities(titles, [""] * len(titles)).tolist()}


class Photos(Model):
    """Answers for photos."""

    def load(self) -> bool:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(RELEASE / "image" / "model.onnx"), options)
        self._size = self._session.get_inputs()[0].shape[1]
        self.ready = True
        return True

    def predict(self, payload: Payload, headers: dict[str, str] | None = None) -> dict[str, object]:
        pixels = np.stack([self._decode(product["image"]) for product in payload["instances"]])
        return {"predictions": self._session.run(None, {"pixels": pixels})[0].tolist()}

    def _decode(self, photo: str) -> np.ndarray:
        image = Image.open(io.BytesIO(base64.b64decode(photo))).convert("RGB")
        return np.asarray(image.resize((self._size, self._size), Image.Resampling.BILINEAR))


class Fusion(Model):
    """Asks both predictors at once."""

    def load(self) -> bool:
        self._urls = {name: os.environ[f"BENCH_{name.upper()}_URL"] for name in ("text", "image")}
        self._client: InferenceRESTClient | None = None
        self.ready = True
        return True

    async def predict(self, payload: Payload, headers: dict[str, str] | None = None) -> dict[str, object]:
        if self._client is None:  # it belongs to the loop it is made in
            self._client = InferenceRESTClient(RESTConfig(protocol="v1"))
        asked = [
            name for name, field in (("text", "designation"), ("image", "image")) if field in payload["instances"][0]
        ]
        replies = await asyncio.gather(
            *(self._client.infer(self._urls[name], payload, model_name=name) for name in asked)
        )
        fused = np.mean([reply["predictions"] for reply in replies], axis=0)
        return {"predictions": fused.tolist(), "best": fused.argmax(axis=1).tolist()}


if __name__ == "__main__":
    logging.disable(logging.INFO)
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["text", "image", "fusion"])
    kind = parser.parse_known_args()[0].kind
    model = {"text": Text, "image": Photos, "fusion": Fusion}[kind](kind)
    model.load()
    ModelServer(enable_latency_logging=False, enable_grpc=False).start([model])

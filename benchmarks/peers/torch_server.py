"""PyTorch behind FastAPI, as tutorials do it: loads the image network, decodes with Pillow, answers one photo."""

import base64
import io
import os

import numpy as np
import torch
import uvicorn
from fastapi import FastAPI
from PIL import Image
from pydantic import BaseModel

network = torch.jit.load(os.environ["BENCH_TORCHSCRIPT"]).eval()
app = FastAPI()


class Photo(BaseModel):
    """One photo as base64."""

    image: str


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/predict")
def predict(photo: Photo) -> dict[str, list[float]]:
    size = int(os.environ["BENCH_SIZE"])
    pixels = Image.open(io.BytesIO(base64.b64decode(photo.image))).convert("RGB").resize((size, size))
    with torch.inference_mode():
        return {"probabilities": network(torch.from_numpy(np.array(pixels)[None]))[0].tolist()}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["BENCH_PORT"]), access_log=False, log_level="warning")

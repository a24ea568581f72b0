"""The image model: an ONNX graph that classifies decoded photos."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from product_classifier.bundles.arrays import read_json, write_json
from product_classifier.bundles.bundle import read_codes
from product_classifier.bundles.onnx_guard import check_onnx
from product_classifier.bundles.onnx_session import open_session
from product_classifier.errors import BundleRefused
from product_classifier.images import decoding
from product_classifier.images.image_info import ImageInfo
from product_classifier.probabilities import Floats
from product_classifier.taxonomy import Codes
from product_classifier.taxonomy.stored_codes import all_to_stored

BATCH = 16
"""Photos per run of the graph. Larger batches are no faster on a CPU and take more memory."""


@dataclass(frozen=True)
class ImageModel:
    """An ONNX graph from uint8 RGB pixels `[n, size, size, 3]` to calibrated probabilities `[n, classes]`."""

    graph: Path
    size: int
    codes: Codes
    trimmed: bool = False
    """Whether uniform borders are cut off before a photo is scaled; not in models of version 0.1."""
    _session: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_session", open_session(self.graph))
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if [(one.name, one.type) for one in inputs] != [("pixels", "tensor(uint8)")]:
            raise BundleRefused(f"{self.graph.name}: inputs are not one uint8 tensor named 'pixels'")
        if inputs[0].shape[1:] != [self.size, self.size, 3]:
            raise BundleRefused(
                f"{self.graph.name}: input has shape {inputs[0].shape}, not [n, {self.size}, {self.size}, 3]"
            )
        if [one.name for one in outputs] != ["probabilities"] or outputs[0].shape[1:] != [len(self.codes)]:
            raise BundleRefused(f"{self.graph.name}: outputs are not probabilities [n, {len(self.codes)}] alone")

    def probabilities(self, photos: Sequence[bytes]) -> Floats:
        """Return probabilities `[n, classes]` of encoded photos.

        Raises:
            InvalidImage: If a photo is not accepted, see `decoding`.
        """
        if not photos:
            return np.zeros((0, len(self.codes)), np.float32)
        return self.probabilities_from_pixels(np.stack([self.decode(photo) for photo in photos]))

    def decode(self, photo: bytes, info: ImageInfo | None = None) -> decoding.Pixels:
        """Return the pixels `[size, size, 3]` of an encoded photo, prepared as in training.

        Raises:
            InvalidImage: If the photo is not accepted, see `decoding`.
        """
        return decoding.decode(photo, self.size, info, trimmed=self.trimmed)

    def probabilities_from_pixels(self, pixels: decoding.Pixels) -> Floats:
        """Return probabilities `[n, classes]` of decoded photos `[n, size, size, 3]`."""
        parts = [
            self._session.run(["probabilities"], {"pixels": pixels[at : at + BATCH]})[0]
            for at in range(0, len(pixels), BATCH)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.codes)), np.float32)

    def save(self, folder: Path) -> None:
        """Write the files of the model into an existing folder."""
        settings = {
            "type": "onnx-image",
            "codes": all_to_stored(self.codes),
            "size": self.size,
            "trimmed": self.trimmed,
        }
        write_json(folder / "model.json", settings)
        if self.graph != folder / "model.onnx":
            shutil.copyfile(self.graph, folder / "model.onnx")

    @classmethod
    def load(cls, folder: Path) -> "ImageModel":
        """Load a model.

        Raises:
            BundleRefused: If the files are not an image model.
        """
        settings = read_json(folder / "model.json")
        if settings.get("type") != "onnx-image":
            raise BundleRefused(f"model.json: type is {settings.get('type')!r}, not 'onnx-image'")
        size = settings.get("size")
        if not isinstance(size, int) or not 8 <= size <= 1024:
            raise BundleRefused(f"model.json: size is {size!r}, not a number of pixels from 8 to 1024")
        trimmed = settings.get("trimmed", False)
        if not isinstance(trimmed, bool):
            raise BundleRefused(f"model.json: trimmed is {trimmed!r:.40}, not true or false")
        codes = read_codes(settings, "model.json")
        check_onnx(folder / "model.onnx")
        return cls(folder / "model.onnx", size, codes, trimmed)

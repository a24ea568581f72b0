"""Write tiny packages in the formats of the packaged encoders, with random weights."""

import hashlib
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd

from components.shared import encoder_names
from components.shared.package_files import PackageFile
from components.train_text.packaged_encoders import e5_file, use_file
from product_classifier.bundles.arrays import write_arrays

HIDDEN, LAYERS, HEADS, INNER, POSITIONS = 32, 2, 2, 64, 64
USE_DIMS, BRANCH_DIMS = 8, 4
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZéèêàçôîù0123456789.,-&/'"
OTHER_SCRIPTS = ("ж", "▁дом", "漢字", "ひ")


@contextmanager
def tiny_packages(folder: Path, splits: Path) -> Iterator[None]:
    """Replace the packaged encoders by tiny ones below `folder`, with the words of the training titles."""
    pieces = _pieces(pd.read_parquet(splits / "train.parquet")["designation"])
    files = {"tiny_e5/e5.bin": e5_bytes(pieces, 1)}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(content)
    (folder / "tiny_use").mkdir()
    write_arrays(folder / "tiny_use/weights.npz", **use_arrays(len(pieces) + 3, 2))
    (folder / "tiny_use/sp.model").write_bytes(use_vocabulary(pieces))
    encoders = {
        "e5-small": replace(encoder_names.E5_SMALL, files=(package_file(folder, "tiny_e5", "e5.bin"),), max_tokens=40),
        "use-multilingual": replace(
            encoder_names.USE_MULTILINGUAL,
            files=tuple(package_file(folder, "tiny_use", name) for name in ("weights.npz", "sp.model")),
            max_tokens=40,
        ),
    }
    with patch.object(encoder_names, "ENCODERS", encoders), patch("sys.path", [str(folder), *sys.path]):
        yield


def package_file(folder: Path, module: str, path: str) -> PackageFile:
    """Return the entry of a file that is there."""
    return PackageFile(module, path, hashlib.sha256((folder / module / path).read_bytes()).hexdigest(), "install it")


def e5_bytes(pieces: Sequence[str], seed: int) -> bytes:
    """Return a file of multilingual-e5's format; the layers' matrices are `Q4_0`."""
    rng = np.random.default_rng(seed)
    texts = ["<s>", "<pad>", "</s>", "<unk>", *pieces]
    encoded = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, encoded)]).astype("<u4")
    scores = np.array([0, 0, 0, 0, *(-len(piece) / 10 - 1 for piece in pieces)], "<f4")
    sizes = (1, HIDDEN, LAYERS, HEADS, INNER, len(texts) + 5, POSITIONS, 2, 1e-12, e5_file.BLOCK)
    head = e5_file.MAGIC + struct.pack("<I7ifI", *sizes)
    vocabulary = struct.pack("<5iQ", len(texts), 0, 2, 1, 3, len(b"".join(encoded)))
    normalization = struct.pack("<iIIBI", 1, 9, 0x09, 1, 0x20)  # one entry: a tab becomes a blank
    head += vocabulary + offsets.tobytes() + scores.tobytes() + b"".join(encoded) + normalization
    tensors = {name: _tensor(name, shape, rng) for name, shape in _shapes(len(texts) + 5).items()}
    directory_bytes = 4 + sum(2 + len(name) + 21 for name in tensors)
    at = len(head) + directory_bytes
    directory, contents = struct.pack("<i", len(tensors)), b""
    for name, (kind, elements, content) in tensors.items():
        entry = struct.pack("<BIQQ", kind, elements, at + len(contents), len(content))
        directory += struct.pack("<H", len(name)) + name.encode() + entry
        contents += content
    return head + directory + contents


def use_arrays(pieces: int, seed: int) -> Mapping[str, np.ndarray]:
    """Return the arrays of the Universal Sentence Encoder's format."""
    rng = np.random.default_rng(seed)
    rows = -(-pieces // use_file.CHUNKS)
    width, joined = BRANCH_DIMS, USE_DIMS + BRANCH_DIMS * len(use_file.ORDERS)
    arrays = {f"q{chunk + 1}": rng.integers(0, 256, (rows, USE_DIMS), np.uint8) for chunk in range(use_file.CHUNKS)}
    shapes: dict[str, tuple[int, ...]] = {"ln_g": (joined,), "ln_b": (joined,), "cnn_W": (joined, 6), "cnn_b": (6,)}
    shapes |= {"d0": (6, 5), "d1": (5, 5), "p1": (6, 5), "d2": (5, 7), "p3": (5, 7), "d3": (7, 7)}
    for order in use_file.ORDERS:
        shapes |= {f"proj{order}": (USE_DIMS, width), f"w1_{order}": (order * width, width)}
        shapes |= {f"w2_{order}": (order * width, width)}
        shapes |= {f"{name}{order}": (width,) for name in ("proj_b", "ln_g", "ln_b", "b1_", "b2_")}
    arrays |= {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
    scale = rng.uniform(0.01, 0.02, use_file.CHUNKS).astype(np.float32)
    return arrays | {"scale": scale, "lo": -128 * scale, "bits": np.array([8], np.int8), "eps": np.array(1e-6)}


def use_vocabulary(pieces: Sequence[str]) -> bytes:
    """Return a model of SentencePiece, whose table of character replacements is empty."""
    model = use_file.model_message()()
    for text in ("<unk>", "<s>", "</s>", *pieces):
        model.pieces.add(piece=text, score=-len(text) / 10 - 1)
    trie = bytes(4 * 512)
    model.normalizer_spec.precompiled_charsmap = struct.pack("<I", len(trie)) + trie + b"\0"
    return bytes(model.SerializeToString())


def _pieces(titles: Sequence[str]) -> list[str]:
    words = sorted({f"▁{word}" for title in titles for word in title.split()})
    return ["▁", *LETTERS, ":", "▁query", *OTHER_SCRIPTS, *words]


def _shapes(vocabulary: int) -> dict[str, tuple[int, ...]]:
    return e5_file.tensor_shapes(HIDDEN, LAYERS, INNER, vocabulary, POSITIONS, 2)


def _tensor(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[int, int, bytes]:
    elements = int(np.prod(shape))
    if not name.endswith(".w") or len(shape) == 1:
        center = 1.0 if name.endswith("n.w") else 0.0
        return e5_file.FLOAT32, elements, rng.normal(center, 0.1, shape).astype("<f4").tobytes()
    blocks = np.zeros(elements // e5_file.BLOCK, e5_file.BLOCK_TYPE)
    blocks["scale"] = rng.uniform(0.02, 0.04, len(blocks))
    blocks["nibbles"] = rng.integers(0, 256, blocks["nibbles"].shape)
    return e5_file.Q4_0, elements, blocks.tobytes()

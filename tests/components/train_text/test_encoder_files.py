"""The files of packaged encoders: what they hold, and damage."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import normalizers

from components.shared.package_files import PackageFile, WeightsRefused
from components.train_text.packaged_encoders.e5_file import E5Weights, read_e5
from components.train_text.packaged_encoders.scripts import scripts_of
from components.train_text.packaged_encoders.unigram import build_tokenizer
from components.train_text.packaged_encoders.use_file import read_use
from product_classifier.bundles.arrays import write_arrays
from tests.support.tiny_encoders import HIDDEN, e5_bytes, package_file, use_arrays, use_vocabulary

PIECES = ["▁", "▁query", ":", *"abcdefghijklmnopqrstuvwxyzé", "▁thé", "▁la", "mp", "e▁", "ж", "▁дом", "漢字"]
CONTENT = e5_bytes(PIECES, 5)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> E5Weights:
    path = tmp_path_factory.mktemp("e5") / "e5.bin"
    path.write_bytes(CONTENT)
    return read_e5(path)


def test_blocks_are_a_scale_and_nibbles_minus_eight(weights: E5Weights) -> None:
    first = struct.unpack_from("<e16B", CONTENT, _offset("l0.q.w"))
    expected = [(byte & 15) - 8 for byte in first[1:]] + [(byte >> 4) - 8 for byte in first[1:]]

    assert np.allclose(np.array(expected) * first[0], weights.tensors["l0.q.w"].ravel()[:32])
    assert (HIDDEN, HIDDEN) == weights.tensors["l0.q.w"].shape


def _offset(name: str) -> int:
    at = CONTENT.index(struct.pack("<H", len(name)) + name.encode()) + 2 + len(name)
    return int(struct.unpack_from("<BIQQ", CONTENT, at)[2])


@given(st.integers(0, len(CONTENT) - 1))
def test_a_truncated_file_is_refused(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    path = tmp_path_factory.getbasetemp() / "truncated.bin"
    path.write_bytes(CONTENT[:length])

    with pytest.raises(WeightsRefused, match=r"truncated\.bin: is damaged: .*; install the version in the lock"):
        read_e5(path)


@given(st.integers(0, 300), st.integers(0, 255))
def test_a_changed_header_is_refused_or_read(tmp_path_factory: pytest.TempPathFactory, at: int, value: int) -> None:
    path = tmp_path_factory.getbasetemp() / "changed.bin"
    path.write_bytes(CONTENT[:at] + bytes([value]) + CONTENT[at + 1 :])
    try:
        found = read_e5(path)
    except WeightsRefused:
        return
    assert all(np.isfinite(one).all() for one in found.tensors.values())


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    at = _offset("emb.ln.w")
    (tmp_path / "nan.bin").write_bytes(CONTENT[:at] + struct.pack("<f", np.nan) + CONTENT[at + 4 :])

    with pytest.raises(WeightsRefused, match=r"emb\.ln\.w has weights that are not finite"):
        read_e5(tmp_path / "nan.bin")


@given(st.lists(st.sampled_from(["thé", "lampe", "la", "query", "zébu", "x"]), min_size=1, max_size=6).map(" ".join))
def test_the_cut_vocabulary_segments_texts_of_its_scripts_alike(weights: E5Weights, text: str) -> None:
    cut, kept = weights.pieces.cut(scripts_of([text]))
    whole, small = (
        build_tokenizer(pieces, [normalizers.Nmt(), normalizers.NFKC()], "query: ") for pieces in (weights.pieces, cut)
    )

    assert whole.encode(text).tokens == small.encode(text).tokens
    assert whole.encode(text).ids == kept[small.encode(text).ids].tolist()
    assert len(weights.pieces.texts) - 3 == len(cut.texts)


@pytest.mark.parametrize(
    ("texts", "scripts"),
    [
        ([], {"LATIN"}),
        (["Thé à 5 € ½ m² ℃"], {"LATIN"}),
        (["дом 5"], {"LATIN", "CYRILLIC"}),
        (["漢字かな", "カナ"], {"LATIN", "CJK", "HIRAGANA", "KATAKANA"}),
        (["x" * 5000 + "ж"], {"LATIN"}),
        (["ｆｕｌｌ"], {"LATIN"}),
    ],
)
def test_scripts_are_those_of_one_letter_in_a_thousand(texts: list[str], scripts: set[str]) -> None:
    assert scripts == scripts_of(texts)


def test_rows_of_the_embeddings_come_from_chunks_in_turn(tmp_path: Path) -> None:
    arrays = dict(use_arrays(40, 3))
    write_arrays(tmp_path / "weights.npz", **arrays)
    (tmp_path / "sp.model").write_bytes(use_vocabulary(PIECES))

    found = read_use(tmp_path / "weights.npz", tmp_path / "sp.model")
    table, scale, offset = found.embeddings(np.array([0, 18, 39]))
    assert np.array_equal([arrays["q1"][0], arrays["q2"][1], arrays["q6"][2]], table)
    assert np.array_equal(arrays["scale"][[0, 1, 5]], scale)
    assert np.array_equal(arrays["lo"][[0, 1, 5]], offset)
    assert ("<unk>", "<s>", "</s>", *PIECES) == found.pieces.texts


@pytest.mark.parametrize("name", ["weights.npz", "sp.model"])
def test_damaged_files_of_the_sentence_encoder_are_refused(tmp_path: Path, name: str) -> None:
    write_arrays(tmp_path / "weights.npz", **use_arrays(40, 3))
    (tmp_path / "sp.model").write_bytes(use_vocabulary(PIECES))
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-5])

    with pytest.raises(WeightsRefused, match=f"{name}: .*; install the version in the lock"):
        read_use(tmp_path / "weights.npz", tmp_path / "sp.model")


def test_a_pickled_array_is_refused(tmp_path: Path) -> None:
    arrays = dict(use_arrays(40, 3)) | {"lo": np.array([object()])}
    np.savez(tmp_path / "weights.npz", **arrays)

    with pytest.raises(WeightsRefused, match=r"weights\.npz: is not a readable archive of plain arrays"):
        read_use(tmp_path / "weights.npz", tmp_path / "sp.model")


def test_a_package_file_is_found_without_importing_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_package").mkdir()
    (tmp_path / "broken_package/__init__.py").write_text("raise RuntimeError")
    (tmp_path / "broken_package/weights").write_bytes(b"1")
    monkeypatch.syspath_prepend(tmp_path)

    assert tmp_path / "broken_package/weights" == package_file(tmp_path, "broken_package", "weights").find()


@pytest.mark.parametrize(
    ("module", "path", "reason"),
    [
        ("no_such_package", "x", "no_such_package: is not installed; install it"),
        ("onnx", "no_such_file", "no_such_file: cannot be read from the package onnx; install it again"),
        ("onnx", "__init__.py", r"__init__\.py: its sha256 is .*, not 0000.*; install the version in the lock"),
    ],
)
def test_a_missing_or_unexpected_package_file_is_refused(module: str, path: str, reason: str) -> None:
    with pytest.raises(WeightsRefused, match=reason):
        PackageFile(module, path, "0" * 64, "install it").find()

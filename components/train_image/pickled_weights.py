"""Read the tensors of a legacy PyTorch file without PyTorch and without executing its pickles.

The format of `torch.save` before version 1.6 is five pickles (magic number, protocol version, system, state dictionary,
keys of the storages), then the number of elements and the bytes of each storage. A pickle may name any callable. This
reader resolves four names, to a dictionary and to records of its own; every other name is refused.
"""

import math
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from components.shared.package_files import WeightsRefused

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
_MALFORMED = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    MemoryError,
    OverflowError,
    RecursionError,
)
"""What the unpickler raises on a damaged file."""


@dataclass(frozen=True, slots=True)
class _StorageType:
    """Element type of a storage."""

    dtype: str


@dataclass(frozen=True, slots=True)
class _Storage:
    """A storage of the file, by its key."""

    key: str
    dtype: str
    elements: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A view of a storage; offset and strides in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a state dictionary by name.

    Raises:
        WeightsRefused: If the file is not one, or names anything but tensors.
    """
    try:
        with path.open("rb") as file:
            if _load(file) != MAGIC or _load(file) != PROTOCOL:
                raise ValueError("not a legacy PyTorch file")
            _load(file)  # byte order and sizes of types on the machine that wrote the file
            state, keys = _load(file), _load(file)
            named = _tensors(state)
            storages = _read_storages(file, keys, {one.storage.key: one.storage for one in named.values()})
            return {name: _view(one, storages) for name, one in named.items()}
    except FileNotFoundError as error:
        raise WeightsRefused(f"{path.name}: is missing; install the package that holds it") from error
    except _MALFORMED as error:
        raise WeightsRefused(f"{path.name}: {str(error)[:160]}; use a file of tensors only") from error


class _TensorUnpickler(pickle.Unpickler):
    """An unpickler whose only callables make a dictionary or a record of a tensor."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"the pickle names {module}.{name}, which is not a tensor") from None

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", _StorageType(dtype), str(key), str(), int(elements), None):
                return _Storage(key, dtype, elements)
        raise pickle.UnpicklingError(f"the pickle refers to {pid!r:.80}, which is not a storage")


def _load(file: BinaryIO) -> Any:
    return _TensorUnpickler(file).load()


def _tensor(storage: object, offset: object, shape: object, strides: object, *_unused: object) -> _Tensor:
    """Record the arguments of `torch._utils._rebuild_tensor_v2`."""
    match storage, offset, shape, strides:
        case _Storage(), int(), tuple(), tuple():
            if len(shape) == len(strides) and all(type(one) is int and one >= 0 for one in (offset, *shape, *strides)):
                return _Tensor(storage, offset, shape, strides)
    raise pickle.UnpicklingError(f"a tensor has shape {shape!r:.80} and strides {strides!r:.80}")


_ALLOWED: Mapping[tuple[str, str], Callable[..., Any] | _StorageType] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch", "FloatStorage"): _StorageType("<f4"),
    ("torch", "LongStorage"): _StorageType("<i8"),
}


def _tensors(state: object) -> dict[str, _Tensor]:
    if not isinstance(state, dict) or not state:
        raise ValueError("holds no dictionary of tensors")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, _Tensor):
            raise TypeError(f"{name!r:.80} is not a tensor")
    return dict(state)


def _read_storages(file: BinaryIO, keys: object, declared: Mapping[str, _Storage]) -> dict[str, NDArray[Any]]:
    if not isinstance(keys, list) or set(keys) != set(declared):
        raise ValueError("the storages are not those of the tensors")
    found = {}
    for key in keys:
        storage = declared[key]
        elements, dtype = int.from_bytes(file.read(8), "little"), np.dtype(storage.dtype)
        content = file.read(elements * dtype.itemsize) if elements == storage.elements else b""
        if len(content) != storage.elements * dtype.itemsize:
            raise ValueError(f"storage {key} does not have {storage.elements} elements")
        found[key] = np.frombuffer(content, dtype)
    return found


def _view(tensor: _Tensor, storages: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Return a copy of the elements of a tensor in row-major order."""
    storage = storages[tensor.storage.key]
    last = tensor.offset + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True))
    if 0 in tensor.shape or last >= len(storage) or math.prod(tensor.shape) > len(storage):
        raise ValueError(f"a tensor of shape {tensor.shape} exceeds its storage of {len(storage)} elements")
    strides = [stride * storage.itemsize for stride in tensor.strides]
    view = np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides, writeable=False)
    return view.copy()

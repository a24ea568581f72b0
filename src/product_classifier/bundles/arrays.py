"""Read and write numpy arrays and JSON objects without pickle; everything read is validated."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from product_classifier.errors import BundleRefused
from product_classifier.limits import ARRAYS_BYTES, JSON_BYTES


def write_arrays(path: Path, **arrays: NDArray[Any]) -> None:
    """Write arrays as an uncompressed .npz archive; equal arrays give equal bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(arrays[name]), allow_pickle=False)


def check_shapes(file: str, arrays: Mapping[str, NDArray[Any]], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise `BundleRefused`, naming the file, if an array has another shape than it should."""
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise BundleRefused(f"{file}: {name} has shape {arrays[name].shape}, not {shape}")


def read_arrays(path: Path, dtypes: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """Read an .npz archive of exactly the arrays in `dtypes`, with these dtypes and finite values.

    Raises:
        BundleRefused: If the file is unreadable or holds anything else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > ARRAYS_BYTES:
            raise BundleRefused(f"{path.name}: unpacks to {size} bytes, more than {ARRAYS_BYTES}")
        with np.load(path, allow_pickle=False) as archive:
            if set(archive.files) != set(dtypes):
                raise BundleRefused(f"{path.name}: holds {sorted(archive.files)}, not {sorted(dtypes)}")
            arrays = {name: archive[name] for name in dtypes}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise BundleRefused(f"{path.name}: is not a readable archive of plain arrays: {str(error)[:120]}") from error
    for name, dtype in dtypes.items():
        if arrays[name].dtype != np.dtype(dtype):
            raise BundleRefused(f"{path.name}: {name} is {arrays[name].dtype}, not {dtype}")
        if not np.isfinite(arrays[name]).all():
            raise BundleRefused(f"{path.name}: {name} has values that are not finite numbers")
    return arrays


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON object with sorted keys; raise `ValueError` on NaN and infinity."""
    path.write_text(json.dumps(values, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n", "utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        BundleRefused: If the file is missing, too large, not JSON, not an object, or holds NaN or infinity.
    """
    try:
        if path.stat().st_size > JSON_BYTES:
            raise BundleRefused(f"{path.name}: has {path.stat().st_size} bytes, more than {JSON_BYTES}")
        values = json.loads(path.read_text("utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError as error:
        raise BundleRefused(f"{path.name}: is missing") from error
    except (OSError, ValueError, RecursionError) as error:
        raise BundleRefused(f"{path.name}: is not readable JSON: {str(error)[:120]}") from error
    if not isinstance(values, dict):
        raise BundleRefused(f"{path.name}: holds {type(values).__name__}, not an object")
    return values


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a finite number")

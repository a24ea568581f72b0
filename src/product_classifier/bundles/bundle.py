"""A bundle: one model in a folder, with a manifest that says what every file must be.

    text/model.json  text/weights.npz  text/bundle.json

Nothing is parsed before the folder's listing, the sizes and the hashes agree with the manifest.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

from product_classifier.bundles.arrays import read_json, write_json
from product_classifier.bundles.onnx_guard import check_onnx
from product_classifier.errors import BundleRefused
from product_classifier.taxonomy import CODES

Kind = Literal["text", "image", "fusion"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MANIFEST = "bundle.json"
SUFFIXES = {".json", ".npz", ".onnx"}
MAX_FILES = 16
MAX_FILE_BYTES = 2 * 2**30

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """What a file must be."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class BundleInfo:
    """A verified manifest."""

    kind: Kind
    version: str
    created: str
    codes: tuple[int, ...]
    path: Path
    files: Mapping[str, FileEntry] = field(repr=False)
    self_test: Mapping[str, Any] = field(repr=False)
    release: str | None = None
    """The release this bundle belongs to, once it does."""


def write_manifest(
    folder: Path,
    kind: Kind,
    version: str | None,
    self_test: Mapping[str, Any],
    *,
    created: str | None = None,
    release: str | None = None,
) -> BundleInfo:
    """Write the manifest of the files in `folder`; without a version, their content names one."""
    names = [name for name in _listing(folder) if name != MANIFEST]
    files = {name: file_entry(folder / name) for name in names}
    manifest = {
        "kind": kind,
        "version": version or f"{kind}-{digest_of(files)[:12]}",
        "created": created or datetime.now(UTC).isoformat(timespec="seconds"),
        "codes": list(CODES),
        "release": release,
        "self_test": dict(self_test),
        "files": {name: {"sha256": entry.sha256, "size": entry.size} for name, entry in files.items()},
    }
    write_json(folder / MANIFEST, manifest)
    return verify(folder)


def verify(folder: Path) -> BundleInfo:
    """Check a folder against its manifest: listing, names, sizes, hashes, class order, ONNX structure.

    Raises:
        BundleRefused: Naming the file and what was expected of it.
    """
    names = _listing(folder)
    if MANIFEST not in names:
        raise BundleRefused(f"{folder.name}: has no {MANIFEST}")
    info = _read_manifest(folder)
    check_listing(names, {*info.files, MANIFEST})
    for name, entry in info.files.items():
        check_file(folder / name, entry)
    for name in info.files:
        if name.endswith(".onnx"):
            check_onnx(folder / name)
    return info


def check_file(path: Path, expected: FileEntry) -> None:
    """Refuse a file that has another size or hash."""
    size = path.stat().st_size
    if size != expected.size:
        raise BundleRefused(f"{path.name}: has {size} bytes, the manifest says {expected.size}")
    found = file_entry(path)
    if found != expected:
        raise BundleRefused(f"{path.name}: sha256 is {found.sha256[:12]}…, the manifest says {expected.sha256[:12]}…")


def check_listing(found: list[str], expected: set[str]) -> None:
    """Refuse files that are missing or that nobody listed."""
    if missing := sorted(expected - set(found)):
        raise BundleRefused(f"{missing[0]}: is in the manifest but not in the folder")
    if extra := sorted(set(found) - expected):
        raise BundleRefused(f"{extra[0]}: is in the folder but not in the manifest")


def file_entry(path: Path) -> FileEntry:
    """Hash a file."""
    with path.open("rb") as file:
        return FileEntry(hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)


def read_entries(values: object, where: str) -> dict[str, FileEntry]:
    """Read the `files` of a manifest.

    Raises:
        BundleRefused: If a name could leave the folder, has a foreign suffix, or an entry is malformed.
    """
    if not isinstance(values, dict) or not values:
        raise BundleRefused(f"{where}: files is not a list of files")
    entries = {}
    for name, entry in values.items():
        check_name(name, where)
        match entry:
            case {"sha256": str(sha256), "size": int(size)} if _SHA256.fullmatch(sha256) and size >= 0:
                if size > MAX_FILE_BYTES:
                    raise BundleRefused(f"{where}: {name} is {size} bytes, more than {MAX_FILE_BYTES}")
                entries[name] = FileEntry(sha256, size)
            case _:
                raise BundleRefused(f"{where}: the entry of {name} is not a sha256 and a size: {entry!r:.80}")
    return entries


def check_name(name: str, where: str) -> None:
    """Refuse a path that could leave the folder, or a kind of file a bundle never holds."""
    parts = PurePosixPath(name).parts
    if "\\" in name or len(parts) > 2 or "/".join(parts) != name or not all(map(_NAME.fullmatch, parts)):
        raise BundleRefused(f"{where}: {name!r:.80} is not a plain file name")
    if PurePosixPath(name).suffix not in SUFFIXES:
        raise BundleRefused(f"{where}: {name!r:.80} is not one of {', '.join(sorted(SUFFIXES))}")


def digest_of(files: Mapping[str, FileEntry]) -> str:
    """Return one hash for a set of files."""
    return hashlib.sha256("\n".join(f"{name} {files[name].sha256}" for name in sorted(files)).encode()).hexdigest()


def _read_manifest(folder: Path) -> BundleInfo:
    values = read_json(folder / MANIFEST)
    if values.get("codes") != list(CODES):
        raise BundleRefused(f"{MANIFEST}: codes are not the {len(CODES)} categories in ascending order")
    match values:
        case {"kind": kind, "version": str(version), "created": str(created), "self_test": dict(self_test)}:
            if kind not in KINDS:
                raise BundleRefused(f"{MANIFEST}: kind is {kind!r:.40}, not one of {', '.join(KINDS)}")
            if not _NAME.fullmatch(version):
                raise BundleRefused(f"{MANIFEST}: version is {version!r:.40}, not a plain name")
            release = values.get("release")
            if release is not None and not (isinstance(release, str) and _NAME.fullmatch(release)):
                raise BundleRefused(f"{MANIFEST}: release is {release!r:.40}, not a plain name")
            files = read_entries(values.get("files"), MANIFEST)
            if any("/" in name for name in files):
                raise BundleRefused(f"{MANIFEST}: files lie in sub-folders")
            return BundleInfo(kind, version, created, CODES, folder, files, self_test, release)
        case _:
            raise BundleRefused(f"{MANIFEST}: kind, version, created or self_test is missing or malformed")


def _listing(folder: Path) -> list[str]:
    """Return the names in a flat folder of plain files."""
    if not folder.is_dir():
        raise BundleRefused(f"{folder.name}: is not a folder")
    entries = sorted(folder.iterdir())
    if len(entries) > MAX_FILES:
        raise BundleRefused(f"{folder.name}: holds {len(entries)} entries, more than {MAX_FILES}")
    for entry in entries:
        if entry.is_symlink():
            raise BundleRefused(f"{entry.name}: is a symbolic link")
        if not entry.is_file():
            raise BundleRefused(f"{entry.name}: is not a plain file")
        check_name(entry.name, folder.name)
    return [entry.name for entry in entries]

"""A bundle: the files of one model in a folder, with a manifest of their sizes and hashes.

    text/model.json  text/weights.npz  text/bundle.json

A file is parsed only after the listing of the folder, the sizes and the hashes agree with the manifest.
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
from product_classifier.limits import BUNDLE_FILE_BYTES, BUNDLE_FILES
from product_classifier.taxonomy import Codes, Taxonomy
from product_classifier.taxonomy.stored_codes import all_to_stored, from_stored
from product_classifier.taxonomy.tree import CODE_TYPES, CodeType

Kind = Literal["text", "image", "fusion"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MANIFEST = "bundle.json"
SUFFIXES = {".json", ".npz", ".onnx"}

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """Hash and size of a file as listed in a manifest."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class BundleInfo:
    """A verified manifest."""

    kind: Kind
    version: str
    created: str
    codes: Codes
    """Category codes in the order of the model's probabilities."""
    path: Path
    files: Mapping[str, FileEntry] = field(repr=False)
    self_check: Mapping[str, Any] = field(repr=False)
    """Recorded self-check, see `releases.self_check`."""
    release: str | None = None
    """Id of the release that contains this bundle, if any."""
    taxonomy: str | None = None
    """Digest of the taxonomy the model was trained with; None in bundles of earlier versions."""
    code_type: CodeType = "string"
    """How JSON and V2 show the codes, as the taxonomy states it."""


def write_manifest(
    folder: Path,
    kind: Kind,
    version: str | None,
    self_check: Mapping[str, Any],
    codes: Codes,
    *,
    created: str | None = None,
    release: str | None = None,
    taxonomy: Taxonomy | None = None,
) -> BundleInfo:
    """Write `bundle.json` for the files in `folder` and verify the result.

    Args:
        folder: Folder with the files of the model.
        kind: Kind of the model.
        version: Version of the bundle; by default derived from the hashes of its files.
        self_check: Recorded self-check.
        codes: Category codes in the order of the model's probabilities.
        created: ISO 8601 timestamp; by default the current time.
        release: Id of the release that contains the bundle.
        taxonomy: Taxonomy the model was trained with; the manifest has its digest.

    Raises:
        BundleRefused: If the folder holds files a bundle must not hold.
    """
    names = [name for name in _list_files(folder) if name != MANIFEST]
    files = {name: file_entry(folder / name) for name in names}
    manifest = {
        "kind": kind,
        "version": version or f"{kind}-{digest_of(files)[:12]}",
        "created": created or datetime.now(UTC).isoformat(timespec="seconds"),
        "codes": all_to_stored(codes),
        "release": release,
        "taxonomy": taxonomy and taxonomy.digest,
        "code_type": taxonomy and taxonomy.code_type,
        "self_test": dict(self_check),
        "files": {name: {"sha256": entry.sha256, "size": entry.size} for name, entry in files.items()},
    }
    write_json(folder / MANIFEST, manifest)
    return verify(folder)


def verify(folder: Path, codes: Codes | None = None) -> BundleInfo:
    """Check a folder against its manifest: names, sizes, hashes, category codes, ONNX structure.

    Args:
        folder: Folder of the bundle.
        codes: Category codes in the expected order; None accepts the codes of the manifest.

    Raises:
        BundleRefused: With the file and what was expected of it.
    """
    names = _list_files(folder)
    if MANIFEST not in names:
        raise BundleRefused(f"{folder.name}: has no {MANIFEST}")
    info = _read_manifest(folder)
    if codes is not None:
        check_codes(info.codes, codes, MANIFEST)
    check_listing(names, {*info.files, MANIFEST})
    for name, entry in info.files.items():
        check_file(folder / name, entry)
    for name in info.files:
        if name.endswith(".onnx"):
            check_onnx(folder / name)
    return info


def read_codes(values: Mapping[str, Any], where: str) -> Codes:
    """Return the category codes listed in a JSON file of a bundle.

    Raises:
        BundleRefused: If `codes` is not a list of at least two distinct texts or integers.
    """
    listed = values.get("codes")
    if not isinstance(listed, list) or not all(type(code) in {int, str} for code in listed):
        raise BundleRefused(f"{where}: codes are not a list of texts or integers: {listed!r:.120}")
    codes = tuple(map(from_stored, listed))
    if len(codes) < 2 or len(set(codes)) != len(codes) or not all(codes):
        raise BundleRefused(f"{where}: codes are not two or more distinct codes: {listed!r:.120}")
    return codes


def check_codes(codes: Codes, expected: Codes, where: str) -> None:
    """Raise `BundleRefused` unless `codes` equal `expected`, order included."""
    if codes != expected:
        raise BundleRefused(
            f"{where}: codes are not the {len(expected)} expected codes in their order: {list(codes)!r:.120}"
        )


def check_file(path: Path, expected: FileEntry) -> None:
    """Raise `BundleRefused` if the size or the hash of a file differs from its entry."""
    size = path.stat().st_size
    if size != expected.size:
        raise BundleRefused(f"{path.name}: has {size} bytes, the manifest lists {expected.size}")
    found = file_entry(path)
    if found != expected:
        raise BundleRefused(f"{path.name}: sha256 is {found.sha256[:12]}…, the manifest lists {expected.sha256[:12]}…")


def check_listing(found: list[str], expected: set[str]) -> None:
    """Raise `BundleRefused` if a listed file is missing or an unlisted file is present."""
    if missing := sorted(expected - set(found)):
        raise BundleRefused(f"{missing[0]}: is in the manifest but not in the folder")
    if extra := sorted(set(found) - expected):
        raise BundleRefused(f"{extra[0]}: is in the folder but not in the manifest")


def file_entry(path: Path) -> FileEntry:
    """Return hash and size of a file."""
    with path.open("rb") as file:
        return FileEntry(hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)


def read_entries(values: object, where: str) -> dict[str, FileEntry]:
    """Return the `files` of a manifest.

    Raises:
        BundleRefused: If a name could leave the folder or has another suffix, or if an entry is malformed.
    """
    if not isinstance(values, dict) or not values:
        raise BundleRefused(f"{where}: files is not an object with one entry per file")
    entries = {}
    for name, entry in values.items():
        check_name(name, where)
        match entry:
            case {"sha256": str(sha256), "size": int(size)} if _SHA256.fullmatch(sha256) and size >= 0:
                if size > BUNDLE_FILE_BYTES:
                    raise BundleRefused(f"{where}: {name} is {size} bytes, more than {BUNDLE_FILE_BYTES}")
                entries[name] = FileEntry(sha256, size)
            case _:
                raise BundleRefused(f"{where}: the entry of {name} is not a sha256 and a size: {entry!r:.80}")
    return entries


def check_name(name: str, where: str) -> None:
    """Raise `BundleRefused` if a path could leave the folder or has a suffix no bundle file has."""
    parts = PurePosixPath(name).parts
    if "\\" in name or len(parts) > 2 or "/".join(parts) != name or not all(map(_NAME.fullmatch, parts)):
        raise BundleRefused(f"{where}: {name!r:.80} is not a plain file name")
    if PurePosixPath(name).suffix not in SUFFIXES:
        raise BundleRefused(f"{where}: {name!r:.80} is not one of {', '.join(sorted(SUFFIXES))}")


def digest_of(files: Mapping[str, FileEntry]) -> str:
    """Return the SHA-256 of the names and hashes of files."""
    return hashlib.sha256("\n".join(f"{name} {files[name].sha256}" for name in sorted(files)).encode()).hexdigest()


def _read_manifest(folder: Path) -> BundleInfo:
    values = read_json(folder / MANIFEST)
    codes = read_codes(values, MANIFEST)
    match values:
        case {"kind": kind, "version": str(version), "created": str(created), "self_test": dict(self_check)}:
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
            taxonomy = values.get("taxonomy")
            if taxonomy is not None and not (isinstance(taxonomy, str) and _SHA256.fullmatch(taxonomy)):
                raise BundleRefused(f"{MANIFEST}: taxonomy is {taxonomy!r:.40}, not the digest of a taxonomy")
            code_type: CodeType = next((one for one in CODE_TYPES if one == values.get("code_type")), "string")
            return BundleInfo(kind, version, created, codes, folder, files, self_check, release, taxonomy, code_type)
        case _:
            raise BundleRefused(f"{MANIFEST}: kind, version, created or self_test is missing or malformed")


def _list_files(folder: Path) -> list[str]:
    """Return the sorted names in a folder; raise `BundleRefused` if an entry is not a plain file with a valid name."""
    if not folder.is_dir():
        raise BundleRefused(f"{folder.name}: is not a folder")
    entries = sorted(folder.iterdir())
    if len(entries) > BUNDLE_FILES:
        raise BundleRefused(f"{folder.name}: holds {len(entries)} entries, more than {BUNDLE_FILES}")
    for entry in entries:
        if entry.is_symlink():
            raise BundleRefused(f"{entry.name}: is a symbolic link")
        if not entry.is_file():
            raise BundleRefused(f"{entry.name}: is not a plain file")
        check_name(entry.name, folder.name)
    return [entry.name for entry in entries]

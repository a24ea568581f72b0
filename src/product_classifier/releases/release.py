"""A release: three bundles that are served together, and where they come from.

A release is a folder with `text/`, `image/`, `fusion/`, `taxonomy/` and `release.json`; its id looks like
`r-20260102T030405-0a1b2c3d`. The fusion bundle holds the taxonomy too, because a cluster downloads bundles alone. A
release without a taxonomy was written by an earlier version, see `release_taxonomy`.
"""

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from product_classifier.bundles import bundle
from product_classifier.bundles.arrays import read_json, write_json
from product_classifier.bundles.bundle import BundleInfo, FileEntry, Kind
from product_classifier.errors import BundleRefused
from product_classifier.fusion.model import FusionModel
from product_classifier.releases import self_check
from product_classifier.releases.release_taxonomy import taxonomy_of
from product_classifier.taxonomy import Codes, Taxonomy
from product_classifier.taxonomy.folder import FILE, FOLDER, write_taxonomy
from product_classifier.text.loading import load_text_model
from product_classifier.text.model import TextModel

if TYPE_CHECKING:
    from product_classifier.images.model import ImageModel

MANIFEST = "release.json"
_ID = re.compile(r"r-\d{8}T\d{6}-[0-9a-f]{8}")


class _Model(Protocol):
    @property
    def codes(self) -> Codes: ...


ModelT = TypeVar("ModelT", bound=_Model)


@dataclass(frozen=True, slots=True)
class ReleaseMeta:
    """Where a release comes from."""

    data_revision: str
    corrections: str | None = None
    """SHA-256 of the correction snapshot it was trained with, if any."""
    git_commit: str | None = None
    mlflow_runs: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    products: Mapping[str, int] = field(default_factory=dict)
    """Products to train on by the code they are labelled with; empty in releases of earlier versions."""


@dataclass(frozen=True, slots=True)
class Release:
    """A verified release."""

    id: str
    created: str
    path: Path
    meta: ReleaseMeta
    versions: Mapping[Kind, str]
    files: Mapping[str, FileEntry] = field(repr=False)
    taxonomy: Taxonomy = field(repr=False)

    @property
    def data_revision(self) -> str:
        """Revision of the training data."""
        return self.meta.data_revision

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Metrics of the evaluation."""
        return self.meta.metrics


class _Manifest(NamedTuple):
    """What `release.json` states."""

    id: str
    created: str
    meta: ReleaseMeta
    versions: Mapping[Kind, str]
    files: Mapping[str, FileEntry]


def write_release(
    folder: Path,
    text_dir: Path,
    image_dir: Path,
    fusion_dir: Path,
    meta: ReleaseMeta,
    taxonomy: Taxonomy,
    reference: Path | None = None,
) -> Release:
    """Assemble a release in `folder` from three bundles with one taxonomy.

    The id is derived from the current time and the content; callers rename the folder if its name must be the id. The
    files in `reference`, a reference profile, become part of the fusion bundle, where earlier versions accept them.

    Raises:
        FileExistsError: If the folder is not empty.
        BundleRefused: If a bundle is invalid, or its codes or its taxonomy are others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder}: is not empty; a release is never written over another")
    now = datetime.now(UTC)
    sources: dict[Kind, Path] = {"text": text_dir, "image": image_dir, "fusion": fusion_dir}
    infos = {kind: _verify_kind(source, kind) for kind, source in sources.items()}
    _check_taxonomy(infos, taxonomy)
    content = {
        f"{kind}/{name}": entry for kind, info in infos.items() for name, entry in info.files.items() if name != FILE
    }
    identifier = f"r-{now:%Y%m%dT%H%M%S}-{bundle.digest_of(content)[:8]}"
    for kind, info in infos.items():
        shutil.copytree(info.path, folder / kind)
        if kind == "fusion":
            write_taxonomy(folder / kind, taxonomy)
            if reference is not None:
                shutil.copytree(reference, folder / kind, dirs_exist_ok=True)
        bundle.write_manifest(
            folder / kind,
            kind,
            info.version,
            info.self_check,
            info.codes,
            created=info.created,
            release=identifier,
            taxonomy=taxonomy,
        )
    write_taxonomy(folder / FOLDER, taxonomy)
    files = {name: bundle.file_entry(folder / name) for name in _list_files(folder)}
    values = {
        "id": identifier,
        "created": now.isoformat(timespec="seconds"),
        "data_revision": meta.data_revision,
        "corrections": meta.corrections,
        "git_commit": meta.git_commit,
        "mlflow_runs": dict(meta.mlflow_runs),
        "metrics": dict(meta.metrics),
        "products": dict(meta.products),
        "versions": {kind: info.version for kind, info in infos.items()},
        "files": {name: {"sha256": entry.sha256, "size": entry.size} for name, entry in files.items()},
    }
    write_json(folder / MANIFEST, values)
    return open_release(folder)


def open_release(folder: Path, codes: Codes | None = None) -> Release:
    """Check a release against its manifests, and that its bundles have the same category codes.

    Args:
        folder: Folder of the release.
        codes: Category codes in the expected order; None accepts the codes of the release.

    Raises:
        BundleRefused: With the file and what was expected of it.
    """
    if not (folder / MANIFEST).is_file() or (folder / MANIFEST).is_symlink():
        raise BundleRefused(f"{folder.name}: has no {MANIFEST}")
    manifest = _read_manifest(folder)
    bundle.check_listing(_list_files(folder), set(manifest.files))
    for name, entry in manifest.files.items():
        bundle.check_file(folder / name, entry)
    infos = {kind: _verify_kind(folder / kind, kind, codes) for kind in bundle.KINDS}
    taxonomy = taxonomy_of(folder, infos["text"].codes, infos["text"].taxonomy, "text")
    _check_taxonomy(infos, taxonomy)
    for kind, info in infos.items():
        if info.version != manifest.versions.get(kind):
            raise BundleRefused(
                f"{kind}: is version {info.version}, {MANIFEST} lists {manifest.versions.get(kind)!r:.80}"
            )
        if info.release != manifest.id:
            raise BundleRefused(f"{kind}: belongs to release {info.release}, not {manifest.id}")
    return Release(manifest.id, manifest.created, folder, manifest.meta, manifest.versions, manifest.files, taxonomy)


def load_text(folder: Path, codes: Codes | None = None) -> tuple[TextModel, BundleInfo]:
    """Verify and load the text model of a bundle or of a release, and repeat its self-check.

    Args:
        folder: Folder of the bundle or of the release.
        codes: Category codes in the expected order; None accepts the codes of the bundle.

    Raises:
        BundleRefused: If a file, the category codes or the self-check differ from what is recorded.
    """
    return _load(folder, "text", codes, load_text_model, self_check.check_text)


def load_image(folder: Path, codes: Codes | None = None) -> "tuple[ImageModel, BundleInfo]":
    """Verify and load an image model and repeat its self-check, see `load_text`."""
    from product_classifier.images.model import ImageModel  # noqa: PLC0415 - only image servers decode photos

    return _load(folder, "image", codes, ImageModel.load, self_check.check_image)


def load_fusion(folder: Path, codes: Codes | None = None) -> tuple[FusionModel, BundleInfo]:
    """Verify and load a fusion model and repeat its self-check, see `load_text`."""
    return _load(folder, "fusion", codes, FusionModel.load, self_check.check_fusion)


def _load(
    folder: Path,
    kind: Kind,
    codes: Codes | None,
    load: Callable[[Path], ModelT],
    check: Callable[[ModelT, Mapping[str, Any]], None],
) -> tuple[ModelT, BundleInfo]:
    if (folder / MANIFEST).is_file():
        folder = open_release(folder, codes).path / kind
    info = _verify_kind(folder, kind, codes)
    model = load(folder)
    bundle.check_codes(model.codes, info.codes, "model.json")
    check(model, info.self_check)
    return model, info


def _verify_kind(folder: Path, kind: Kind, codes: Codes | None = None) -> BundleInfo:
    info = bundle.verify(folder, codes)
    if info.kind != kind:
        raise BundleRefused(f"{folder.name}: is a bundle of kind {info.kind}, not {kind}")
    return info


def _check_taxonomy(infos: Mapping[Kind, BundleInfo], taxonomy: Taxonomy) -> None:
    for kind, info in infos.items():
        bundle.check_codes(info.codes, taxonomy.codes, f"{kind}/{bundle.MANIFEST}")
        if info.taxonomy not in {None, taxonomy.digest}:
            raise BundleRefused(
                f"{kind}/{bundle.MANIFEST}: was trained with taxonomy {info.taxonomy:.12}, the release has "
                f"{taxonomy.digest:.12}; use bundles of one run"
            )


def _list_files(folder: Path) -> list[str]:
    """Return `folder/name` of every file; raise `BundleRefused` if an entry is no bundle and not the taxonomy."""
    names = []
    for entry in sorted(folder.iterdir()):
        if entry.name == MANIFEST:
            continue
        if entry.is_symlink() or not entry.is_dir() or entry.name not in {*bundle.KINDS, FOLDER}:
            raise BundleRefused(f"{entry.name}: does not belong in a release")
        names += [f"{entry.name}/{file.name}" for file in sorted(entry.iterdir())]
    for name in names:
        if (folder / name).is_symlink() or not (folder / name).is_file():
            raise BundleRefused(f"{name}: is not a plain file")
    return names


def _read_manifest(folder: Path) -> _Manifest:
    values = read_json(folder / MANIFEST)
    match values:
        case {
            "id": str(identifier),
            "created": str(created),
            "data_revision": str(data_revision),
            "metrics": dict(metrics),
            "mlflow_runs": dict(runs),
            "versions": dict(versions),
        } if _ID.fullmatch(identifier):
            files = bundle.read_entries(values.get("files"), MANIFEST)
            products = _read_products(values.get("products", {}))
            meta = ReleaseMeta(
                data_revision, values.get("corrections"), values.get("git_commit"), runs, metrics, products
            )
            return _Manifest(identifier, created, meta, versions, files)
        case _:
            raise BundleRefused(
                f"{MANIFEST}: id, created, data_revision, metrics, mlflow_runs or versions is missing or malformed"
            )


def _read_products(values: object) -> Mapping[str, int]:
    if not isinstance(values, dict) or not all(type(count) is int and count >= 0 for count in values.values()):
        raise BundleRefused(f"{MANIFEST}: products is {values!r:.80}; an object of numbers by category code is needed")
    return values

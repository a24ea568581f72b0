"""Where a scoring job reads and writes: source, result and release."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from components.shared import raw
from components.shared.imported_releases import release_folder
from components.shared.published_releases import fetch_release
from pipelines.settings import PipelineSettings
from product_classifier.catalogue.layout_file import FILE_NAME
from product_classifier.catalogue.tables.table_files import is_table
from product_classifier.errors import CatalogueError, InvalidSettings, ObjectNotFound, ScoringError
from product_classifier.store import open_store

RESULT_SUFFIXES = (".parquet", ".csv")
_RELEASE_ID = re.compile(r"r-\d{8}T\d{6}-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """Files to score, on this machine."""

    folder: Path
    name: str = ""
    """Name of the one file to score; empty for those that the layout of the folder names."""
    version: str = ""
    """Version of the objects that were downloaded; empty for local files."""

    def revision(self, paths: Sequence[Path]) -> str:
        """Return a digest of names and versions of the files of products, without reading them."""
        entries = [f"{path.name} {found.st_size} {found.st_mtime_ns}" for path in paths if (found := path.stat())]
        return hashlib.sha256((self.version or "\n".join(entries)).encode()).hexdigest()


def fetch_source(location: str, scratch: Path) -> SourceFiles:
    """Return the files of a path, `file:///path` or `s3://bucket/key`, downloaded to `scratch`.

    Raises:
        CatalogueError: If there is nothing.
    """
    parts = urlsplit(location)
    if parts.scheme != "s3":
        path = Path(unquote(parts.path) if parts.scheme == "file" else location).absolute()
        return SourceFiles(path.parent, path.name) if path.is_file() else SourceFiles(path)
    key = parts.path.strip("/")
    if not is_table(Path(key)):
        version = raw.revision(location)
        return SourceFiles(raw.download(location, scratch / "source"), version=version)
    store = open_store(f"s3://{parts.netloc}")
    try:
        version = store.head(key).etag
    except ObjectNotFound as error:
        raise CatalogueError(f"SOURCE: there is no object {location!r}; correct the key") from error
    folder = scratch / "source"
    folder.mkdir(parents=True, exist_ok=True)
    name = PurePosixPath(key).name
    (folder / name).write_bytes(store.get(key))
    layout = str(PurePosixPath(key).with_name(FILE_NAME))
    if store.exists(layout):
        (folder / FILE_NAME).write_bytes(store.get(layout))
    return SourceFiles(folder, name, version)


@dataclass(frozen=True, slots=True)
class ResultPlace:
    """Where a result is written: a folder or prefix with parts, or one file beside such a folder."""

    url: str
    """`file:///…` or `s3://…` of the result itself."""

    @property
    def suffix(self) -> str:
        """Return `.csv` or `.parquet` of a result in one file; empty for parts."""
        suffix = PurePosixPath(urlsplit(self.url).path).suffix.lower()
        return suffix if suffix in RESULT_SUFFIXES else ""

    @property
    def job(self) -> str:
        """Return the URL of the job's objects."""
        return f"{self.url}.job" if self.suffix else self.url

    @property
    def path(self) -> Path | None:
        """Return the path of a local result; None in an object store."""
        parts = urlsplit(self.url)
        return Path(unquote(parts.path)) if parts.scheme == "file" else None


def result_place(location: str) -> ResultPlace:
    """Return the place of a path, `file:///path` or `s3://bucket/key`.

    Raises:
        InvalidSettings: If the location is none of these.
    """
    parts = urlsplit(location)
    if parts.scheme == "s3" and parts.netloc and parts.path.strip("/"):
        return ResultPlace(f"s3://{parts.netloc}/{parts.path.strip('/')}")
    if parts.scheme == "file" and parts.path.startswith("/"):
        return ResultPlace(location.rstrip("/"))
    if location and "://" not in location:
        return ResultPlace(Path(location).absolute().as_uri())
    raise InvalidSettings(
        f"RESULT: {location!r:.120} is no place for a result; give a file .csv or .parquet, a folder, or"
        " s3://bucket/prefix"
    )


def find_release(settings: PipelineSettings, wanted: str, scratch: Path) -> Path:
    """Return the folder of a release by its id or location; by default the one that is deployed here.

    Raises:
        ScoringError: If none is named and none is deployed on this machine.
        ObjectNotFound: If there is no such release.
    """
    if _RELEASE_ID.fullmatch(wanted):
        deployed = _deployed(settings) / wanted
        return deployed if deployed.is_dir() else fetch_release(open_store(settings.store), wanted, scratch).path
    if wanted:
        return release_folder(wanted, scratch / "release")
    pointer = _deployed(settings) / "champion"
    if not pointer.is_file():
        raise ScoringError("RELEASE: none is deployed here; train one with `make train`, or name a release")
    return pointer.parent / pointer.read_text(encoding="utf-8").strip()


def _deployed(settings: PipelineSettings) -> Path:
    """Return the folder of the releases of this machine, which a deployment on a cluster has not."""
    parts = urlsplit(settings.rollout)
    return Path(unquote(parts.path)) if parts.scheme == "file" else settings.state / "releases"

"""Load the current release of a model, follow the champion, and hold other releases in memory.

A model directory is one of four things:

- a bundle (`bundle.json`), as KServe's storage initializer leaves it in a container;
- a release (`release.json`), of which the bundle of this model is loaded;
- a folder of releases with a file `champion` that names one. The file is polled: another name in it makes that release
  current once its hashes and its self-check pass. If they do not, the current release stays and the metadata and
  metrics report the reason;
- a folder of releases, as the storage initializer leaves several in a container, and the name of one in `--release`.
  The folders have the names of their releases in lower case, because KServe derives the name of a volume from it.

Other releases are held beside the current one (the previous one; in a container all that are there), so that requests
that name them are served while three servers switch one after the other.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from inference.http.problems import ReleaseNotLoaded, UnknownModel, public_message
from product_classifier.bundles.bundle import BundleInfo
from product_classifier.errors import BundleRefused
from product_classifier.observability import get_logger
from product_classifier.releases.release_taxonomy import taxonomy_of
from product_classifier.taxonomy import Category, Codes, Taxonomy
from product_classifier.taxonomy.folder import FOLDER

POINTER = "champion"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

log = get_logger()

M = TypeVar("M")
Load = Callable[[Path], tuple[M, BundleInfo]]
"""Loads and checks the model of a bundle, or of the bundle in a release; raises BundleRefused."""


@dataclass(frozen=True)
class LoadedRelease(Generic[M]):
    """A loaded model, with the release and the version of its bundle."""

    model: M
    release: str
    version: str
    codes: Codes
    taxonomy: Taxonomy
    """That of the release; of a text or image bundle alone, which has no labels, only the codes."""
    taxonomy_digest: str
    """Digest of the taxonomy of the release, with which predictors and fusion must agree."""
    pinned: bool
    """Whether the name of the release is known, so that a request to another model can name it."""

    def json_code(self, position: int) -> str | int:
        """Return the code of a column of the probabilities as JSON shows it."""
        return self.taxonomy.to_json_code(self.codes[position])

    @cached_property
    def display_codes(self) -> NDArray[Any]:
        """Codes as V2 shows them: INT64, or texts (BYTES) where the catalogue has text codes."""
        shown = [self.taxonomy.to_json_code(code) for code in self.codes]
        return np.array(shown, np.int64 if self.taxonomy.code_type == "integer" else object)

    @cached_property
    def positions(self) -> dict[Any, int]:
        """Column of each code, as V2 shows it."""
        return {code: column for column, code in enumerate(self.display_codes.tolist())}


class LoadedReleases(Generic[M]):
    """The current release of a model and others in memory; reads need no lock."""

    def __init__(self, model_dir: Path, load: Load[M], release: str = "") -> None:
        self._model_dir = model_dir
        self._load = load
        self._release = release
        self._seen = self._pointer()
        self.refused = ""
        self.others_refused = 0
        folder, name = locate(model_dir, release)
        self._loaded = [self._open(folder, name)]
        if name and self._seen is None:
            self._loaded += self._open_others(folder)

    @property
    def current(self) -> LoadedRelease[M]:
        """The current release."""
        return self._loaded[0]

    def loaded(self) -> list[LoadedRelease[M]]:
        """Return the releases in memory, the current one first."""
        return self._loaded

    def select(self, release: str = "", version: str = "") -> LoadedRelease[M]:
        """Return a release in memory by its name or version; the current one by default.

        Raises:
            ReleaseNotLoaded: If it is not in memory.
            UnknownModel: If no release in memory has this version.
        """
        candidates = self.loaded()
        if release:
            candidates = [one for one in candidates if one.release == release]
            if not candidates:
                raise ReleaseNotLoaded(f"release {public_message(release)} is not loaded; {self._names()}")
        if version:
            candidates = [one for one in candidates if one.version == version]
            if not candidates:
                raise UnknownModel(f"version {public_message(version)} is not loaded; {self._names()}")
        return candidates[0]

    def refresh(self) -> bool:
        """Load the champion if the pointer changed; return whether the current release changed."""
        pointer = self._pointer()
        if pointer is None or pointer == self._seen:
            return False
        self._seen = pointer
        try:
            folder, name = locate(self._model_dir, self._release)
            if name == self.current.release:
                self.refused = ""
                return False
            challenger = next((one for one in self.loaded() if one.release == name), None) or self._open(folder, name)
        except (BundleRefused, OSError) as error:
            self._refuse(error)
            return False
        self._loaded, self.refused = [challenger, self.current], ""
        log.info("release_switched", release=challenger.release, version=challenger.version)
        return True

    def _open(self, folder: Path, name: str) -> LoadedRelease[M]:
        model, bundle = self._load(folder)
        release = name or bundle.release or self._release
        if name and bundle.release != name:
            raise BundleRefused(f"{folder} is release {bundle.release}, not {name}")
        taxonomy = _taxonomy(folder, bundle)
        digest = bundle.taxonomy or taxonomy.digest
        return LoadedRelease(
            model, release or bundle.version, bundle.version, bundle.codes, taxonomy, digest, bool(release)
        )

    def _open_others(self, current: Path) -> list[LoadedRelease[M]]:
        """Load the other releases of a container; a damaged or missing one fails only the requests that name it."""
        others = []
        for folder in sorted(
            path for path in current.parent.iterdir() if path != current and _NAME.fullmatch(path.name)
        ):
            try:
                others.append(self._open(folder, ""))
            except (BundleRefused, OSError) as error:
                self.others_refused += 1
                log.warning("other_release_refused", release=folder.name, reason=str(error))
        return others

    def _refuse(self, error: Exception) -> None:
        self.refused = str(error)
        log.error("release_refused", reason=self.refused, still_serving=self.current.release)

    def _pointer(self) -> object:
        """Return a value that changes with the pointer; None if there is no pointer."""
        path = self._model_dir / POINTER
        try:
            status = path.stat()
            return path.read_bytes()[:256], status.st_mtime_ns, status.st_ino
        except FileNotFoundError:
            return None
        except OSError as error:
            return str(error)

    def _names(self) -> str:
        return "in memory: " + ", ".join(f"{one.release} (version {one.version})" for one in self.loaded())


def _taxonomy(folder: Path, bundle: BundleInfo) -> Taxonomy:
    """Return the taxonomy in a folder; that of a text or image bundle alone is only its codes."""
    if bundle.kind != "fusion" and bundle.taxonomy is not None and not (folder / FOLDER).is_dir():
        return Taxonomy(tuple(map(Category, bundle.codes)), code_type=bundle.code_type)
    return taxonomy_of(folder, bundle.codes, bundle.taxonomy, folder.name)


def locate(model_dir: Path, release: str = "") -> tuple[Path, str]:
    """Return the folder to load and the name of its release, empty if only the bundle states it.

    Raises:
        BundleRefused: If the directory has no bundle, no release and no pointer, and `release` is empty.
    """
    if (model_dir / "bundle.json").is_file() or (model_dir / "release.json").is_file():
        return model_dir, ""
    if (model_dir / POINTER).is_file():
        name = (model_dir / POINTER).read_text(encoding="utf-8", errors="replace").strip()
        return model_dir / _release_name(name, str(model_dir / POINTER)), name
    if release:
        return model_dir / _release_name(release, "--release").lower(), release
    raise BundleRefused(f"{model_dir} holds neither a bundle.json, a release.json nor a file {POINTER!r}")


def is_empty(model_dir: Path, release: str) -> bool:
    """Return whether no release was promoted here yet and `release` names none.

    The first promotion writes the release first and its pointer last.
    """
    if release or not model_dir.is_dir():
        return not release
    return all(one.name.startswith(".") or (one / "release.json").is_file() for one in model_dir.iterdir())


def _release_name(name: str, where: str) -> str:
    if not _NAME.fullmatch(name):
        raise BundleRefused(f"{where} names {public_message(name)}, which is not a release id")
    return name

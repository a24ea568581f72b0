"""Files of installed packages with pretrained weights, found without an import and checked by hash."""

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from product_classifier.errors import ProductClassifierError


class WeightsRefused(ProductClassifierError):
    """A file of weights is missing, is not the expected one, or holds anything but tensors."""


@dataclass(frozen=True)
class PackageFile:
    """A file of a package."""

    module: str
    """Name of the top-level module of the package."""
    path: str
    """Path below the folder of the module."""
    sha256: str
    remedy: str
    """What installs the package."""

    def is_installed(self) -> bool:
        """Return whether the package is there."""
        return self._folder() is not None

    def find(self) -> Path:
        """Return the path of the file, whose hash is verified.

        Raises:
            WeightsRefused: If the package is missing, or the file is not the expected one.
        """
        folder = self._folder()
        if folder is None:
            raise WeightsRefused(f"{self.module}: is not installed; {self.remedy}")
        file = folder / self.path
        try:
            with file.open("rb") as opened:
                found = hashlib.file_digest(opened, "sha256").hexdigest()
        except OSError as error:
            raise WeightsRefused(
                f"{file.name}: cannot be read from the package {self.module}; install it again"
            ) from error
        if found != self.sha256:
            raise WeightsRefused(
                f"{file.name}: its sha256 is {found[:12]}…, not {self.sha256[:12]}…; install the version in the lock"
            )
        return file

    def _folder(self) -> Path | None:
        spec = find_spec(self.module)
        locations = (spec.submodule_search_locations if spec else None) or []
        return next(map(Path, locations), None)

"""Find the photo files that a column of a catalogue names."""

import os
from pathlib import Path, PurePosixPath
from typing import Final

from product_classifier.errors import CatalogueError

URL_SCHEMES: Final = ("http://", "https://")
STORE_SCHEME: Final = "s3://"


class PhotoFolder:
    """The files below a folder of photos: by path, by name, and by name without suffix.

    Only files that are below the folder are found, so a cell such as `../../secret` finds none.
    """

    def __init__(self, root: Path, folder: str) -> None:
        """Take the folder of the catalogue and the folder of photos below it; list it at the first use.

        Raises:
            CatalogueError: If the folder of photos is not there.
        """
        self._root = root
        self._folder = root / folder if folder else root
        self._paths: dict[str, str] | None = None
        if not self._folder.is_dir():
            raise CatalogueError(f"images: there is no folder {folder!r} below {str(root)!r}; correct the name")

    def find(self, name: str) -> str:
        """Return the path of a photo relative to the folder of the catalogue; empty if there is none."""
        if self._paths is None:
            self._paths = _index(self._root, self._folder)
        wanted = PurePosixPath(name.replace("\\", "/").strip()).as_posix().removeprefix("./").lower()
        found = self._paths.get(wanted) or self._paths.get(wanted.rpartition("/")[2])
        return found or ""


def is_url(cell: str) -> bool:
    """Return whether a cell names a photo by its URL."""
    return cell[:8].lower().startswith(URL_SCHEMES)


def is_remote(location: str) -> bool:
    """Return whether a photo or a prefix of photos is a URL or in an object store."""
    return is_url(location) or location.startswith(STORE_SCHEME)


def _index(root: Path, folder: Path) -> dict[str, str]:
    """Return the paths of all files relative to the root, by path below the folder, name and name without suffix.

    A name that several files have names none of them.
    """
    paths: dict[str, str] = {}
    names: dict[str, str] = {}
    # One listing instead of one stat per product.
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = Path(parent, name)
            relative = path.relative_to(root).as_posix()
            paths[path.relative_to(folder).as_posix().lower()] = relative
            paths.setdefault(relative.lower(), relative)
            for key in {name.lower(), Path(name).stem.lower()}:
                names[key] = "" if key in names else relative
    return {key: path for key, path in names.items() if path} | paths

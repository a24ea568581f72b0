"""Import a release that was trained elsewhere: check it, copy it into the object store, deploy it."""

import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from components.shared.published_releases import download, publish
from components.shared.rollout.switch import Switch
from product_classifier.errors import BundleRefused, InvalidSettings, ObjectNotFound, RolloutFailed
from product_classifier.releases.release import MANIFEST, Release, open_release
from product_classifier.store import open_store
from product_classifier.validation_messages import public_message


def import_release(location: str, switch: Switch) -> str:
    """Publish and deploy the release at `location`, without a comparison with the champion; return its id.

    Idempotent: a release that is published or deployed already is checked again.

    Args:
        location: A folder, its `file://` URL, or `s3://bucket/prefix`.
        switch: The deployment, which then serves the categories of the release.

    Raises:
        InvalidSettings: If the location has another scheme, or names a bucket without a prefix.
        ObjectNotFound: If no release is there.
        BundleRefused: If the release is damaged; nothing is deployed.
        RolloutFailed: If it could not be rolled out or failed the smoke test.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = release_folder(location, Path(temporary) / "release")
        release = _open(folder, location)
        publish(switch.store, release)
        result = switch.deploy(release.id, switch.rollout.current())
    if not result.done:
        raise RolloutFailed(f"{location}: release {release.id} is not deployed: {'; '.join(result.reasons)}")
    return release.id


def release_folder(location: str, temporary: Path) -> Path:
    """Return the folder of a release; one in an object store is downloaded to `temporary`."""
    parts = urlsplit(location)
    if parts.scheme == "s3":
        prefix = parts.path.strip("/")
        if not parts.netloc or not prefix:
            raise InvalidSettings(
                f"{public_message(location)}: names no release; use s3://bucket/prefix, the folder of one release"
            )
        try:
            download(open_store(f"s3://{parts.netloc}"), f"{prefix}/", temporary)
        except ObjectNotFound as error:
            raise ObjectNotFound(f"{location}: has no {MANIFEST}; name the folder of one release") from error
        return temporary
    if "://" in location and (parts.scheme != "file" or parts.netloc not in {"", "localhost"}):
        raise InvalidSettings(
            f"{public_message(location)}: is no location of a release; use a folder, file:///folder or s3://bucket/prefix"
        )
    folder = Path(unquote(parts.path)) if parts.scheme == "file" else Path(location)
    if not folder.is_dir():
        raise ObjectNotFound(f"{folder.absolute()}: no such folder; name the folder of one release")
    if not (folder / MANIFEST).is_file():
        others = sorted(path.parent.name for path in folder.glob(f"*/{MANIFEST}"))
        advice = f"name one in it, for example {folder / others[-1]}" if others else "name the folder of one release"
        raise ObjectNotFound(f"{folder.absolute()}: has no {MANIFEST}; {advice}")
    return folder


def _open(folder: Path, location: str) -> Release:
    """Return the verified release; an error names its location."""
    try:
        return open_release(folder)
    except BundleRefused as error:
        raise BundleRefused(f"{location}: {error}; copy the release again from where it was trained") from error

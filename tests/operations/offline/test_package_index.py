"""Packages pass from one index on the loopback network to another, and are installed from it."""

import hashlib
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from operations.cluster.command_runner import CommandFailed, CommandRunner
from operations.offline import package_index

WHEEL = "Shelf_Label-1.2-py3-none-any.whl"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A package index with one wheel."""
    folder = tmp_path / "source"
    (folder / "files").mkdir(parents=True)
    info = "shelf_label-1.2.dist-info"
    with zipfile.ZipFile(folder / "files" / WHEEL, "w") as wheel:
        wheel.writestr("shelf_label.py", "NAME = 'label'\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: Shelf_Label\nVersion: 1.2\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    assert 1 == package_index.write_index(folder)
    return folder


class _Server:
    """Serves a folder and counts no log lines."""

    def __init__(self, folder: Path) -> None:
        handler = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self._server.server_port}/simple/"

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self.url

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def index(source: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with _Server(source) as url:
        monkeypatch.setenv("PIP_INDEX_URL", url)
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        yield url


def lock(folder: Path, digest: str) -> Path:
    path = folder / "requirements.lock"
    path.write_text(f"shelf-label==1.2 \\\n    --hash=sha256:{digest}\n")
    return path


def test_packages_are_mirrored_and_installed_from_the_mirror(source: Path, index: str, tmp_path: Path) -> None:
    digest = hashlib.sha256((source / "files" / WHEEL).read_bytes()).hexdigest()
    locked, mirror = lock(tmp_path, digest), tmp_path / "mirror"
    package_index.download(CommandRunner(lambda _: None), [locked], mirror)
    assert 1 == package_index.write_index(mirror)

    with _Server(mirror) as url:
        command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-cache", "--no-config"]
        options = [
            "--target",
            str(tmp_path / "installed"),
            "--default-index",
            url,
            "--require-hashes",
            "-r",
            str(locked),
        ]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stderr
    assert (tmp_path / "installed" / "shelf_label.py").is_file()


def test_a_file_with_another_digest_is_not_mirrored(index: str, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"(?i)hash"):
        package_index.download(CommandRunner(lambda _: None), [lock(tmp_path, "0" * 64)], tmp_path / "mirror")

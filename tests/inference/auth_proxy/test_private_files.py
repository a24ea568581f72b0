"""Permissions of files that only their owner may read."""

import errno
from pathlib import Path

import pytest

from inference.auth_proxy.auth.private_files import restrict


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that every user of the machine can read, whatever the umask is."""
    path = tmp_path / "accounts.json"
    path.touch()
    path.chmod(0o644)
    return path


def test_a_file_that_others_can_read_is_restricted(file: Path) -> None:
    restrict(file)

    assert 0o600 == file.stat().st_mode & 0o777


@pytest.mark.parametrize("reason", [errno.EPERM, errno.EACCES, errno.EROFS])
def test_a_mounted_file_is_read_as_it_is(file: Path, monkeypatch: pytest.MonkeyPatch, reason: int) -> None:
    """A Secret is mounted read-only with mode 0644, and a volume may belong to root."""

    def chmod(_: Path, __: int) -> None:
        raise OSError(reason, "refused")

    monkeypatch.setattr(Path, "chmod", chmod)
    restrict(file)

    assert 0o644 == file.stat().st_mode & 0o777


def test_another_failure_is_raised(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def chmod(_: Path, __: int) -> None:
        raise OSError(errno.EIO, "damaged")

    monkeypatch.setattr(Path, "chmod", chmod)
    with pytest.raises(OSError, match="damaged"):
        restrict(file)

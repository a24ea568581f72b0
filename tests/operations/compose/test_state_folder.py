"""Secrets of a deployment by compose are made once, and belong to the user of the services."""

import os
import stat
from pathlib import Path

import pytest

from operations.compose.state_folder import SECRETS, IncompleteSecrets, prepare, secret_values


def test_secrets_are_made_once_and_readable_by_their_owner_only(tmp_path: Path) -> None:
    first = prepare(tmp_path / "state", {"TAG": "one"}).read_text()
    secrets = {path.name: path.read_text() for path in (tmp_path / "state" / SECRETS).iterdir()}
    second = prepare(tmp_path / "state", {"TAG": "two"}).read_text()

    assert secrets == {path.name: path.read_text() for path in (tmp_path / "state" / SECRETS).iterdir()}
    assert first.replace("TAG=one", "TAG=two") == second
    owner = int(second.partition("OWNER=")[2].partition(":")[0])
    assert owner == (os.geteuid() or 10001)
    for path in (tmp_path / "state" / SECRETS).iterdir():
        assert 0o400 == stat.S_IMODE(path.stat().st_mode), path.name
        assert owner == path.stat().st_uid, path.name


def test_two_deployments_have_different_secrets() -> None:
    one, other = secret_values(), secret_values()

    assert set() == set(one.values()) & set(other.values())


@pytest.mark.parametrize("name", secret_values())
def test_a_lost_secret_is_reported_and_not_replaced(tmp_path: Path, name: str) -> None:
    prepare(tmp_path / "state", {})
    (tmp_path / "state" / SECRETS / name).unlink()

    with pytest.raises(IncompleteSecrets, match=f"{name} is missing; restore it"):
        prepare(tmp_path / "state", {})

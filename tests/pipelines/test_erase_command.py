"""`python -m pipelines erase` as an operator runs it."""

from pathlib import Path

import pytest

from pipelines.__main__ import main
from product_classifier.audit.audit_events import AUDIT_PREFIX
from product_classifier.store import open_store
from tests.support.monitored_store import drifted, record


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = (tmp_path / "store").as_uri()
    open_store(url, create=True)
    monkeypatch.setenv("STORE_URL", url)
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
    return url


def test_a_dry_run_names_what_has_a_user_and_what_remains(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    drifted(store, record(5))
    status = main(["erase", "--user", "ann", "--dry-run"])
    printed = capsys.readouterr().out

    assert 0 == status
    assert "would be erased: 1 predictions; 1 objects, 1 parts of the log" in printed
    assert "predictions/dt=2026-03-02/" in printed
    assert "logs/dt=2026-03-02/part-000001.parquet" in printed
    for place in ("indexes", "journals", "backups", "snapshots", "audit/", "DELETE /users/NAME", "learned from it"):
        assert place in printed
    assert b'"ann"' in b"".join(open_store(store).get(key) for key in open_store(store).list("predictions/"))


def test_a_user_is_erased_and_the_audit_log_has_it_without_the_name(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    drifted(store, record(5))
    assert 0 == main(["erase", "--user", "ann"])
    opened = open_store(store)
    (event,) = [opened.get(key) for key in opened.list(AUDIT_PREFIX)]

    assert b"ann" not in b"".join(opened.get(key) for key in opened.list("predictions/"))
    assert b'"data_erased"' in event
    assert b'"ann"' not in event
    assert "erased: 1 predictions" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "give one of them"),
        (["--user", "ann", "--product", "ab" * 32], "give one of them"),
        (["--product", "abc"], "'abc' is no SHA-256"),
        (["--product", "X" * 64], "is no SHA-256"),
    ],
)
def test_a_command_that_names_nothing_to_erase_is_refused(
    store: str, capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    assert 1 == main(["erase", *arguments])
    assert reason in capsys.readouterr().err

"""What an interrupted `make run` says about the release it was making."""

from pathlib import Path

import pytest

from operations.local import run as local_run


@pytest.mark.parametrize(
    ("before", "during", "message"),
    [
        (None, None, "interrupted before the services were ready"),
        (None, "r-1", "interrupted while the training ended: release r-1 is in service; the next `make run` serves it"),
        ("r-0", None, "interrupted before the services were ready"),
    ],
)
def test_an_interruption_names_a_release_that_was_put_into_service_meanwhile(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    before: str | None,
    during: str | None,
    message: str,
) -> None:
    pointer = tmp_path / "releases" / "champion"
    pointer.parent.mkdir()
    if before:
        pointer.write_text(f"{before}\n")

    def interrupted(*_: object) -> None:
        if during:
            pointer.write_text(f"{during}\n")
        raise KeyboardInterrupt

    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    monkeypatch.setattr(local_run, "check_ports", interrupted)

    assert local_run.EXIT_INTERRUPTED == local_run.run()
    assert f"{message}\n" == capfd.readouterr().err

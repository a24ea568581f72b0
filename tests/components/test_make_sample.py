from pathlib import Path

from components.make_sample import step
from tests.support.fixtures_data import RawFolder


def test_a_sample_is_made_once(tmp_path: Path) -> None:
    assert [True, False] == ["made now" in step.run(tmp_path / "raw", 30, 1) for _ in range(2)]


def test_files_of_the_challenge_are_left_unchanged(raw: RawFolder) -> None:
    raw.add("Un titre")
    before = (raw.write() / raw.products).read_bytes()

    assert "left unchanged" in step.run(raw.folder, 30, 1)
    assert before == (raw.folder / raw.products).read_bytes()

"""What a task's files take on the disk."""

from pathlib import Path

from runner.disk import taken

MUCH = 10**9


def test_all_files_count(tmp_path: Path) -> None:
    """Many files, in folders of any depth, add up; what a link leads to does not."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"{number}").write_bytes(b"x" * 500_000)
    size = taken(tmp_path, MUCH)
    assert 1_500_000 < size < 1_600_000
    (tmp_path / "a" / "link").symlink_to("/usr")
    assert taken(tmp_path, MUCH) < size + 10_000


def test_empty_files_count(tmp_path: Path) -> None:
    """A flood of files that hold nothing is one too."""
    for number in range(100):
        (tmp_path / f"{number}").touch()
    assert taken(tmp_path, MUCH) >= 400_000


def test_no_more_than_needed_is_looked_at(tmp_path: Path) -> None:
    """Once it is too much, nothing further is counted."""
    for number in range(10):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}" / "file").write_bytes(b"x" * 100_000)
    assert 150_000 < taken(tmp_path, 150_000) < 400_000

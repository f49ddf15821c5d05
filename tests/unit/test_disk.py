"""What a task's files take on the disk."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_holes_count(tmp_path: Path) -> None:
    """A file that holds next to nothing and says that it is large would be large as a copy."""
    (tmp_path / "file").touch()
    os.truncate(tmp_path / "file", 10_000_000)
    assert taken(tmp_path, MUCH) >= 10_000_000


def test_folders_too_deep_for_a_path_count(tmp_path: Path) -> None:
    """What lies deeper than a path can say is found."""
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=at)
        deeper = os.open("d" * 200, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = deeper
    file = os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=at)
    os.write(file, b"x" * 500_000)
    os.close(file)
    os.close(at)
    assert taken(tmp_path, MUCH) > 500_000


NOBODY = 65534  # a user

# By a user who is not root: root may do everything.
SHUT = f"""
import os
from pathlib import Path
from runner.disk import taken
if os.getuid() == 0:
    os.setuid({NOBODY})
for mode in (0o000, 0o300, 0o400):
    folder = Path(oct(mode))
    folder.mkdir()
    (folder / "file").write_bytes(b"x" * 500_000)
    folder.chmod(mode)
print(taken(Path(), 10**9))
"""


def test_folders_that_are_shut_count(tmp_path: Path) -> None:
    """What a program has put where nobody may look is found, too."""
    if os.getuid() == 0:
        os.chown(tmp_path, NOBODY, -1)
    done = subprocess.run([sys.executable, "-c", SHUT], cwd=tmp_path, stdout=subprocess.PIPE, check=True)
    assert int(done.stdout) > 1_500_000


@pytest.mark.parametrize("name", ["none", "file"])
def test_what_is_no_folder(tmp_path: Path, name: str) -> None:
    """Where there is no folder nothing is taken."""
    (tmp_path / "file").touch()
    assert taken(tmp_path / name, MUCH) == 0

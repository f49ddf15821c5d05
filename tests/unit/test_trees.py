"""Trees that are removed."""

import os
import sys
from pathlib import Path

import pytest

from runner.trees import remove_tree


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder


def test_all_kinds_of_things(folder: Path) -> None:
    """A tree goes with everything that can be in it."""
    (folder / "one" / "two" / "three").mkdir(parents=True)
    (folder / "other").mkdir()
    (folder / "one" / "two" / "file").touch(mode=0o444)
    os.mkfifo(folder / "one" / "pipe")
    (folder / "other" / "nowhere").symlink_to("none")
    remove_tree(folder)
    assert not folder.exists()


def test_what_is_not_there(tmp_path: Path) -> None:
    """A tree that is not there is gone already."""
    remove_tree(tmp_path / "none")


def test_follows_no_links(folder: Path, tmp_path: Path) -> None:
    """What a link leads to stays as it is."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").touch()
    other.chmod(0o555)
    (folder / "link").symlink_to(other)
    (tmp_path / "link").symlink_to(other)
    remove_tree(folder)
    with pytest.raises(OSError):
        remove_tree(tmp_path / "link")
    assert (other / "file").exists() and other.stat().st_mode & 0o777 == 0o555


def test_a_deep_tree(folder: Path) -> None:
    """A tree may be deeper than a path can be long, and than Python calls itself."""
    at = os.open(folder, os.O_RDONLY)
    for _ in range(sys.getrecursionlimit()):
        os.mkdir("deeper", dir_fd=at)
        deeper = os.open("deeper", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = deeper
    os.close(at)
    remove_tree(folder)
    assert not folder.exists()

import os
from pathlib import Path

import pytest

from runner.inside import open_inside


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    (folder / "project").mkdir(parents=True)
    (folder / "project" / "main.py").write_text("print()")
    (tmp_path / "secret").write_text("secret")
    return folder


def test_opens_a_file(folder: Path) -> None:
    """A file below the folder is opened by its path."""
    with open_inside(folder, "project/main.py") as file:
        assert file.read() == b"print()"


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "project/../../secret",
        "/etc/passwd",
        "",
        ".",
        "project",
        "project//main.py",
        "a\0b",
        "a\nb",
        "none",
    ],
)
def test_opens_nothing_else(folder: Path, path: str) -> None:
    """A path that leads out, names a folder or names nothing is refused."""
    with pytest.raises(FileNotFoundError):
        open_inside(folder, path)


def test_follows_no_link_to_a_file(folder: Path) -> None:
    """A symbolic link in place of a file is refused."""
    (folder / "link").symlink_to(folder.parent / "secret")
    with pytest.raises(FileNotFoundError):
        open_inside(folder, "link")


def test_follows_no_link_to_a_folder(folder: Path) -> None:
    """A symbolic link in place of a folder on the way is refused."""
    (folder / "up").symlink_to(folder.parent)
    with pytest.raises(FileNotFoundError):
        open_inside(folder, "up/secret")


def test_waits_for_nobody(folder: Path) -> None:
    """A pipe, whose writer might never come, is refused."""
    os.mkfifo(folder / "pipe")
    with pytest.raises(FileNotFoundError):
        open_inside(folder, "pipe")


def test_follows_no_link_that_comes_meanwhile(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is walked through is the one that was there: what is put in its place then is not looked at."""
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "main.py").write_text("secret")
    real = os.open

    def swapping(path: str, *arguments: int, **options: int) -> int:
        opened = real(path, *arguments, **options)
        if path == "project":
            (folder / "project").rename(folder / "moved")
            (folder / "project").symlink_to(outside)
        return opened

    monkeypatch.setattr(os, "open", swapping)
    with open_inside(folder, "project/main.py") as file:
        assert file.read() == b"print()"

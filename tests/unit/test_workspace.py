"""The folder of a task."""

from pathlib import Path

import pytest

from runner.workspace import keep_base


def test_a_link_is_no_project(tmp_path: Path) -> None:
    """A project that a program has put a link in place of is not copied from where that leads."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (tmp_path / "project").symlink_to(secret)
    with pytest.raises(FileNotFoundError):
        keep_base(tmp_path / "other" / "workspace", tmp_path / "project")
    assert not (tmp_path / "other").exists()

"""The data folder."""

import stat
from pathlib import Path

from runner.folder import hold


def test_nobody_else_looks_into_it(tmp_path: Path) -> None:
    """Other users of this machine cannot read what is in it, the logs and files of all tasks."""
    with hold(tmp_path / "data"):
        assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700

"""What others wrote and is kept here is what vendored.toml says, and nothing else."""

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("static/vendor", "tests/browser/vendor")
PACKAGES = tomllib.loads((ROOT / "vendored.toml").read_text())["package"]
# Of each licence, words by which its text is known.
LICENCES = {
    "MIT": "Permission is hereby granted",
    "BSD-3-Clause": "Neither the name",
    "MPL-2.0": "Mozilla Public License",
}


def test_every_file_is_recorded() -> None:
    """Nobody slips a file in among those of others."""
    there = {path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()}
    assert there == {ROOT / package["folder"] / file for package in PACKAGES for file in package["sha256"]}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: str(package["name"]))
def test_a_package_is_as_it_was_built(package: dict[str, Any]) -> None:
    """Its files hold the bytes that were recorded, and its licence stands beside them."""
    folder = ROOT / package["folder"]
    for file, sha256 in package["sha256"].items():
        assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == sha256, file
    assert LICENCES[package["licence"]] in (folder / "LICENSE").read_text()

"""What is made of a look at known vulnerabilities, and of the lock that it looks at."""

import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.audit import ROOT, Accepted, Report, accepted, judge, main

FOUND = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["1.1"]}


def report(*packages: dict[str, Any]) -> Report:
    return msgspec.convert({"dependencies": packages, "fixes": []}, Report)


def test_a_vulnerability_fails() -> None:
    """Whoever audits is told the package, the vulnerability and the version without it."""
    verdict = judge(report({"name": "a", "version": "1.0", "vulns": [FOUND]}, {"name": "b", "vulns": []}), [])
    assert not verdict.passes
    assert verdict.lines[0] == "a 1.0: PYSEC-1, CVE-1; fixed in 1.1"


def test_an_accepted_vulnerability_passes() -> None:
    """It is told with its reason, by whichever of its names it was accepted; another one fails all the same."""
    known = [Accepted(id="CVE-1", reason="Not used here.")]
    verdict = judge(report({"name": "a", "version": "1.0", "vulns": [FOUND]}), known)
    assert verdict.passes and "accepted: Not used here." in verdict.lines[0]
    both = [FOUND, {"id": "PYSEC-2"}]
    assert not judge(report({"name": "a", "version": "1.0", "vulns": both}), known).passes


def test_what_was_not_looked_up_is_told() -> None:
    """A package that the service does not know is not taken for a sound one."""
    verdict = judge(report({"name": "a", "skip_reason": "not found"}, {"name": "b", "vulns": []}), [])
    assert verdict.lines == ["1 of 2 packages could be looked up.", "Not looked up: a"]


def test_where_nothing_was_looked_up_the_reason_is_told() -> None:
    """Where the service knows of no package at all, nobody takes that for good news, nor is it a failure."""
    verdict = judge(report({"name": "a", "skip_reason": "not found"}, {"name": "b", "skip_reason": "not found"}), [])
    assert verdict.passes
    assert verdict.lines == [
        "0 of 2 packages could be looked up.",
        "So nothing is known of any of them. Of the first: not found",
    ]


@pytest.mark.parametrize(
    ("says", "status", "told"),
    [
        ('echo \'{"dependencies": [{"name": "a", "vulns": [{"id": "PYSEC-0"}]}]}\'; exit 1', 1, "a : PYSEC-0"),
        ('echo \'{"dependencies": [{"name": "a", "vulns": []}]}\'', 0, "1 of 1 packages could be looked up"),
        ("echo no route to the service >&2; exit 1", 0, "Nothing could be looked up: no route to the service"),
        ("exit 1", 0, "Nothing could be looked up: it said nothing"),
    ],
    ids=["found", "nothing found", "no answer", "silence"],
)
def test_what_fails(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    says: str,
    status: int,
    told: str,
) -> None:
    """What is found fails, and nothing else does; whatever pip-audit has said instead of an answer is told."""
    program = tmp_path / "pip-audit"
    program.write_text(f"#!/bin/sh\n{says}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "argv", ["audit", str(program)])
    assert main() == status
    assert told in capsys.readouterr().out


def test_the_accepted_ones_can_be_read() -> None:
    """The file of this project is of the form that it tells of."""
    assert isinstance(accepted(ROOT / "audit.toml"), list)


def test_the_lock() -> None:
    """Each package has one version and its hashes, and no host is named."""
    lock = (ROOT / "requirements.lock").read_text()
    packages = re.sub(r"\\\n\s*", "", re.sub(r"^# dev\n", "", lock, flags=re.MULTILINE)).splitlines()
    for package in packages:
        assert re.fullmatch(r"[a-z0-9.-]+==[^ ;]+( ; [^/:-]+?)? ?(--hash=sha256:[0-9a-f]{64} ?)+", package), package

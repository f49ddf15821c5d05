"""Looks up the packages of requirements.lock among known vulnerabilities: `make audit`.

It fails for what is found and is not accepted in audit.toml. Where nothing can be looked up, for want of a network or
of a service that answers, it says so, and does not fail: nobody knows of anything then.
"""

import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[1]
TIME_LIMIT = 300.0  # seconds for all of it
REQUEST_LIMIT = "10"  # seconds, for one answer of the service


class Vulnerability(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    aliases: list[str] = []
    fix_versions: list[str] = []


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """skip_reason: why it could not be looked up."""

    name: str
    version: str = ""
    vulns: list[Vulnerability] = []
    skip_reason: str | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What pip-audit has found."""

    dependencies: list[Package]


class Accepted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A vulnerability that is known here. id: or one of its aliases."""

    id: str
    reason: str


class _Known(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    accepted: list[Accepted] = []


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said, a line each, and whether all that was found is accepted."""

    lines: list[str]
    passes: bool


def judge(report: Report, accepted: Iterable[Accepted]) -> Verdict:
    reasons = {known.id: known.reason for known in accepted}
    lines: list[str] = []
    passes = True
    for package in report.dependencies:
        for vulnerability in package.vulns:
            names = [vulnerability.id, *vulnerability.aliases]
            reason = next((reasons[name] for name in names if name in reasons), None)
            fixed = ", ".join(vulnerability.fix_versions) or "no version yet"
            told = f"accepted: {reason}" if reason is not None else f"fixed in {fixed}"
            lines.append(f"{package.name} {package.version}: {', '.join(names)}; {told}")
            passes = passes and reason is not None
    skipped = [package for package in report.dependencies if package.skip_reason is not None]
    looked_up = len(report.dependencies) - len(skipped)
    lines.append(f"{looked_up} of {len(report.dependencies)} packages could be looked up.")
    if looked_up and skipped:
        lines.append(f"Not looked up: {', '.join(package.name for package in skipped)}")
    elif skipped:
        lines.append(f"So nothing is known of any of them. Of the first: {skipped[0].skip_reason}")
    return Verdict(lines=lines, passes=passes)


def accepted(path: Path) -> list[Accepted]:
    return msgspec.convert(tomllib.loads(path.read_text()), _Known).accepted


def main() -> int:
    """Run as `python -m tests.audit PROGRAM`: the path of pip-audit."""
    known = accepted(ROOT / "audit.toml")
    options = ["--requirement", str(ROOT / "requirements.lock"), "--require-hashes", "--disable-pip"]
    command = [sys.argv[1], *options, "--format", "json", "--progress-spinner", "off", "--timeout", REQUEST_LIMIT]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIME_LIMIT)
        report = msgspec.json.decode(done.stdout, type=Report)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"Nothing could be looked up: {error}")
        return 0
    except msgspec.DecodeError:
        words = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        print(f"Nothing could be looked up: {words[-1]}")
        return 0
    verdict = judge(report, known)
    print("\n".join(verdict.lines))
    return 0 if verdict.passes else 1


if __name__ == "__main__":
    sys.exit(main())

from pathlib import Path

import pytest

from runner.difference import SIZE_LIMIT, compare
from runner.errors import GitMissing, NotComparable


async def _diff(folder: Path, old: bytes, new: bytes, path: str = "game/main.py") -> str:
    (folder / "old").write_bytes(old)
    (folder / "new").write_bytes(new)
    return (await compare(path, (1, folder / "old"), (2, folder / "new"))).decode()


async def test_a_change(tmp_path: Path) -> None:
    """A diff names the file and the versions, and has the lines that differ; GNU patch takes it."""
    assert await _diff(tmp_path, b"a\nb\n", b"a\nc") == (
        "--- a/game/main.py\tversion 1\n+++ b/game/main.py\tversion 2\n"
        "@@ -1,2 +1,2 @@\n a\n-b\n+c\n\\ No newline at end of file\n"
    )


async def test_no_change(tmp_path: Path) -> None:
    """The same text has an empty diff."""
    assert await _diff(tmp_path, b"same\n", b"same\n") == ""


async def test_a_new_file(tmp_path: Path) -> None:
    """Version 0 is no file: everything is new, also where lines look like a diff's own."""
    (tmp_path / "new").write_bytes(b"@@ -1 +1 @@\n")
    text = await compare("x", (0, Path("/dev/null")), (1, tmp_path / "new"))
    assert text.decode() == "--- /dev/null\n+++ b/x\tversion 1\n@@ -0,0 +1 @@\n+@@ -1 +1 @@\n"


async def test_a_hostile_name(tmp_path: Path) -> None:
    """A name cannot break out of its line."""
    text = await _diff(tmp_path, b"a\n", b"b\n", 'x"\n+++ b/y')
    assert text.splitlines()[:2] == [
        '--- "a/x\\"\\012+++ b/y"\tversion 1',
        '+++ "b/x\\"\\012+++ b/y"\tversion 2',
    ]


@pytest.mark.parametrize(
    ("content", "reason"), [(b"a\0b", "no text"), (b"\xff", "no text"), (bytes(SIZE_LIMIT + 1), "larger than")]
)
async def test_no_diff(tmp_path: Path, content: bytes, reason: str) -> None:
    """What is no text, or too large, is refused, and it is said which version it is."""
    with pytest.raises(NotComparable, match=f"version 1 is {reason}"):
        await _diff(tmp_path, content, b"text")


async def test_the_users_configuration_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the user's settings of git nor a repository around the data folder have a say."""
    (tmp_path / ".gitconfig").write_text(
        "[diff]\nexternal = false\nnoprefix = true\ncontext = 0\n[color]\nui = always\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    assert "\n a\n-b\n" in await _diff(tmp_path, b"a\nb\n", b"a\nc\n")


async def test_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where git is not found it is said that this is what is missing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitMissing, match="finds no git"):
        await _diff(tmp_path, b"a\n", b"b\n")

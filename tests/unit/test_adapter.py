"""The pure pieces of the MetaGPT adapter."""

import errno
import hashlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest

from runner.files import Artifact
from runner.metagpt import phrases
from runner.metagpt.artifacts import Artifacts
from runner.metagpt.failures import OutsideWorkspace
from runner.metagpt.faults import explain
from runner.metagpt.guard import Guard
from runner.metagpt.naming import project_name
from runner.metagpt.progress import Progress
from runner.metagpt.scripts import plain_requirements
from runner.redact import Redactor


@pytest.mark.parametrize(
    ("idea", "name"),
    [
        ("Write a 2048 game", "game_2048"),
        ("Create a snake game, please", "snake_game"),
        ("../../etc/passwd", "etc_passwd"),
        ("写一个贪吃蛇游戏", "project"),
        ("", "project"),
        ("2048", "project_2048"),
        ("a calendar", "calendar_app"),
        ("tests", "project_tests"),
        ("class", "class_app"),
        ("x" * 300, "x" * 40),
    ],
)
def test_a_project_is_named_after_its_idea(idea: str, name: str) -> None:
    """The folder's name is short, plain, and can be imported by the program in it."""
    assert project_name(idea) == name


def test_progress_is_unknown_before_the_task_list() -> None:
    """Nothing is claimed until the number of files is known."""
    progress = Progress(code_review=False, run_tests=False)
    progress.finish("WritePRD", None)
    assert progress.value is None


def test_progress_counts_each_step_once() -> None:
    """Work done again adds nothing, and more files than expected do not make progress fall."""
    progress = Progress(code_review=True, run_tests=False)
    for action in ("WritePRD", "WriteDesign", "WriteTasks"):
        progress.finish(action, None)
    progress.expect(["a.py", "b.py"])
    assert progress.value == pytest.approx(3 / 7, abs=1e-3)
    progress.finish("WritePRD", None)
    progress.finish("WriteCode", "a.py")
    assert progress.value == pytest.approx(4 / 7, abs=1e-3)
    progress.expect(["c.py", "d.py", "e.py"])
    assert progress.value == pytest.approx(4 / 7, abs=1e-3)


def test_progress_reaches_one_only_at_the_end() -> None:
    """All steps done is not yet a run that has ended."""
    progress = Progress(code_review=False, run_tests=True)
    progress.expect(["main.py", "README.md", "test_x.py"])
    for action, file in [
        ("WritePRD", None),
        ("WriteDesign", None),
        ("WriteTasks", None),
        ("WriteCode", "main.py"),
        ("WriteCode", "README.md"),
        ("WriteCode", "test_x.py"),
        ("WriteTest", "test_main.py"),
        ("RunCode", "test_main.py"),
    ]:
        assert (progress.value or 0) < 0.99
        progress.finish(action, file)
    assert progress.value == 0.99


@pytest.mark.parametrize("path", ["main.py", "a/../b.py", "deep/er/x.py", ".gitignore", "a/.github/x"])
def test_paths_inside_are_allowed(tmp_path: Path, path: str) -> None:
    """Whatever resolves into the workspace may be used."""
    assert Guard(tmp_path).inside(tmp_path / path).is_relative_to(tmp_path.resolve())


@pytest.mark.parametrize(
    "path",
    ["../x.py", "/etc/passwd", "a/../../x.py", "link/x.py", ".", "", "p/.git/hooks/x", ".GIT/config", "nul\0.py"],
)
def test_paths_outside_are_refused(tmp_path: Path, path: str) -> None:
    """Climbing, absolute paths, links, the workspace itself and git's own folder are refused, and named."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "link").symlink_to(tmp_path)
    with pytest.raises(OutsideWorkspace, match="may not use"):
        Guard(workspace).inside(workspace / path)


def test_a_project_lies_directly_in_the_workspace(tmp_path: Path) -> None:
    """A project's folder may not be moved deeper, or in place of the workspace."""
    guard = Guard(tmp_path)
    assert guard.project(tmp_path / "game") == tmp_path.resolve() / "game"
    for name in ("a/b", "..", "."):
        with pytest.raises(OutsideWorkspace):
            guard.project(tmp_path / name)


@pytest.fixture
def written() -> list[Artifact]:
    return []


@pytest.fixture
def artifacts(tmp_path: Path, written: list[Artifact]) -> Artifacts:
    (tmp_path / "game").mkdir()
    return Artifacts(tmp_path, written.append)


def test_a_change_is_a_new_version(tmp_path: Path, artifacts: Artifacts, written: list[Artifact]) -> None:
    """Versions count the different contents of a path; the same content again is none."""
    path = tmp_path.resolve() / "game" / "main.py"
    for content in (b"one", b"one", b"two!"):
        path.write_bytes(content)
        artifacts.written(path, content)
    assert [(a.path, a.version, a.size) for a in written] == [("game/main.py", 1, 3), ("game/main.py", 2, 4)]
    assert artifacts.existing() == [written[1]]
    assert written[1].sha256 == hashlib.sha256(b"two!").hexdigest()


def test_a_scan_finds_what_nobody_told(tmp_path: Path, artifacts: Artifacts, written: list[Artifact]) -> None:
    """A scan sees new and changed files once; git's, Python's and MetaGPT's own files and links are not the team's."""
    project = tmp_path.resolve() / "game"
    for name in ("b.mmd", "a/deep.txt", ".git/HEAD", "__pycache__/x.pyc", ".dependencies.json"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(name)
    (project / "link").symlink_to(project / "b.mmd")
    artifacts.scan(project)
    artifacts.scan(project)
    assert [a.path for a in written] == ["game/a/deep.txt", "game/b.mmd"]
    (project / "b.mmd").write_text("changed")
    artifacts.scan(project)
    assert (written[-1].path, written[-1].version) == ("game/b.mmd", 2)


def test_a_scan_passes_over_what_is_too_deep(tmp_path: Path, artifacts: Artifacts, written: list[Artifact]) -> None:
    """Folders deeper than a path can say, which programs can make, do not end a run."""
    project = tmp_path.resolve() / "game"
    (project / "file").touch()
    at = os.open(project, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=at)
        deeper = os.open("d" * 200, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = deeper
    os.close(os.open("file", os.O_CREAT, dir_fd=at))
    os.close(at)
    artifacts.scan(project)
    assert [a.path for a in written] == ["game/file"]


NOBODY = 65534  # a user

# By a user who is not root: root may do everything.
SHUT = f"""
import os
from pathlib import Path
from runner.metagpt.artifacts import Artifacts
if os.getuid() == 0:
    os.setuid({NOBODY})
project = Path("game").absolute()
for name in ("file", "folder/file", "shut"):
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / name).touch()
(project / "folder").chmod(0)
(project / "shut").chmod(0)
Artifacts(project.parent, lambda artifact: print(artifact.path)).scan(project)
"""


def test_a_scan_passes_over_what_is_shut() -> None:
    """Files and folders that nobody may read, which tests of programs can leave, do not end a run."""
    with TemporaryDirectory() as folder:  # pytest's own are root's
        if os.getuid() == 0:
            os.chown(folder, NOBODY, -1)
        done = subprocess.run([sys.executable, "-c", SHUT], cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.split() == ["game/file"]


def test_a_change_at_once(tmp_path: Path, artifacts: Artifacts, written: list[Artifact]) -> None:
    """A change that leaves size and time as they were, since it came within the same tick, is found."""
    path, just_now = tmp_path.resolve() / "game" / "x", time.time_ns() + 10**10  # whenever the scan comes
    for content in ("one", "two"):
        path.write_text(content)
        os.utime(path, ns=(just_now, just_now))
        artifacts.scan(path.parent)
    assert [a.version for a in written] == [1, 2]


def test_versions_of_earlier_attempts(tmp_path: Path, written: list[Artifact]) -> None:
    """What an earlier attempt has written in the same order keeps its version; what differs becomes a version after."""
    folder = tmp_path.resolve()
    path = folder / "x"
    for again in (b"one", b"two", b"three"), (b"one", b"three", b"four", b"one"):
        artifacts = Artifacts(folder, written.append, list(written))
        for content in again:
            path.write_bytes(content)
            artifacts.written(path, content)
    assert [a.version for a in written] == [1, 2, 3, 1, 3, 4, 5]


def test_a_removed_file_is_no_result(tmp_path: Path, artifacts: Artifacts) -> None:
    """What is not there at the end is not listed."""
    (tmp_path / "game" / "x").write_text("x")
    artifacts.scan(tmp_path.resolve() / "game")
    (tmp_path / "game" / "x").unlink()
    assert artifacts.existing() == []


@pytest.mark.parametrize(
    "text",
    [
        "key=my-own-secret.",
        "cut in the middle (my-own-sec…), and on it goes",
        "Authorization: Bearer abcdefghijklmnop1234",
        "bearer  abcdefghijklmnop1234",
        "sk-proj-abcdefghijklmnop",
    ],
)
def test_secrets_are_redacted(text: str) -> None:
    """Known secrets and what looks like one are replaced."""
    redactor = Redactor(["my-own-secret"])
    assert redactor.suspects(msgspec.json.encode(text))
    assert "[redacted]" in redactor.text(text) and "my-own" not in redactor.text(text)


@pytest.mark.parametrize("secret", ['with "quotes"', "back\\slash", "two\nlines", "schlüssel", "🔑🔑🔑🔑🔑🔑"])
def test_an_encoded_secret_is_suspected(secret: str) -> None:
    """A line of JSON is suspected of a secret also where JSON writes it otherwise than it is."""
    redactor = Redactor([secret])
    assert redactor.suspects(msgspec.json.encode({"message": f"key {secret}!"}))
    assert not redactor.suspects(msgspec.json.encode({"message": "key"}))


def test_ordinary_words_are_left_alone() -> None:
    """Placeholders that are too short to be keys, and words about keys, stay readable."""
    text = "The bearer token none sk- task-list f'Bearer {token}' my-o… and so on…"
    assert Redactor.of_config({"api_key": "none", "api_secret": None}).text(text) == text
    assert Redactor(["my-own-secret"]).text(text) == text


def test_only_packages_are_installed() -> None:
    """Of a model's requirements.txt only plain names of packages count: no sentences, options, URLs, or stdlib."""
    text = """pygame==2.5
    requests>=2  # for HTTP
    flask[async]~=3.0
    No third-party dependencies required
    unittest
    -e .
    --index-url https://example.org
    git+https://example.org/x.git
    evil @ https://example.org/x.whl
    ../evil
    """
    assert plain_requirements(text) == ["pygame==2.5", "requests>=2", "flask[async]~=3.0"]


class StatusError(Exception):
    def __init__(self, status_code: int) -> None:
        super().__init__("no luck")
        self.status_code = status_code


@pytest.mark.parametrize(
    ("error", "words", "retry"),
    [
        (StatusError(401), "refused the API key (401)", False),
        (StatusError(404), "does not know the model m", False),
        (StatusError(400), "rejected the request (400): no luck.", False),
        (StatusError(429), "is limiting requests (429)", True),
        (StatusError(502), "failed (502)", True),
        (ConnectionRefusedError(), "connection refused", True),
        (socket.gaierror(), "There is no host llm.example", True),
        (OSError(errno.EHOSTUNREACH, ""), "no route", True),
        (TimeoutError(), "did not answer within 600 s", True),
        (ConnectionResetError("reset"), "broke: reset.", True),
        (KeyError("choices"), "KeyError: 'choices'", False),
    ],
    ids=lambda value: repr(value) if isinstance(value, Exception) else "",
)
def test_faults_are_explained(error: Exception, words: str, retry: bool) -> None:
    """A client's exception, however wrapped, becomes a sentence, and is retried only if that may help."""
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = error
    for shape in (error, wrapped):
        fault = explain(shape, url="https://llm.example/v1", model="m", limit=600)
        assert fault.retry is retry
    assert words in explain(error, url="https://llm.example/v1", model="m", limit=600).message


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c"], "a, b and c"),
        (["a", "b", "c", "d"], "a, b, c and 1 more file"),
        (list("abcdef"), "a, b, c and 3 more files"),
    ],
)
def test_files_in_words(paths: list[str], words: str) -> None:
    """Long lists are cut, and the cut is told."""
    assert phrases.files(paths) == words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("Human", ["<all>"], "UserRequirement", "Hello"), "A person tells everyone: Hello"),
        (("Human", ["Engineer"], "HumanMessage", "Hello"), "A person tells the engineer: Hello"),
        (("Architect", ["<all>"], "WriteDesign", "{}"), "The architect tells everyone: the system design is ready."),
        (("Engineer", ["Engineer"], "WriteCode", "x"), "The engineer tells itself: the code is written."),
        (("QaEngineer", ["<none>"], "WriteTest", "Round 1 done"), "The QA engineer notes: Round 1 done"),
    ],
)
def test_messages_in_words(arguments: tuple[str, list[str], str, str], words: str) -> None:
    """A message tells who says what to whom; the JSON that roles exchange is left out."""
    assert phrases.message(*arguments) == words

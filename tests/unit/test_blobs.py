"""What is kept of the files that a run tells of."""

import zipfile
from collections.abc import AsyncIterator
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from runner.base import Commit
from runner.blobs import STAGE, Blobs, stage
from runner.errors import ArtifactNotFound
from runner.events import EventType
from runner.files import Artifact
from runner.states import Status
from tests.children import Stage, ToldChild, told_supervisor

CONTENT = b"print('hello')\n"
DIGEST = sha256(CONTENT).hexdigest()


@pytest_asyncio.fixture
async def running(tmp_path: Path) -> AsyncIterator[Stage]:
    async with told_supervisor(tmp_path) as (supervisor, forks):
        yield Stage(supervisor, forks)


def test_a_full_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With durability "full", macOS is asked for what its fsync does not do, for the bytes and for the folder."""
    asked: list[int] = []
    monkeypatch.setattr("fcntl.F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr("fcntl.fcntl", lambda descriptor, command: asked.append(command))
    artifact = Artifact(path="main.py", version=1, size=len(CONTENT), sha256=DIGEST)
    Blobs(tmp_path / "blobs", "full").keep_content(artifact, CONTENT)
    assert asked == [51, 51]


def write(child: ToldChild, path: str, content: bytes, version: int = 1) -> None:
    """Tell of a file, as a real child does."""
    digest, size = stage(Path(child.spec.workspace), BytesIO(content))
    tell(child, path, digest, size, version)


def tell(child: ToldChild, path: str, digest: str, size: int, version: int = 1) -> None:
    told = {
        "message": "written",
        "path": path,
        "version": version,
        "size": size,
        "sha256": digest,
        "action": "WriteCode",
    }
    child.emit(EventType.ARTIFACT, told, agent_role="Engineer")


async def test_a_file_is_kept_before_anybody_is_told(running: Stage) -> None:
    """Whoever hears of a version can open it; its copy in the workspace is gone."""
    found: list[bytes] = []

    def listen(change: object) -> None:
        if isinstance(change, Commit) and any(event.event_type is EventType.ARTIFACT for event in change.events):
            workspace = Path(str(change.task.workspace))
            found.append((workspace.parent / "blobs" / DIGEST).read_bytes())
            assert not (workspace / STAGE / DIGEST).exists()

    running.supervisor.watch(listen)
    child = await running.child()
    write(child, "game/main.py", CONTENT)
    child.finish()
    assert (await running.end()).status is Status.SUCCEEDED
    assert found == [CONTENT]


@pytest.mark.parametrize("trick", ["no copy", "another copy", "a link", "a path that leads out", "no digest"])
async def test_what_is_not_there_is_not_told(running: Stage, trick: str) -> None:
    """A file whose bytes are not what the run says ends it: no version is listed without its bytes."""
    child = await running.child()
    folder = Path(child.spec.workspace) / STAGE
    folder.mkdir(parents=True)
    (folder.parent / "real").write_bytes(CONTENT)
    if trick == "another copy":
        (folder / DIGEST).write_bytes(CONTENT.upper())
    elif trick == "a link":
        (folder / DIGEST).symlink_to(folder.parent / "real")
    elif trick != "no copy":
        (folder / DIGEST).write_bytes(CONTENT)
    path = "../main.py" if trick == "a path that leads out" else "main.py"
    tell(child, path, "../real" if trick == "no digest" else DIGEST, len(CONTENT))
    task = await running.end()
    assert task.status is Status.FAILED and task.reason is not None
    assert "ARTIFACT" not in await running.kinds()
    assert not list(folder.parent.parent.parent.glob("blobs/*"))
    assert trick == "no digest" or repr(path) in task.reason


@pytest.mark.parametrize(
    "made",
    [
        {"project": "../other/workspace/project"},
        {"project": "/etc"},
        {"project": "."},
        {"project": ""},
        {"project": "p", "artifacts": [{"path": "../x", "version": 1, "size": 1, "sha256": DIGEST}]},
    ],
    ids=str,
)
async def test_a_result_that_leads_elsewhere(running: Stage, made: dict[str, Any]) -> None:
    """What a run says that it has made is in its workspace: nothing else can be continued, or packed."""
    child = await running.child()
    child.emit(EventType.RESULT, {"message": "done", "final_result": made})
    child.exit(0)
    task = await running.end()
    assert (task.status, task.final_result) == (Status.FAILED, None)
    assert "RESULT" not in await running.kinds()


async def test_versions_go_on(running: Stage) -> None:
    """An attempt goes on with the versions of those before; what it has not written is not in the archive."""
    first = await running.child()
    write(first, "main.py", CONTENT)
    write(first, "main.py", b"two", version=2)
    write(first, "old.py", b"old")
    first.exit(1)
    await running.until(Status.FAILED)
    runner, task_id = running.supervisor, running.task_id
    await runner.start_task(task_id)
    second = await running.forks.child()
    assert [(a.path, a.version) for a in second.spec.versions] == [("main.py", 1), ("main.py", 2), ("old.py", 1)]
    write(second, "main.py", CONTENT)
    result = {"artifacts": [{"path": "main.py", "version": 1, "size": len(CONTENT), "sha256": DIGEST}]}
    second.emit(EventType.RESULT, {"message": "done", "final_result": result})
    second.exit(0)
    await running.until(Status.SUCCEEDED)
    main, old = await runner.get_task_artifacts(task_id)
    assert (main.version, main.sha256, main.current, old.current) == (1, DIGEST, True, False)
    assert [(v.version, v.size, v.attempt, v.agent_role) for v in main.versions] == [
        (1, len(CONTENT), 1, "Engineer"),
        (2, 3, 1, "Engineer"),
    ]
    for version, content in ((None, CONTENT), (1, CONTENT), (2, b"two")):
        with (await runner.open_artifact(task_id, "main.py", version)).file as file:
            assert file.read() == content
    with pytest.raises(ArtifactNotFound, match="in version 3; it has: 1, 2"):
        await runner.open_artifact(task_id, "main.py", 3)
    with await runner.open_archive(task_id) as packed, zipfile.ZipFile(packed) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"main.py": CONTENT}


async def test_a_copy_that_was_cut_short(running: Stage) -> None:
    """What a server that was killed had half copied is removed when the next attempt begins."""
    (await running.child()).exit(1)
    task = await running.until(Status.FAILED)
    blobs = Path(str(task.workspace)).parent / "blobs"
    blobs.mkdir()
    (blobs / "unfinished-x").write_bytes(b"half")
    await running.supervisor.start_task(running.task_id)
    (await running.forks.child()).exit(1)
    await running.until(Status.FAILED)
    assert not list(blobs.iterdir())

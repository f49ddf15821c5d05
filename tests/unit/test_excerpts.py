"""What the log has of an event that is too large for it."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from runner.events import EventType
from runner.limits import RunLimits
from runner.payloads import PAYLOADS
from runner.states import Status
from tests.children import Stage, told_supervisor

LIMIT = 20_000  # bytes


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with told_supervisor(tmp_path, limits=RunLimits(grace=0.2, event_size=LIMIT)) as (supervisor, forks):
        yield Stage(supervisor, forks)


def message(content: str) -> dict[str, Any]:
    return {
        "message": content,
        "id": "m",
        "content": content,
        "cause_by": "WritePRD",
        "sent_from": "Architect",
        "send_to": ["Engineer"],
    }


async def told(stage: Stage, event_type: EventType, payload: dict[str, Any]) -> list[dict[str, Any]]:
    """The log of a run that tells this and then ends well."""
    child = await stage.child()
    await child.emit_all(event_type, payload, agent_role="Architect")
    child.finish()
    assert (await stage.end()).status is Status.SUCCEEDED
    return await stage.log()


async def whole_of(stage: Stage, reference: dict[str, Any]) -> bytes:
    found, file = await stage.supervisor.open_artifact(stage.task_id, reference["path"], None)
    with file:
        assert found.sha256 == reference["sha256"]
        return file.read()


async def test_a_message_of_megabytes(stage: Stage) -> None:
    """The log has its beginning, right after the ARTIFACT of a file that has all of it."""
    payload = message("é" * 3_000_000)
    log = await told(stage, EventType.MESSAGE, payload)
    at = next(number for number, event in enumerate(log) if event["event_type"] == "MESSAGE")
    excerpt, artifact = log[at]["payload"], log[at - 1]["payload"]
    assert len(json.dumps(log[at], ensure_ascii=False).encode()) < LIMIT + 200
    assert excerpt["content"].startswith("ééé") and excerpt["content"].endswith("…")
    assert (excerpt["sent_from"], excerpt["send_to"]) == ("Architect", ["Engineer"])
    assert excerpt["whole"].items() <= artifact.items() and log[at - 1]["agent_role"] == "Architect"
    assert msgspec.json.decode(await whole_of(stage, excerpt["whole"])) == payload


async def test_a_message_within_the_limit(stage: Stage) -> None:
    """What is small enough is told as it is."""
    log = await told(stage, EventType.MESSAGE, message("x" * 9000))
    assert "ARTIFACT" not in [event["event_type"] for event in log]
    assert next(event["payload"] for event in log if event["event_type"] == "MESSAGE") == message("x" * 9000)


async def test_what_is_kept_is_not_the_teams_work(stage: Stage) -> None:
    """The file is listed, and left out of the archive."""
    await told(stage, EventType.MESSAGE, message("x" * 50_000))
    (file,) = await stage.supervisor.get_task_artifacts(stage.task_id)
    assert file.path.startswith(".payloads/") and not file.current


async def test_a_result_of_many_files(stage: Stage) -> None:
    """The files of a team are all listed, however many, and the log still has what readers rely on."""
    child = await stage.child()
    artifacts = [
        {"path": f"game/{number}.py", "version": 1, "size": 1, "sha256": f"{number:064x}"} for number in range(3000)
    ]
    final = {"project": "game", "artifacts": artifacts, "messages": [], "usage": {}, "demo": True}
    await child.emit_all(EventType.RESULT, {"message": "done", "final_result": final})
    child.exit(0)
    task = await stage.end()
    assert task.final_result == final
    excerpt = next(event["payload"] for event in await stage.log() if event["event_type"] == "RESULT")
    msgspec.convert(excerpt, PAYLOADS[EventType.RESULT])
    assert len(excerpt["final_result"]["artifacts"]) < 3000
    assert sum(file.current for file in await stage.supervisor.get_task_artifacts(stage.task_id)) == 3000


async def test_a_later_attempt_is_told_all(stage: Stage) -> None:
    """An answer of the model that was too large for the log is not asked for again."""
    answer = "a" * 50_000
    child = await stage.child()
    await child.emit_all(EventType.TOKEN, {"message": answer, "call": "c", "delta": answer}, agent_role="Architect")
    call = {
        "message": "",
        "call": "c",
        "model": "m",
        "prompt_sha256": "p",
        "answer_chars": len(answer),
        "answer_sha256": hashlib.sha256(answer.encode()).hexdigest(),
    }
    child.emit(EventType.LLM_CALL, call, agent_role="Architect")
    child.exit(None)
    later = await stage.forks.child()
    assert list(later.spec.checkpoint.recorded.values()) == [[answer]]
    later.finish()
    await stage.end()


@pytest.mark.parametrize(
    ("event_type", "payload", "said"),
    [
        (EventType.LOG, {f"key {number}": 1 for number in range(5000)}, "20,000"),
        (
            EventType.ARTIFACT,
            {"message": "", "path": ".payloads/x", "version": 1, "size": 0, "sha256": "0" * 64},
            "this name is",
        ),
    ],
    ids=["no excerpt", "a payload's name"],
)
async def test_what_cannot_be_told(stage: Stage, event_type: EventType, payload: dict[str, Any], said: str) -> None:
    """A process whose event has no excerpt, or which takes the name of a payload, ends its run, which says why."""
    child = await stage.child()
    await child.emit_all(event_type, payload)
    task = await stage.end()
    assert task.status is Status.FAILED and said in str(task.reason)

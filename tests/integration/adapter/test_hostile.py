"""Models that choose paths outside the workspace."""

import json
import os
from pathlib import Path

import pytest

from runner.attempt import Answer, Llm
from runner.metagpt.demo.answers import answer as demo_answer
from tests.integration.adapter.conftest import Start
from tests.openai_server import OpenAiServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


def listing(*files: str) -> OpenAiServer:
    """An endpoint whose task list names these files."""

    def answer(prompt: str, system: str) -> str:
        text = demo_answer(prompt, system)
        if '"Task list"' not in text:
            return text
        tasks = json.loads(text.removeprefix("[CONTENT]").removesuffix("[/CONTENT]"))
        tasks["Task list"] = list(files)
        return f"[CONTENT]{json.dumps(tasks)}[/CONTENT]"

    return OpenAiServer(answer=answer)


@pytest.mark.parametrize(
    "path",
    ["../../../evil.py", "{outside}/evil.py", "../.git/hooks/pre-commit", "link/evil.py"],
    ids=["climbing", "absolute", "git", "link"],
)
async def test_a_file_outside_ends_the_run(start: Start, tmp_path: Path, workspace: Path, path: str) -> None:
    """A path that leads out of the workspace, or into git's own folder, ends the run before a line is written."""
    path = path.format(outside=tmp_path)
    with listing("main.py", path) as server:
        attempt = await start(llm=Llm(config=server.config()), review=["ProjectManager"])
        question = await attempt.until("INPUT_REQUEST")
        source = workspace / "game_2048" / "game_2048"
        source.mkdir()
        (source / "link").symlink_to(tmp_path)
        await attempt.child.send(Answer(request_id=question["request_id"], answer="approve"))
        assert await attempt.end() == 1
    assert attempt.fatal["error_type"] == "OutsideWorkspace"
    assert path.rpartition("/")[2] in attempt.fatal["message"]
    assert not found("evil.py", tmp_path)
    assert "WriteCode" not in [payload["action"] for payload in attempt.payloads("ACTION_START")]


async def test_the_idea_cannot_choose_a_folder_outside(start: Start, workspace: Path) -> None:
    """An idea made of path parts gets a plain folder in the workspace."""
    attempt = await start("../../../etc/passwd")
    assert await attempt.end() == 0
    assert attempt.result["project"] == "etc_passwd"
    assert sorted(os.listdir(workspace)) == [".scratch", "etc_passwd"]


def found(name: str, folder: Path) -> bool:
    return any(name in files for _, _, files in os.walk(folder))

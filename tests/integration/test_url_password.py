"""A password that stands in the address of the LLM."""

import asyncio
from pathlib import Path

from tests.openai_server import API_KEY, MODEL, OpenAiServer, Refuse
from tests.support import Server, client

PASSWORD = "hunter2-correct-horse"


async def test_the_password_is_nowhere(tmp_path: Path) -> None:
    """It is in no event and no state, not even when the endpoint repeats it, nor in the database or any output."""
    with OpenAiServer() as endpoint:
        endpoint.script.append(Refuse(400, f"Nobody may call this with {PASSWORD}."))
        url = endpoint.url.replace("://", f"://me:{PASSWORD}@")
        with Server(tmp_path / "data", LLM_BASE_URL=url, LLM_API_KEY=API_KEY, LLM_MODEL=MODEL) as server:
            async with client(server) as api:
                task_id = await api.started()
                state = await api.until_status(task_id, "FAILED", "SUCCEEDED")
                shown = str((state, await api.events(task_id)))
            assert "Nobody may call this" in shown
            assert PASSWORD not in shown
            assert await asyncio.to_thread(_holding, server.data) == []
            assert PASSWORD not in server.log


def _holding(folder: Path) -> list[Path]:
    """The files in a folder that hold the password."""
    return [file for file in folder.rglob("*") if file.is_file() and PASSWORD.encode() in file.read_bytes()]

"""The files of a task that is at work: kept before anybody is told of them.

All of it is done in threads, which the commits of the run wait for.
"""

import asyncio
from collections.abc import Iterable
from concurrent.futures import Executor
from pathlib import Path

from runner.blobs import Blobs, check_path
from runner.errors import FileNotKept, WorkspaceNotMade
from runner.events import EventType
from runner.excerpts import FOLDER, Excerpts
from runner.hearing import Heard, decode_artifact, decode_result
from runner.inside import is_plain_name
from runner.workspace import NotCopied, lay_out


class Keeping:
    """workspace: where the files come to be. blobs: where they are kept. event_size: bytes of an event, beyond which
    its payload is a file, too. threads: None for the loop's own.
    """

    def __init__(self, workspace: Path, blobs: Blobs, *, event_size: int, threads: Executor | None) -> None:
        self._workspace = workspace
        self._blobs = blobs
        self._excerpts = Excerpts(blobs, event_size, threads)
        self._threads = threads

    async def begin(self) -> None:
        """Make the workspace what it is at the beginning of an attempt, and remove what was half kept.

        Raises `WorkspaceNotMade`, for instance while the disk is full.
        """
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, lay_out, self._workspace)
            await loop.run_in_executor(self._threads, self._blobs.tidy)
        except (OSError, NotCopied) as error:
            raise WorkspaceNotMade(error) from error

    async def keep(self, events: list[Heard]) -> list[Heard]:
        """Keep the files that events tell of. Returns the events as they go into the log.

        Raises `FileNotKept`, and `msgspec.ValidationError` for an event that has no excerpt within the limit.
        """
        await self._keep_files(events)
        return await self._excerpts.of(events)

    async def _keep_files(self, events: Iterable[Heard]) -> None:
        loop = asyncio.get_running_loop()
        for _, event in events:
            if event.event_type is EventType.ARTIFACT:
                artifact = decode_artifact(event.payload)
                if artifact.path.startswith(FOLDER):
                    raise FileNotKept(artifact.path, "this name is for what the log does not hold")
                await loop.run_in_executor(self._threads, self._blobs.keep, artifact, self._workspace)
            elif event.event_type is EventType.RESULT:
                made = decode_result(event.payload).final_result
                if made.project is not None and not is_plain_name(made.project):
                    raise FileNotKept(made.project, "this is not the name of a folder")
                for artifact in made.artifacts:
                    check_path(artifact)

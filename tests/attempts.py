"""Runs attempts in real child processes and reads what they send, for tests."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runner.attempt import AttemptSpec, Confinement, Llm, Options, Synced
from runner.errors import ChildLost
from runner.forkserver import Child
from runner.usage import Usage

DEMO = Llm(demo_pace=0)
DEADLINE = 60.0  # seconds without a word after which a test gives up
IDEA = "Write a 2048 game"
NOTHING_USED = Usage()

Payload = dict[str, Any]


def spec(workspace: Path, idea: str = IDEA, llm: Llm = DEMO, used: Usage = NOTHING_USED, **options: Any) -> AttemptSpec:
    workspace.mkdir(parents=True, exist_ok=True)
    return AttemptSpec(
        task_id="task",
        attempt=1,
        input_prompt=idea,
        options=Options(**options),
        workspace=str(workspace),
        confinement=Confinement(hidden=str(workspace.parent)),
        llm=llm,
        used=used,
    )


class Attempt:
    """A child process, and the events and notes that it has sent so far. What it sends counts as in the log at once."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.events: list[dict[str, Any]] = []
        self.notes: list[Payload] = []
        self._seen = 0
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def next(self, event_type: str, when: Callable[[Payload], bool] = lambda payload: True) -> Payload | None:
        """The payload of the next event like this; None if the child ends without one."""
        while True:
            while self._seen < len(self.events):
                event = self.events[self._seen]
                self._seen += 1
                if event["event_type"] == event_type and when(event["payload"]):
                    payload: Payload = event["payload"]
                    return payload
            if not await self._more():
                return None

    async def until(self, event_type: str, when: Callable[[Payload], bool] = lambda payload: True) -> Payload:
        """Like `next`, for an event that must come."""
        payload = await self.next(event_type, when)
        if payload is None:
            last = [(event["event_type"], event["payload"]["message"]) for event in self.events[-3:]]
            raise AssertionError(f"The attempt ended without {event_type}; its last events: {last}")
        return payload

    async def end(self) -> int | None:
        """Read to the end; the exit code."""
        while await self._more():
            pass
        return await self.child.exited

    async def close(self) -> None:
        """Hear the child no more; it notices that."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self.child.close()

    def payloads(self, event_type: str) -> list[Payload]:
        return [event["payload"] for event in self.events if event["event_type"] == event_type]

    def roles(self, event_type: str) -> list[str | None]:
        return [event["agent_role"] for event in self.events if event["event_type"] == event_type]

    @property
    def counts(self) -> Counter[str]:
        return Counter(event["event_type"] for event in self.events)

    @property
    def result(self) -> Payload:
        """The final result of an attempt that went well."""
        assert self.events[-1]["event_type"] == "RESULT", self.events[-1]
        final: Payload = self.events[-1]["payload"]["final_result"]
        return final

    @property
    def fatal(self) -> Payload:
        """The error that an attempt ended with."""
        payload: Payload = self.events[-1]["payload"]
        assert payload.get("fatal") is True, self.events[-1]
        return payload

    async def _more(self) -> bool:
        """Wait for more; False if the child has ended, and all it has sent is there."""
        if self._reading.done():
            self._reading.result()
            return False
        self._news.clear()
        async with asyncio.timeout(DEADLINE):
            await self._news.wait()
        return True

    async def _read(self) -> None:
        try:
            while lines := await self.child.lines():
                for line in map(json.loads, lines):
                    await self._take(line)
                self._news.set()
        finally:
            self._news.set()

    async def _take(self, line: dict[str, Any]) -> None:
        if line.get("op") == "sync":
            with contextlib.suppress(ChildLost):
                await self.child.send(Synced(number=line["number"]))
        else:
            (self.notes if "op" in line else self.events).append(line)

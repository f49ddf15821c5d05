"""Chaos: a server that is killed again and again, at any moment, while people use it."""

import asyncio
import random
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import httpx

from tests.chaos.checker import check_ended
from tests.chaos.database import IN_ATTEMPT, log, snapshot, tasks
from tests.chaos.kills import KILLS, Kill
from tests.chaos.people import KEY, People
from tests.chaos.processes import belonging, working_in
from tests.disk import full_disk
from tests.support import Api, Server, client, ends, until

PEOPLE = 4
PAUSE = 0.1  # seconds from one act of a person to the next, on average
KILL_PAUSES = (0.1, 1.0, 5.0)  # seconds from one kill to the next, on average: one of these
FULL_PAUSE = 5.0  # seconds from one time that the disk is full to the next, on average
FULL_FOR = 2.0  # seconds, at most
STILLBORN_SHARE = 0.1  # of servers, that are killed while they start
STARTING = 1.0  # seconds, about
GONE = 2.0  # seconds after the end of a server in which its processes are gone; a run would go on for longer
RESTING = 120.0  # seconds that the last runs have to come to their ends
SETTINGS = {
    "DEMO_PACE": 0.015,
    "CONCURRENCY": 3,
    "STOP_GRACE": 0.5,
    "REQUEST_RATE": 0,
    "LLM_MODEL": "demo",
    "LLM_API_KEY": KEY,
}


class Chaos:
    """data: the data folder, which does not exist yet. What happens comes from `seed`; when it happens does not."""

    def __init__(self, data: Path, seed: int) -> None:
        self.kills: Counter[str] = Counter()
        """How often what was killed, or the disk was full."""
        self._data = data
        self._seed = seed
        self._chance = random.Random(seed)
        self._up = asyncio.Event()
        self._servers = ExitStack()
        self._true: asyncio.Task[None] | None = None
        self._full = False

    async def rage(self, seconds: float) -> People:
        """Have chaos for so long, then let everything come to rest and end the server. The people who lived through it.

        Raises as soon as a promise is seen broken.
        """
        with self._servers:
            await self._start()
            async with asyncio.TaskGroup() as group:
                people = People(self._where, group)
                end = asyncio.get_running_loop().time() + seconds
                actors = [random.Random(f"{self._seed}/{number}") for number in range(PEOPLE)]
                acting = (self._act_until(end, people, actor) for actor in actors)
                await asyncio.gather(self._kill_until(end), self._fill_until(end), *acting)
                async with asyncio.timeout(RESTING), client(self._server) as api:
                    await people.come_to_rest(api, self._chance)
            await self._end(KILLS["SIGTERM"])
            await self._start()
            async with client(self._server) as api:
                await people.compare_all(api)
            await until(self._leftovers, lambda folders: not folders)
            await self._end(KILLS["SIGTERM"])
        return people

    def story(self) -> Counter[str]:
        """What became of the tasks that are left, and what was told of them: how much of it really happened."""
        told: Counter[str] = Counter()
        with snapshot(self.database) as connection:
            for row in tasks(connection):
                told.update([row.status, *(["continued"] if row.details.get("continues") else [])])
                for event in log(connection, row.seq):
                    told[f"{event.type}, replayed" if event.payload.get("replayed") else event.type] += 1
        return told

    @property
    def database(self) -> Path:
        return self._data / "metagpt-live.db"

    async def _where(self) -> str:
        await self._up.wait()
        return self._server.url

    async def _act_until(self, end: float, people: People, chance: random.Random) -> None:
        while asyncio.get_running_loop().time() < end:
            await asyncio.sleep(chance.expovariate(1 / PAUSE))
            await self._up.wait()
            server = self._server
            try:
                async with client(server) as api:
                    await people.act(api, chance)
            except httpx.TransportError as error:
                assert server is not self._server or not self._up.is_set(), f"the server does not answer: {error!r}"

    async def _kill_until(self, end: float) -> None:
        while asyncio.get_running_loop().time() < end:
            await asyncio.sleep(self._chance.expovariate(1 / self._chance.choice(KILL_PAUSES)))
            (name,) = self._chance.choices(tuple(KILLS), [kill.weight for kill in KILLS.values()])
            self.kills[name] += 1
            if KILLS[name].code is None:
                KILLS[name].strike(self._server, self._chance)
            else:
                await self._end(KILLS[name])
                await self._start()

    async def _fill_until(self, end: float) -> None:
        """Have the disk be full now and then; the server may be killed meanwhile."""
        chance = random.Random(f"{self._seed}/disk")
        while asyncio.get_running_loop().time() < end:
            await asyncio.sleep(chance.expovariate(1 / FULL_PAUSE))
            await self._up.wait()
            self.kills["full disk"] += 1
            with full_disk(self._server):
                self._full = True
                await asyncio.sleep(chance.uniform(0, FULL_FOR))
            self._full = False

    async def _start(self) -> None:
        """Start a server; what was under way when the last one ended has been told to have ended."""
        while self._chance.random() < STILLBORN_SHARE:
            await self._start_in_vain()
        under_way = self._under_way()
        self._server = Server(self._data, **SETTINGS)
        await asyncio.to_thread(self._servers.enter_context, self._server)
        async with client(self._server) as api:
            for task_id, attempt in under_way.items():
                told = [ended for ended, _ in ends(await api.events(task_id, types="STATUS"))]
                assert told.count(attempt) == 1, f"task {task_id}: attempt {attempt} of {told} was interrupted"
        self._up.set()
        self._true = asyncio.create_task(self._be_true())

    async def _start_in_vain(self) -> None:
        """Start a server, and kill it before it serves, mostly."""
        self.kills["starting server"] += 1
        server = Server(self._data, **SETTINGS)
        starting = asyncio.create_task(asyncio.to_thread(server.__enter__))
        await until(lambda: hasattr(server, "process"))
        await asyncio.sleep(self._chance.uniform(0, STARTING))
        server.process.kill()
        await asyncio.gather(starting, return_exceptions=True)
        server.kill()
        await self._bury()

    async def _end(self, kill: Kill) -> None:
        """End the server."""
        assert self._true is not None
        if self._true.done():
            self._true.result()
        self._true.cancel()
        self._up.clear()
        assert self._server.process.poll() is None, "the server has ended by itself"
        was_full = self._full  # and the ends of its attempts may have found no room
        kill.strike(self._server, self._chance)
        assert await until(self._server.process.poll, lambda code: code is not None) == kill.code
        self._servers.close()
        await self._bury()
        if kill.code == 0 and not was_full:
            assert not (left := check_ended(self.database)), "\n".join(map(str, left))

    async def _bury(self) -> None:
        """No process of a server that has ended is left, and its database keeps every promise."""
        deadline = time.monotonic() + GONE
        while left := belonging(self._data):
            assert time.monotonic() < deadline, f"{left} are left: {[process.cmdline() for process in left]}"
            await asyncio.sleep(0.01)
        if self.database.exists():  # it may not have come to make one
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.chaos.checker", self.database, stdout=asyncio.subprocess.PIPE
            )
            said, _ = await process.communicate()
            assert process.returncode == 0, said.decode()

    async def _be_true(self) -> None:
        """Wait until every task that is said to be at work has a process, as it must come to be after a start."""
        async with client(self._server) as api:
            await until(lambda: _without_process(api), lambda found: not found)

    def _leftovers(self) -> set[str]:
        """The folders of tasks that were deleted, or never made."""
        with snapshot(self.database) as connection:
            known = {row.id for row in tasks(connection)}
        return {folder.name for folder in (self._data / "tasks").iterdir()} - known

    def _under_way(self) -> dict[str, int]:
        """The attempts that have not ended, by task."""
        if not self.database.exists():
            return {}
        with snapshot(self.database) as connection:
            return {row.id: row.attempt for row in tasks(connection) if row.status in IN_ATTEMPT}


async def _without_process(api: Api) -> list[str]:
    """The tasks that are said to be at work, and are not."""
    response = await api.http.get("/api/tasks", params={"status": ",".join(sorted(IN_ATTEMPT))})
    found = []
    for row in response.json()["tasks"]:
        task = (await api.http.get(f"/api/tasks/{row['id']}")).json()
        if task.get("status") in IN_ATTEMPT and not await asyncio.to_thread(working_in, Path(task["workspace"])):
            found.append(f"{task['id']}, {task['status']}")
    return found

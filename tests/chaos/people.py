"""What people do to tasks at random, and that they got what they were told they had."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from hashlib import sha256
from pathlib import Path

import httpx

from tests.chaos.database import ACTIVE, TERMINAL, log, snapshot, tasks
from tests.chaos.followers import Follower
from tests.chaos.processes import working_in
from tests.support import Api, Json, until

ACTIVE_LIMIT = 6  # active tasks, above which nobody makes a further one
LISTED = "20"  # tasks that people see
FOLLOWERS = 12  # at the same time

IDEAS = ("hangman", "snake", "a 2048 game", "a todo list", "convert units", "count the words of a text")
WORDS = ("Make it blue.", "Shorter, please. 😀", "<b>bold</b>", "x" * 5000, "\x00,{}[]\n")
ANSWERS = ("approve", "approve", "approve", "approve", "revise", "stop", *WORDS)
REVIEWS = ((), (), ("ProductManager",), ("Architect", "Engineer"))
ROLES = ("ProductManager", "Architect", "ProjectManager", "Engineer", None)
TESTS_SHARE = 0.1  # of tasks whose tests are run, which takes longer
READS = ("", "/state", "/artifacts", "/artifacts.zip", "/digest", "/events?before=1000&limit=10")

# How often they do what.
ACTS = {"create": 8, "run": 6, "stop": 4, "answer": 14, "say": 4, "delete": 2, "read": 4, "follow": 4, "cut": 6}


class People:
    """Several people who know of the same tasks. The death of the server may cut off anything that they do.

    where: gives the server's URL, once there is one. Followers belong to `group`, and end with it.
    """

    def __init__(self, where: Callable[[], Awaitable[str]], group: asyncio.TaskGroup) -> None:
        self.acts: Counter[str] = Counter()
        """How often what was done, and not refused."""
        self._where = where
        self._group = group
        self._created: set[str] = set()
        self._unsure: dict[str, Json] = {}  # by idempotency key, what may have been created or not
        self._deleted: set[str] = set()  # what may be: the server may have died before it said so
        self._answered: set[tuple[str, str]] = set()
        self._followers: list[Follower] = []
        self._following: dict[Follower, asyncio.Task[None]] = {}

    async def act(self, api: Api, chance: random.Random) -> None:
        """Do something."""
        (act,) = chance.choices(tuple(ACTS), tuple(ACTS.values()))
        if await getattr(self, f"_{act}")(api, chance):
            self.acts[act] += 1

    async def come_to_rest(self, api: Api, chance: random.Random) -> None:
        """Stop some tasks, and help the others to their end; let the followers see it, and end them."""
        for task in await _list(api, ACTIVE):
            if chance.random() < 0.5:
                await api.stop(task["id"])
        while active := await _list(api, ACTIVE):
            for task in active:
                if task["waiting"] is not None:
                    await self._answer_one(api, task, "approve")
            await asyncio.sleep(0.05)
        for follower in tuple(self._following):
            await until(partial(_behind, api, follower), lambda events: events <= 0)
            self._dismiss(follower)

    def prove(self, database: Path) -> None:
        """Raise unless the database holds everything that anybody was shown, or was told that it was done."""
        with snapshot(database) as connection:
            rows = tasks(connection)
            logs = {row.id: log(connection, row.seq) for row in rows}
        titles = [row.title for row in rows]
        assert len(titles) == len(set(titles)), "an idempotency key has made two tasks"
        assert self._created - self._deleted <= logs.keys()
        for task_id, request_id in self._answered:
            responses = [e.payload["request_id"] for e in logs.get(task_id, ()) if e.type == "INPUT_RESPONSE"]
            assert request_id in responses or task_id in self._deleted
        for task_id, events in logs.items():
            for artifact in (event.payload for event in events if event.type == "ARTIFACT"):
                blob = database.parent / "tasks" / task_id / "blobs" / artifact["sha256"]
                assert sha256(blob.read_bytes()).hexdigest() == artifact["sha256"], f"{task_id}: {artifact['path']}"
        for follower in self._followers:
            if follower.deleted:
                assert follower.task_id in self._deleted
            if follower.task_id in logs:
                held = [event.encoded for event in logs[follower.task_id][: follower.cursor]]
                assert follower.shown == held, f"a follower of task {follower.task_id} was shown something else"

    # Each act says whether it did something.

    async def _create(self, api: Api, chance: random.Random) -> bool:
        """Make a task and run it, mostly; or repeat a request that was cut off, with the same key."""
        if self._unsure:
            key, body = next(iter(self._unsure.items()))
        elif len(await _list(api, ACTIVE)) >= ACTIVE_LIMIT:
            return False
        else:
            key = f"{chance.getrandbits(64):x}"
            body = self._unsure[key] = _new_task(key, chance)
        response = await api.http.post("/api/tasks", json=body, headers={"Idempotency-Key": key})
        task_id = _expect(response, 201)["id"]
        self._unsure.pop(key, None)
        self._created.add(task_id)
        if chance.random() < 0.9:
            _expect(await api.http.post(f"/api/tasks/{task_id}/run"), 202, 404, 409)
        return True

    async def _run(self, api: Api, chance: random.Random) -> bool:
        task = await _any(api, chance, {"PENDING", "FAILED", "CANCELLED"})
        if task is None:
            return False
        return bool(_expect(await api.http.post(f"/api/tasks/{task['id']}/run"), 202, 404, 409))

    async def _stop(self, api: Api, chance: random.Random) -> bool:
        """Stop a task; unless somebody runs it again, there is nothing left of its run."""
        task = await _any(api, chance, ACTIVE if chance.random() < 0.9 else None)
        if task is None:
            return False
        path = f"/api/tasks/{task['id']}"
        stopped = _expect(await api.http.post(f"{path}/stop"), 200, 404)
        assert stopped.get("status", "PENDING") in TERMINAL | {"PENDING"}, stopped
        before = _expect(await api.http.get(path), 200, 404)
        left = before.get("workspace") and await asyncio.to_thread(working_in, Path(before["workspace"]))
        after = _expect(await api.http.get(path), 200, 404)
        if after.get("status") in TERMINAL and after["head"] == before["head"]:
            assert not left, f"{left} are left of task {task['id']}"
        return bool(stopped)

    async def _answer(self, api: Api, chance: random.Random) -> bool:
        task = await _any(api, chance, {"WAITING"})
        return task is not None and await self._answer_one(api, task, chance.choice(ANSWERS))

    async def _answer_one(self, api: Api, task: Json, answer: str) -> bool:
        """Answer twice at the same time: one answer counts at most."""
        path, request_id = f"/api/tasks/{task['id']}/input", task["waiting"]["request_id"]
        body = {"request_id": request_id, "answer": answer}
        responses = await asyncio.gather(*(api.http.post(path, json=body) for _ in range(2)))
        accepted = [response for response in responses if _expect(response, 200, 404, 409)]
        assert len(accepted) <= 1
        if accepted:
            self._answered.add((task["id"], request_id))
        return bool(accepted)

    async def _say(self, api: Api, chance: random.Random) -> bool:
        task = await _any(api, chance, {"RUNNING", "WAITING"})
        if task is None:
            return False
        body = {"content": chance.choice(WORDS), "send_to": chance.choice(ROLES)}
        return bool(_expect(await api.http.post(f"/api/tasks/{task['id']}/messages", json=body), 202, 404, 409))

    async def _delete(self, api: Api, chance: random.Random) -> bool:
        task = await _any(api, chance)
        if task is None:
            return False
        self._deleted.add(task["id"])
        response = await api.http.delete(f"/api/tasks/{task['id']}")
        _expect(response, 204, 404, 409)
        return response.status_code == 204

    async def _read(self, api: Api, chance: random.Random) -> bool:
        task = await _any(api, chance)
        if task is not None:
            _expect(await api.http.get(f"/api/tasks/{task['id']}{chance.choice(READS)}"), 200, 404)
        return task is not None

    async def _follow(self, api: Api, chance: random.Random) -> bool:
        """Have one more follow a task; the one who has done so the longest leaves."""
        task = await _any(api, chance)
        if task is None:
            return False
        if len(self._following) >= FOLLOWERS:
            self._dismiss(next(iter(self._following)))
        follower = Follower(task["id"], random.Random(chance.random()), self._where)
        self._followers.append(follower)
        self._following[follower] = self._group.create_task(follower.follow())
        return True

    async def _cut(self, _: Api, chance: random.Random) -> bool:
        return bool(self._following) and chance.choice(tuple(self._following)).cut()

    def _dismiss(self, follower: Follower) -> None:
        self._following.pop(follower).cancel()


async def _behind(api: Api, follower: Follower) -> int:
    """How many events a follower has not been shown yet."""
    state = _expect(await api.http.get(f"/api/tasks/{follower.task_id}/state"), 200, 404)
    return int(state.get("head", 0)) - follower.cursor if not follower.deleted else 0


def _new_task(title: str, chance: random.Random) -> Json:
    options = {
        "review": chance.choice(REVIEWS),
        "code_review": chance.random() < 0.3,
        "run_tests": chance.random() < TESTS_SHARE,
    }
    idea, priority = chance.choice(IDEAS), chance.randint(-5, 5)
    return {"title": title, "input_prompt": idea, "priority": priority, "options": options}


async def _list(api: Api, statuses: frozenset[str] | set[str] | None = None) -> list[Json]:
    """The newest tasks, of some statuses if named."""
    query = {"limit": LISTED} if statuses is None else {"limit": LISTED, "status": ",".join(sorted(statuses))}
    found: list[Json] = _expect(await api.http.get("/api/tasks", params=query), 200)["tasks"]
    return found


async def _any(api: Api, chance: random.Random, statuses: frozenset[str] | set[str] | None = None) -> Json | None:
    """One of the newest tasks, of some statuses if named."""
    found = await _list(api, statuses)
    return chance.choice(found) if found else None


def _expect(response: httpx.Response, accepted: int, *refused: int) -> Json:
    """The object that was answered, if the status is one of these; empty if it was refused, or has no object."""
    status = response.status_code
    assert status in (accepted, *refused), f"{response.request.url}: {status} {response.text[:1000]}"
    if status != accepted or response.headers.get("content-type") != "application/json":
        return {}
    answer: Json = response.json()
    return answer

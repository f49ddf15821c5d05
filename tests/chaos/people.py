"""What people do to tasks at random, and that they got what they were told they had."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import httpx

from tests.chaos.database import ACTIVE, TERMINAL, Event, log, snapshot, tasks
from tests.chaos.followers import Follower
from tests.chaos.processes import working_in
from tests.support import Api, Json, until

ACTIVE_LIMIT = 6  # active tasks, above which nobody makes a further one
LISTED = "20"  # tasks that people see
FOLLOWERS = 12  # at the same time

IDEAS = ("hangman", "snake", "a 2048 game", "a todo list", "convert units", "count the words of a text")
KEY = "sk-chaos-0123456789abcdef"  # a secret, of the server and of thoughtless people
WORDS = ("Make it blue.", "Shorter, please. 😀", "<b>bold</b>", "x" * 5000, "\x00,{}[]\n", f"My key is {KEY}.")
ANSWERS = ("approve", "approve", "approve", "approve", "revise", "stop", *WORDS)
ANSWERS_ABOUT_MONEY = ("raise", "raise", "raise", "5000", "1000000", "12", "stop", *WORDS)
BUDGETS = (None, None, 500, 3000)  # tokens
DRAINED = 0.5  # seconds, on average
CONTINUED_SHARE = 0.3  # of new tasks, where there is one to continue
BEGUN_ANEW_SHARE = 0.2  # of runs
REVIEWS = ((), (), ("ProductManager",), ("Architect", "Engineer"))
ROLES = ("ProductManager", "Architect", "ProjectManager", "Engineer", None)
TESTS_SHARE = 0.1  # of tasks whose tests are run, which takes longer
READS = (
    "",
    "/state",
    "/timeline",
    "/metrics",
    "/artifacts",
    "/artifacts.zip",
    "/digest",
    "/events?before=1000&limit=10",
)

# How often they do what.
ACTS = {
    "create": 8,
    "repeat": 3,
    "run": 6,
    "stop": 4,
    "answer": 14,
    "say": 4,
    "delete": 3,
    "drain": 2,
    "read": 4,
    "compare": 4,
    "follow": 4,
    "cut": 6,
}


class People:
    """Several people who know of the same tasks. The death of the server may cut off anything that they do.

    where: gives the server's URL, once there is one. Followers belong to `group`, and end with it.
    """

    def __init__(self, where: Callable[[], Awaitable[str]], group: asyncio.TaskGroup) -> None:
        self.acts: Counter[str] = Counter()
        """How often what was done, and not refused."""
        self._where = where
        self._group = group
        self._created: dict[str, str] = {}  # the idempotency keys, by task
        self._bodies: dict[str, Json] = {}  # of the requests, by their key
        self._outcomes: dict[tuple[str, int], tuple[bytes, ...]] = {}  # of tasks that have ended, by id and head
        self._unsure: dict[str, Json] = {}  # by idempotency key, what may have been created or not
        self._deleted: set[str] = set()  # what may be: the server may have died before it said so
        self._answered: set[tuple[str, str]] = set()
        self._stopped: set[tuple[str, int]] = set()  # tasks that were stopped, in this attempt or a later one
        self._followers: list[Follower] = []
        self._following: dict[Follower, asyncio.Task[None]] = {}

    async def act(self, api: Api, chance: random.Random) -> None:
        """Do something."""
        (act,) = chance.choices(tuple(ACTS), tuple(ACTS.values()))
        if await getattr(self, f"_{act}")(api, chance):
            self.acts[act] += 1

    async def come_to_rest(self, api: Api, chance: random.Random) -> None:
        """Stop some tasks, and help the others to their end; let the followers see it, and end them.

        Each then holds what the server does, by its digest, or knows that the task is deleted.
        """
        _expect(await api.http.post("/api/admin/drain", json={"drain": False}), 200)
        for task in await _list(api, ACTIVE):
            if chance.random() < 0.5:
                await api.stop(task["id"])
        while active := await _list(api, ACTIVE):
            for task in active:
                if task["waiting"] is not None:
                    await self._answer_one(api, task, "1000000" if _is_about_money(task) else "approve")
            await asyncio.sleep(0.05)
        for follower in tuple(self._following):
            await until(partial(_is_level, api, follower))
            self._dismiss(follower)
        await self.compare_all(api)

    async def compare_all(self, api: Api) -> None:
        """Raise unless each task that has ended is what it was when somebody looked last, byte for byte."""
        for task in await _list(api, TERMINAL):
            await self._compare_one(api, task["id"])

    def prove(self, database: Path) -> None:
        """Raise unless the database holds everything that anybody was shown, or was told that it was done."""
        with snapshot(database) as connection:
            rows = tasks(connection)
            logs = {row.id: log(connection, row.seq) for row in rows}
        titles = [row.title for row in rows]
        assert len(titles) == len(set(titles)), "an idempotency key has made two tasks"
        assert self._created.keys() - self._deleted <= logs.keys()
        for task_id, request_id in self._answered:
            responses = [e.payload["request_id"] for e in logs.get(task_id, ()) if e.type == "INPUT_RESPONSE"]
            assert request_id in responses or task_id in self._deleted
        for task_id, attempt in self._stopped:
            stopped = {at for at, status in _ends(logs.get(task_id, ())) if status == "CANCELLED"}
            assert task_id in self._deleted or any(at >= attempt for at in stopped), f"{task_id} was not stopped"
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
            source = await _any(api, chance, {"SUCCEEDED"}) if chance.random() < CONTINUED_SHARE else None
            body = self._unsure[key] = _new_task(key, chance, source)
        task_id = await self._ask_for(api, key, body)
        self._unsure.pop(key, None)
        if task_id is None:
            return False
        if chance.random() < 0.9:
            _expect(await api.http.post(f"/api/tasks/{task_id}/run"), 202, 404, 409)
        return True

    async def _ask_for(self, api: Api, key: str, body: Json) -> str | None:
        """A new task, or the one that the key has made already; None if what it continues was deleted meanwhile."""
        response = await api.http.post("/api/tasks", json=body, headers={"Idempotency-Key": key})
        made = _expect(response, 201, *((404, 409) if "continues" in body else ()))
        if not made:
            return None
        self._bodies[key] = body
        self._created[made["id"]] = key
        return str(made["id"])

    async def _repeat(self, api: Api, chance: random.Random) -> bool:
        """Send the request that has made a task once more, twice at the same time: it is the same task."""
        there = [task_id for task_id in self._created if task_id not in self._deleted]
        if not there:
            return False
        task_id = chance.choice(there)
        key = self._created[task_id]
        found = await asyncio.gather(*(self._ask_for(api, key, self._bodies[key]) for _ in range(2)))
        assert set(found) == {task_id} or task_id in self._deleted, f"the key of {task_id} has made {found}"
        return True

    async def _drain(self, api: Api, chance: random.Random) -> bool:
        """Drain the server for a moment."""
        _expect(await api.http.post("/api/admin/drain", json={"drain": True}), 200)
        await asyncio.sleep(chance.expovariate(1 / DRAINED))
        _expect(await api.http.post("/api/admin/drain", json={"drain": False}), 200)
        return True

    async def _compare(self, api: Api, chance: random.Random) -> bool:
        task = await _any(api, chance, TERMINAL)
        return task is not None and await self._compare_one(api, task["id"])

    async def _compare_one(self, api: Api, task_id: str) -> bool:
        """Look at what came of a task, which does not change any more; also when the server is another one."""
        responses = [await api.http.get(f"/api/tasks/{task_id}{path}") for path in ("", "/state", "/digest")]
        bodies = [_expect(response, 200, 404) for response in responses]
        if not all(bodies) or {bodies[0]["status"], bodies[1]["status"]} - TERMINAL:
            return False
        if len({bodies[0]["head"], bodies[1]["head"], bodies[2]["count"]}) > 1:
            return False  # somebody ran it meanwhile
        seen = tuple(response.content for response in responses)
        assert self._outcomes.setdefault((task_id, bodies[0]["head"]), seen) == seen, f"{task_id} has become another"
        return True

    async def _run(self, api: Api, chance: random.Random) -> bool:
        task = await _any(api, chance, {"PENDING", "FAILED", "CANCELLED"})
        if task is None:
            return False
        body = {"from": "start"} if chance.random() < BEGUN_ANEW_SHARE else {}
        return bool(_expect(await api.http.post(f"/api/tasks/{task['id']}/run", json=body), 202, 404, 409))

    async def _stop(self, api: Api, chance: random.Random) -> bool:
        """Stop a task; unless somebody runs it again, there is nothing left of its run."""
        task = await _any(api, chance, ACTIVE if chance.random() < 0.9 else None)
        if task is None:
            return False
        path = f"/api/tasks/{task['id']}"
        stopped = _expect(await api.http.post(f"{path}/stop"), 200, 404, 409)  # the server ends, and leaves it queued
        assert stopped.get("status", "PENDING") in TERMINAL | {"PENDING"}, stopped
        if task["status"] in ACTIVE and stopped.get("status") == "CANCELLED":
            self._stopped.add((task["id"], task["attempt"]))
        before = _expect(await api.http.get(path), 200, 404)
        left = before.get("workspace") and await asyncio.to_thread(working_in, Path(before["workspace"]))
        after = _expect(await api.http.get(path), 200, 404)
        if after.get("status") in TERMINAL and after["head"] == before["head"]:
            assert not left, f"{left} are left of task {task['id']}"
        return bool(stopped)

    async def _answer(self, api: Api, chance: random.Random) -> bool:
        task = await _any(api, chance, {"WAITING"})
        if task is None or task["waiting"] is None:  # it was answered just then
            return False
        answers = ANSWERS_ABOUT_MONEY if _is_about_money(task) else ANSWERS
        return await self._answer_one(api, task, chance.choice(answers))

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
        task = await _any(api, chance, TERMINAL if chance.random() < 0.8 else None)
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


def _ends(events: Sequence[Event]) -> list[tuple[int, str]]:
    """The terminal statuses, with their attempts."""
    told = [event.payload for event in events if event.type == "STATUS"]
    return [(payload["attempt"], payload["status"]) for payload in told if payload["status"] in TERMINAL]


async def _is_level(api: Api, follower: Follower) -> bool:
    """Whether a follower has been shown what there is: all events, or that the task is deleted."""
    digest = _expect(await api.http.get(f"/api/tasks/{follower.task_id}/digest"), 200, 404)
    if not digest:
        return follower.deleted
    level: bool = digest["count"] == follower.cursor
    assert not level or digest["sha256"] == follower.digest, f"a follower of task {follower.task_id} holds another log"
    return level


def _is_about_money(task: Json) -> bool:
    return "raise" in task["waiting"]["choices"]


def _new_task(title: str, chance: random.Random, source: Json | None) -> Json:
    options = {
        "review": chance.choice(REVIEWS),
        "code_review": chance.random() < 0.3,
        "run_tests": chance.random() < TESTS_SHARE,
        "budget_tokens": chance.choice(BUDGETS),
    }
    idea, priority = chance.choice(IDEAS), chance.randint(-5, 5)
    task = {"title": title, "input_prompt": idea, "priority": priority, "options": options}
    return task if source is None else task | {"continues": source["id"]}


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
    if status == 503 and response.json()["code"] == "storage_unavailable":  # while the disk is full
        return {}
    assert status in (accepted, *refused), f"{response.request.url}: {status} {response.text[:1000]}"
    if status != accepted or response.headers.get("content-type") != "application/json":
        return {}
    answer: Json = response.json()
    return answer

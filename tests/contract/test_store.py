"""What every Store keeps to. To have another one tested, add how it is opened to `OPENERS`."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from runner.attempt import Options
from runner.base import Digest, Filter, Findings, Gap, Page, Placed, Store
from runner.errors import CursorAhead, KeyReused, TaskExists, TaskNotFound
from runner.events import EventType, now
from runner.states import Status
from runner.store import SqliteStore
from runner.task import Question
from runner.usage import Raised, Tally, Usage
from tests.logs import ids, make_commit, make_task, messages

Opener = Callable[[Path], Awaitable[Store]]
OPENERS: list[Opener] = [lambda folder: SqliteStore.open(folder / "tasks.db")]
EVERYTHING = Filter()
NOTHING_BEFORE = Digest(0, bytes(32).hex())


@pytest.fixture(params=OPENERS, ids=["sqlite"])
def opener(request: pytest.FixtureRequest) -> Opener:
    opener: Opener = request.param
    return opener


@pytest_asyncio.fixture
async def store(opener: Opener, tmp_path: Path) -> AsyncIterator[Store]:
    store = await opener(tmp_path)
    yield store
    await store.aclose()


async def _read(
    store: Store, after: int = 0, limit: int = 1000, size: int = 10**9, filter: Filter = EVERYTHING
) -> Page:
    return await store.read_events("task", after=after, limit=limit, size=size, filter=filter)


async def _list(
    store: Store, query: str = "", limit: int = 100, cursor: int | None = None, *statuses: Status
) -> list[str]:
    page = await store.list_tasks(statuses=frozenset(statuses), query=query, limit=limit, cursor=cursor)
    return [task.id for task in page.tasks]


async def test_events_come_back_as_they_went_in(store: Store) -> None:
    """What is read are the very bytes that were committed, in order, with the head."""
    task = await store.create_task(make_task(), key=None, fingerprint="")
    commit = make_commit(task, ["one", "two", "three"])
    assert await store.append([commit]) == [True]
    page = await _read(store)
    assert list(page.events) == [event.encoded for event in commit.events]
    assert (page.cursor, page.head) == (3, 3)


async def test_the_log_goes_on(store: Store) -> None:
    """Appends of one task, also of later attempts, give one log 1, 2, 3, ..."""
    task = await store.create_task(make_task(), key=None, fingerprint="")
    for attempt in range(1, 6):
        commit = make_commit(task, ["a", "b"], attempt=attempt)
        assert await store.append([commit]) == [True]
        task = commit.task
    assert ids((await _read(store)).events) == list(range(1, 11))


async def test_counts(store: Store) -> None:
    """Tasks are counted by the status that they have now, and every status is counted."""
    made = [await store.create_task(make_task(name), key=None, fingerprint="") for name in ("a", "b", "task")]
    await store.append([make_commit(made[0], ["x"], status=Status.RUNNING)])
    await store.delete_task("b")
    assert await store.count_tasks() == dict.fromkeys(Status, 0) | {Status.RUNNING: 1, Status.PENDING: 1}


async def test_an_older_attempt_is_refused(store: Store) -> None:
    """Fencing: what an attempt writes after a later one has begun changes nothing."""
    task = await store.create_task(make_task(), key=None, fingerprint="")
    second = make_commit(task, ["second"], attempt=2)
    await store.append([second])
    before = await store.get_task("task")
    stale = make_commit(msgspec.structs.replace(second.task, attempt=1), ["stale"], status=Status.FAILED)
    assert await store.append([stale]) == [False]
    assert await store.get_task("task") == before
    assert messages((await _read(store)).events) == ["second"]


@pytest.mark.parametrize("head", [0, 1, 3, 9])
async def test_a_wrong_head_is_refused(store: Store, head: int) -> None:
    """An append that does not follow on the head, behind it or ahead of it, changes nothing."""
    task = await store.create_task(make_task(), key=None, fingerprint="")
    commit = make_commit(task, ["one", "two"])
    await store.append([commit])
    wrong = make_commit(msgspec.structs.replace(commit.task, head=head), ["wrong"], title="wrong")
    assert await store.append([wrong]) == [False]
    assert messages((await _read(store)).events) == ["one", "two"]
    assert await store.get_task("task") == commit.task


async def test_appends_that_follow_on_each_other(store: Store) -> None:
    """Of one task there may be several in a batch, each of which follows on the one before or is refused."""
    task = await store.create_task(make_task(), key=None, fingerprint="")
    one = make_commit(task, ["one"])
    assert await store.append([one, make_commit(task, ["wrong"]), make_commit(one.task, ["two"])]) == [
        True,
        False,
        True,
    ]
    assert messages((await _read(store)).events) == ["one", "two"]
    assert (await store.digest("task", 2)).count == 2


async def test_a_refusal_harms_nobody_else(store: Store) -> None:
    """The other appends of the same batch are taken."""
    one, two, three = [await store.create_task(make_task(name), key=None, fingerprint="") for name in "abc"]
    batch = [
        make_commit(one, ["x"]),
        make_commit(msgspec.structs.replace(two, head=7), ["x"]),
        make_commit(make_task("nobody"), ["x"]),
        make_commit(three, ["x"]),
    ]
    assert await store.append(batch) == [True, False, False, True]
    assert [(await store.get_task(name)).head for name in "abc"] == [1, 0, 1]


async def test_a_log_after_a_refusal(store: Store) -> None:
    """A refused append leaves no trace in what comes after it."""
    task = await store.create_task(make_task(), key=None, fingerprint="")
    await store.append([make_commit(msgspec.structs.replace(task, head=5), ["wrong"])])
    assert await store.append([make_commit(task, ["right"])]) == [True]
    assert messages((await _read(store)).events) == ["right"]


async def test_an_append_of_nothing(store: Store) -> None:
    """A batch may be empty."""
    assert await store.append([]) == []


async def test_a_task_comes_back_whole(store: Store) -> None:
    """Every field of a task survives, at its making and after an append."""
    task = make_task(
        title="t",
        input_prompt="p\x00\n😀\u202e",
        priority=-5,
        options=Options(n_round=3, review=["Engineer"], budget_usd=None, timeout_s=0.5),
    )
    await store.create_task(task, key=None, fingerprint="")
    assert await store.get_task("task") == task
    changed = make_commit(
        task,
        ["x"],
        status=Status.WAITING,
        attempt=3,
        queued_at=now(),
        started_at=now(),
        completed_at=now(),
        progress=0.25,
        current_agent="Engineer",
        last_message="é\x00",
        reason="r",
        model="m",
        demo=True,
        usage=Usage(
            llm_calls=1, prompt_tokens=2, completion_tokens=3, cost_usd=0.1, by_role={"Engineer": Tally(llm_calls=1)}
        ),
        raised=Raised(budget_usd=1.5, budget_tokens=10**9),
        waiting=Question(request_id="q", question="?", choices=["a"]),
        workspace="/w",
        final_result={"artifacts": [{"path": "ü"}], "n": None},
    )
    await store.append([changed])
    assert await store.get_task("task") == changed.task


async def test_pages_by_limit(store: Store) -> None:
    """A page has at most `limit` events; its cursor leads on until the head."""
    task = await store.create_task(make_task(), key=None, fingerprint="")
    await store.append([make_commit(task, [str(n) for n in range(1, 11)])])
    cursor, seen = 0, []
    while cursor < 10:
        page = await _read(store, cursor, limit=4)
        assert 0 < len(page.events) <= 4 and page.head == 10
        seen += ids(page.events)
        cursor = page.cursor
    assert seen == list(range(1, 11))


async def test_pages_by_size(store: Store) -> None:
    """A page is about `size` bytes, and never empty while there is more, however large the next event is."""
    task = await store.create_task(make_task(), key=None, fingerprint="")
    await store.append([make_commit(task, ["x" * 10_000 for _ in range(20)])])
    page = await _read(store, size=45_000)
    assert 4 <= len(page.events) <= 6
    assert page.cursor == len(page.events)
    assert ids((await _read(store, 7, size=1)).events) == [8]


async def test_a_page_that_is_begun_takes_nothing_too_large(store: Store) -> None:
    """Only the first event of a page may be larger than its size, also where the limit cuts a batch."""
    task = await store.create_task(make_task(), key=None, fingerprint="")
    small = make_commit(task, ["a"])
    await store.append([small])
    await store.append([make_commit(small.task, ["x" * 30_000, "y", "z"])])
    assert ids((await _read(store, limit=2, size=1000)).events) == [1]
    assert ids((await _read(store, 1, limit=2, size=1000)).events) == [2]


async def test_a_filter_moves_the_cursor(store: Store) -> None:
    """The cursor passes what was filtered out, up to the head, and no further than what was looked at."""
    task = await store.create_task(make_task(), key=None, fingerprint="")
    for event_type, role in [
        (EventType.LOG, None),
        (EventType.TOKEN, "Engineer"),
        (EventType.LOG, "Engineer"),
        (EventType.TOKEN, "Architect"),
    ] * 3:
        commit = make_commit(task, ["x"], event_type=event_type, agent_role=role)
        await store.append([commit])
        task = commit.task
    tokens = Filter(frozenset({EventType.TOKEN}))
    page = await _read(store, filter=tokens, limit=2)
    assert (ids(page.events), page.cursor, page.head) == ([2, 4], 4, 12)
    page = await _read(store, 4, filter=tokens)
    assert (ids(page.events), page.cursor) == ([6, 8, 10, 12], 12)
    page = await _read(store, filter=Filter(frozenset({EventType.TOKEN, EventType.LOG}), "Engineer"), limit=3)
    assert ids(page.events) == [2, 3, 6]
    page = await _read(store, 3, filter=Filter(frozenset({EventType.RESULT})))
    assert (page.events, page.cursor, page.head) == ([], 12, 12)
    assert ids((await _read(store, filter=Filter(agent_role="Architect"))).events) == [4, 8, 12]


async def test_a_cursor_at_the_head(store: Store) -> None:
    """At the head there is nothing more; one further is another log's cursor."""
    task = await store.create_task(make_task(), key=None, fingerprint="")
    await store.append([make_commit(task, ["x"])])
    page = await _read(store, 1)
    assert (page.events, page.cursor, page.head) == ([], 1, 1)
    for ahead in (2, 2**53, 2**70):
        with pytest.raises(CursorAhead):
            await _read(store, ahead)


async def test_what_does_not_exist(store: Store) -> None:
    """Whatever is asked of a task that does not exist: TaskNotFound."""
    for ask in (store.get_task("task"), store.delete_task("task"), _read(store)):
        with pytest.raises(TaskNotFound):
            await ask


async def _search(store: Store, query: str, limit: int = 10, before: int | None = None) -> list[int]:
    findings = await store.search_events("task", query=query, limit=limit, before=before)
    return [finding.event_id for finding in findings.found]


FOUND = {
    "quick": ["A ", "quick", " brown fox"],
    "QUI fo": ["A ", "quick", " brown ", "fox", ""],
    '"quick brown"': ["A ", "quick brown", " fox"],
    "'naive": ["It's ", "naïve", ", <b>&amp;"],
    "贪吃": ["写一个", "贪吃", "蛇游戏"],
    "main.py": ["wrote src/", "main.py", ""],
}
NOT_FOUND = ["", " ", "***", '"', '""', "a OR", "NOT", "NEAR(", "text:x", "x*", "-", "'", "\x00", "{x", "^", "😀" * 200]


async def test_what_a_search_finds(store: Store) -> None:
    """All words are found by how they begin, whatever their case and accents, a phrase as it stands, and parts of text
    without spaces; the snippet has the text as it is, with what matched apart."""
    texts = ["A quick brown fox", "It's naïve, <b>&amp;", "写一个贪吃蛇游戏", "wrote src/main.py"]
    await store.append([make_commit(await store.create_task(make_task(), key=None, fingerprint=""), texts)])
    for query, snippet in FOUND.items():
        (found,) = (await store.search_events("task", query=query, limit=10, before=None)).found
        assert found.snippet == snippet
        assert "".join(found.snippet) == texts[found.event_id - 1]


async def test_a_search_in_documents(store: Store) -> None:
    """Of the JSON that roles hand on, what people read is found and shown, without what JSON writes around it; what
    only looks like it is a text like any other."""
    inner = json.dumps({"Goals": ['Say "hello"', "Grow\nRevision: shrink"], "Unclear": None, "Small": True})
    texts = [json.dumps({"docs": {"a.json": {"content": inner}}}), '{"Revision of what was cut']
    await store.append([make_commit(await store.create_task(make_task(), key=None, fingerprint=""), texts)])
    findings = await store.search_events("task", query="revision", limit=10, before=None)
    assert ["".join(finding.snippet) for finding in findings.found] == [
        '{"Revision of what was cut',
        'docs:\na.json:\ncontent:\nGoals:\nSay "hello"\nGrow\nRevision: shrink\nSmall: true',
    ]


async def test_no_query_is_bad(store: Store) -> None:
    """Whatever a person types is looked for, and never query syntax."""
    await store.append([make_commit(await store.create_task(make_task(), key=None, fingerprint=""), ["zzz"])])
    for query in NOT_FOUND:
        assert await _search(store, query) == []
        await _list(store, query)


async def test_a_search_is_current(store: Store) -> None:
    """A search finds what was committed before it, newest first and page by page, but no tokens, nor other tasks'."""
    other = await store.create_task(make_task("other"), key=None, fingerprint="")
    task = await store.create_task(make_task(), key=None, fingerprint="")
    for _ in range(2):
        commit = make_commit(task, ["needle"] * 300)
        tokens = make_commit(commit.task, ["needle"] * 300, event_type=EventType.TOKEN)
        await store.append([commit, make_commit(other, ["needle"])])
        await store.append([tokens])
        task, other = tokens.task, await store.get_task("other")
        assert (await _search(store, "needle", limit=1)) == [task.head - 300]
    first = await store.search_events("task", query="needle", limit=400, before=None)
    assert _found(first) == [*range(900, 600, -1), *range(300, 200, -1)] and first.more and first.through == 1200
    rest = await store.search_events("task", query="needle", limit=400, before=201)
    assert _found(rest) == list(range(200, 0, -1)) and not rest.more


async def test_searches_at_the_same_time(store: Store) -> None:
    """Searches that find a log not indexed yet index it together, each event once."""
    task = await store.create_task(make_task(), key=None, fingerprint="")
    await store.append([make_commit(task, ["needle"] * 1000)])
    every = list(range(1000, 0, -1))
    assert await asyncio.gather(*(_search(store, "needle", 2000) for _ in range(5))) == [every] * 5


async def test_a_search_after_a_deletion(store: Store) -> None:
    """Neither a deleted task nor expired events are found, and what is deleted leaves nothing in the index."""
    kept = await store.create_task(make_task("kept"), key=None, fingerprint="")
    await store.append([make_commit(kept, ["needle"], status=Status.FAILED, completed_at="2020-01-01T00:00:00Z")])
    await store.search_events("kept", query="needle", limit=10, before=None)
    await store.expire("2021-01-01T00:00:00Z")
    kept = await store.get_task("kept")
    await store.append([make_commit(kept, ["the needle again"])])
    findings = await store.search_events("kept", query="needle", limit=10, before=None)
    assert _found(findings) == [2]
    task = await store.create_task(make_task(title="needle"), key=None, fingerprint="")
    await store.append([make_commit(task, ["needle"] * 600)])
    await _search(store, "needle")
    await store.delete_task("task")
    assert await _list(store, "needle") == []
    await store.purge()
    again = await store.create_task(make_task(), key=None, fingerprint="")
    await store.append([make_commit(again, ["straw"] * 700)])
    assert await _search(store, "needle") == []


async def test_what_is_deleted_and_not_purged(store: Store) -> None:
    """A deleted task is told of under the id that it had until it is purged, also while another has the same id."""
    for _ in range(2):
        await store.create_task(make_task(), key=None, fingerprint="")
        await store.delete_task("task")
    await store.create_task(make_task(), key=None, fingerprint="")
    assert await store.deleted() == ["task", "task"]
    await store.purge()
    assert await store.deleted() == []


async def test_a_search_for_tasks(store: Store) -> None:
    """Tasks are found by title, prompt and what came of them, with a snippet of where."""
    said = '{"Plan":"For badgers"}'
    result = {"project": "p", "artifacts": [{"path": "p/ledger.py"}], "messages": [{"content": said}]}
    for name, prompt in (("a", "count badgers"), ("b", "something"), ("c", "nothing")):
        await store.create_task(make_task(name, title=f"Task {name}", input_prompt=prompt), key=None, fingerprint="")
    ended = make_commit(await store.get_task("b"), ["x"], status=Status.SUCCEEDED, final_result=result)
    await store.append([ended])
    page = await store.list_tasks(statuses=frozenset(), query="badg", limit=1, cursor=None)
    assert [task.id for task in page.tasks] == ["b"] and page.next_cursor is not None
    assert "".join(page.snippets["b"]).endswith("Plan: For badgers") and page.snippets["b"][1] == "badgers"
    assert await _list(store, "badg", 1, page.next_cursor) == ["a"]
    assert await _list(store, "ledger", 9, None, Status.SUCCEEDED) == ["b"]
    assert await _list(store, "ledger", 9, None, Status.FAILED) == []
    everything = await store.list_tasks(statuses=frozenset(), query="", limit=9, cursor=None)
    assert everything.snippets == {} and everything.counts == await store.count_tasks()


async def test_counts_of_what_is_found(store: Store) -> None:
    """They are of all that have the words, also those of other statuses and pages; no word is in nothing."""
    for name, prompt in (("a", "count badgers"), ("b", "badgers"), ("c", "badgers, too"), ("d", "otters")):
        await store.create_task(make_task(name, title=name, input_prompt=prompt), key=None, fingerprint="")
    await store.append([make_commit(await store.get_task("b"), ["x"], status=Status.RUNNING)])
    page = await store.list_tasks(statuses=frozenset({Status.RUNNING}), query="badg", limit=1, cursor=None)
    nothing = dict.fromkeys(Status, 0)
    assert page.counts == nothing | {Status.RUNNING: 1, Status.PENDING: 2}
    assert (await store.list_tasks(statuses=frozenset(), query="?!", limit=1, cursor=None)).counts == nothing


async def test_a_key_used_again(store: Store) -> None:
    """The same key with the same fingerprint is the first task as it is now; with another one it is refused."""
    first = await store.create_task(make_task("first"), key="k", fingerprint="f")
    await store.append([make_commit(first, ["x"])])
    assert await store.create_task(make_task("second"), key="k", fingerprint="f") == await store.get_task("first")
    with pytest.raises(KeyReused):
        await store.create_task(make_task("third"), key="k", fingerprint="other")
    assert await _list(store) == ["first"]


async def test_a_key_used_at_the_same_time(store: Store) -> None:
    """Twenty simultaneous tasks with one key are one task."""
    made = await asyncio.gather(*(store.create_task(make_task(f"t{n}"), key="k", fingerprint="f") for n in range(20)))
    assert len({task.id for task in made}) == 1
    assert len(await _list(store)) == 1


async def test_a_key_of_a_deleted_task(store: Store) -> None:
    """With its task a key is forgotten."""
    await store.create_task(make_task("first"), key="k", fingerprint="f")
    await store.delete_task("first")
    assert (await store.create_task(make_task("second"), key="k", fingerprint="other")).id == "second"


async def test_deletion(store: Store) -> None:
    """A deleted task is gone with its log; a late append to it is refused; others stay."""
    task = await store.create_task(make_task(), key=None, fingerprint="")
    other = await store.create_task(make_task("other"), key=None, fingerprint="")
    commit = make_commit(task, ["x"])
    await store.append([commit, make_commit(other, ["y"])])
    await store.delete_task("task")
    with pytest.raises(TaskNotFound):
        await _read(store)
    assert await store.append([make_commit(commit.task, ["late"])]) == [False]
    assert await _list(store) == ["other"]
    page = await store.read_events("other", after=0, limit=10, size=1000, filter=EVERYTHING)
    assert messages(page.events) == ["y"]


async def test_a_task_made_anew(store: Store) -> None:
    """A task with the id of a deleted one begins with an empty log."""
    task = await store.create_task(make_task(), key=None, fingerprint="")
    await store.append([make_commit(task, ["old"])])
    await store.delete_task("task")
    await store.create_task(task, key=None, fingerprint="")
    assert await store.append([make_commit(task, ["new"])]) == [True]
    assert messages((await _read(store)).events) == ["new"]


async def _batches(*batches: Sequence[Placed], error: Exception | None = None) -> AsyncIterator[Sequence[Placed]]:
    for batch in batches:
        yield batch
    if error is not None:
        raise error


async def test_an_import(store: Store) -> None:
    """An imported task is as one whose events were appended here: the task, its log and the running hash."""
    task = await store.create_task(make_task(), key=None, fingerprint="")
    commit = make_commit(task, ["one", "two", "three"], status=Status.SUCCEEDED, completed_at=now())
    await store.append([commit])
    appended = [await store.get_task("task"), await _read(store), await store.digest("task", 3)]
    await store.delete_task("task")
    await store.import_task(commit.task, NOTHING_BEFORE, _batches(commit.events[:2], commit.events[2:]))
    assert [await store.get_task("task"), await _read(store), await store.digest("task", 3)] == appended
    assert await _list(store) == ["task"]


async def test_an_import_that_begins_late(store: Store) -> None:
    """The events that an imported log begins after are a gap, and the running hash goes on from there."""
    source = make_commit(make_task(), ["one", "two", "three"], status=Status.FAILED, completed_at=now())
    await store.import_task(source.task, NOTHING_BEFORE, _batches(source.events))
    start, end = await store.digest("task", 2), await store.digest("task", 3)
    await store.delete_task("task")
    await store.import_task(source.task, start, _batches(source.events[2:]))
    page = await _read(store)
    assert messages(page.events) == ["three"]
    assert page.gap is not None and (page.gap.first, page.gap.last) == (1, 2)
    assert await store.digest("task", 3) == end


async def test_an_import_that_fails(store: Store) -> None:
    """Of an import that fails on the way nobody sees anything, and its id is free, also before it is purged."""
    commit = make_commit(make_task(), ["one", "two"], status=Status.SUCCEEDED, completed_at=now())
    with pytest.raises(ZeroDivisionError):
        await store.import_task(commit.task, NOTHING_BEFORE, _batches(commit.events, error=ZeroDivisionError()))
    assert await _list(store) == []
    await store.import_task(commit.task, NOTHING_BEFORE, _batches(commit.events))
    with pytest.raises(TaskExists):
        await store.import_task(commit.task, NOTHING_BEFORE, _batches(commit.events))
    await store.purge()
    assert messages((await _read(store)).events) == ["one", "two"]


async def test_a_purge_amid_an_import(store: Store) -> None:
    """A task that is hidden because it is not whole yet is no rubbish."""
    commit = make_commit(make_task(), ["one", "two"], status=Status.SUCCEEDED, completed_at=now())

    async def batches() -> AsyncIterator[Sequence[Placed]]:
        yield commit.events[:1]
        await store.purge()
        assert await _list(store) == []
        yield commit.events[1:]

    await store.import_task(commit.task, NOTHING_BEFORE, batches())
    await store.purge()
    assert messages((await _read(store)).events) == ["one", "two"]


async def test_retention_of_what_came_late(store: Store) -> None:
    """What was appended after the end of a run goes with the rest of it."""
    task = await store.create_task(make_task(), key=None, fingerprint="")
    ended = make_commit(task, ["one"], status=Status.SUCCEEDED, completed_at="2020-01-01T00:00:00Z")
    late = make_commit(ended.task, ["two"])
    await store.append([ended])
    await store.append([late, make_commit(late.task, ["three"])])
    assert await store.expire("2021-01-01T00:00:00Z") == ["task"]
    page = await _read(store)
    assert (page.events, page.head, page.gap) == ([], 3, Gap(1, 3, "retention"))


async def test_retention_of_an_import(store: Store) -> None:
    """A run that ended long ago is kept from its import on."""
    task = make_task(imported_at="2024-01-01T00:00:00Z")
    commit = make_commit(task, ["one"], status=Status.SUCCEEDED, completed_at="2020-01-01T00:00:00Z")
    await store.import_task(commit.task, NOTHING_BEFORE, _batches(commit.events))
    assert await store.expire("2023-01-01T00:00:00Z") == []
    assert await store.expire("2025-01-01T00:00:00Z") == ["task"]


async def test_the_list(store: Store) -> None:
    """Tasks are listed newest first, by words, by status, page by page, without prompt and result."""
    for n in range(5):
        await store.create_task(
            make_task(f"t{n}", title=f"Title {n}", input_prompt=f"100%_{n}", final_result={"x": 1}),
            key=None,
            fingerprint="",
        )
    await store.append([make_commit(await store.get_task("t2"), ["x"], status=Status.RUNNING)])
    assert await _list(store) == ["t4", "t3", "t2", "t1", "t0"]
    assert await _list(store, "title 3") == ["t3"]
    assert await _list(store, "100%_") == ["t4", "t3", "t2", "t1", "t0"]
    assert await _list(store, "title 9") == []
    assert await _list(store, "", 100, None, Status.RUNNING) == ["t2"]
    assert await _list(store, "title", 100, None, Status.PENDING, Status.RUNNING) == ["t4", "t3", "t2", "t1", "t0"]
    first = await store.list_tasks(statuses=frozenset(), query="", limit=3, cursor=None)
    assert first.next_cursor is not None
    assert await _list(store, "", 3, first.next_cursor) == ["t1", "t0"]
    assert {(task.input_prompt, task.final_result) for task in first.tasks} == {("", None)}
    last = await store.list_tasks(statuses=frozenset(), query="", limit=5, cursor=None)
    assert last.next_cursor is None


@pytest.mark.parametrize(
    "text",
    ["", "é😀\u202e\u2028\ufeff", "a\x00b", '\\"\n\r\t', "'); DROP TABLE events; --", '"timestamp"', "x" * 5_000_000],
    ids=["empty", "unicode", "NUL", "escapes", "SQL", "our own words", "5 MB"],
)
async def test_any_text(store: Store, text: str) -> None:
    """Whatever a payload holds comes back as it was."""
    task = await store.create_task(make_task(), key=None, fingerprint="")
    commit = make_commit(task, [text, "after"], agent_role=text[:100])
    await store.append([commit])
    page = await _read(store)
    assert list(page.events) == [event.encoded for event in commit.events]
    assert messages(page.events) == [text, "after"]


async def test_reading_while_writing(store: Store) -> None:
    """A reader beside a writer sees a growing log without a gap, and never half of a commit."""
    task = await store.create_task(make_task(), key=None, fingerprint="")

    async def write() -> None:
        nonlocal task
        for _ in range(50):
            commit = make_commit(task, ["a", "b", "c"])
            assert await store.append([commit]) == [True]
            task = commit.task

    writing = asyncio.create_task(write())
    seen: list[int] = []
    while len(seen) < 150:
        page = await _read(store, len(seen))
        assert page.head % 3 == 0
        seen += ids(page.events)
    await writing
    assert seen == list(range(1, 151))


async def test_reopening(opener: Opener, tmp_path: Path) -> None:
    """A store that is opened again has the same epoch, tasks and logs, and goes on with them."""
    store = await opener(tmp_path)
    commit = make_commit(await store.create_task(make_task(), key="k", fingerprint="f"), ["one", "two"])
    await store.append([commit])
    epoch = store.epoch
    await store.aclose()
    store = await opener(tmp_path)
    try:
        assert store.epoch == epoch
        assert await store.get_task("task") == commit.task
        assert await store.append([make_commit(commit.task, ["three"])]) == [True]
        assert messages((await _read(store)).events) == ["one", "two", "three"]
        with pytest.raises(KeyReused):
            await store.create_task(make_task("other"), key="k", fingerprint="other")
    finally:
        await store.aclose()


async def test_two_stores_have_two_epochs(opener: Opener, tmp_path: Path) -> None:
    """Cursors of one database cannot be taken for those of another."""
    epochs = set()
    for name in "ab":
        (tmp_path / name).mkdir()
        store = await opener(tmp_path / name)
        epochs.add(store.epoch)
        await store.aclose()
    assert len(epochs) == 2


async def test_a_cancelled_append(store: Store) -> None:
    """An append whose caller gives up happens whole or not at all, wherever it is cancelled, and the store works on."""
    for turns in range(12):
        await store.create_task(make_task(f"t{turns}"), key=None, fingerprint="")
        task = await store.get_task(f"t{turns}")
        append = asyncio.create_task(store.append([make_commit(task, ["a", "b", "c"])]))
        for _ in range(turns):
            await asyncio.sleep(0)
        append.cancel()
        await asyncio.gather(append, return_exceptions=True)
        await store.append([])  # its turn comes after whatever goes on
        after = await store.get_task(task.id)
        page = await store.read_events(task.id, after=0, limit=10, size=10**6, filter=EVERYTHING)
        assert after.head in (0, 3) and len(page.events) == after.head
        assert await store.append([make_commit(after, ["d"])]) == [True]


def _found(findings: Findings) -> list[int]:
    return [finding.event_id for finding in findings.found]

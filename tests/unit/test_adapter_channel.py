import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from runner.attempt import Answer, BudgetRaised, Checkpoint, Command, OpenQuestion, Say, Synced, Word
from runner.events import EventType, hence
from runner.metagpt.channel import ROLE, Channel
from runner.metagpt.failures import Unanswered
from runner.metagpt.questions import Questions
from runner.metagpt.recall import Recall
from runner.redact import Redactor

SECRET = "s3cret-value"


class Ends:
    """A channel and the supervisor's end of its socket."""

    def __init__(self) -> None:
        self.theirs, ours = socket.socketpair()
        self.ours = ours
        self.words: list[Word] = []
        self.heard = asyncio.Event()
        self.gone = asyncio.Event()
        self.channel = Channel(ours, Redactor([SECRET]), on_word=self._on_word, on_gone=self.gone.set)

    def _on_word(self, word: Word) -> None:
        self.words.append(word)
        self.heard.set()

    def command(self, command: Command) -> None:
        self.theirs.sendall(msgspec.json.encode(command) + b"\n")

    async def events(self, count: int) -> list[dict[str, Any]]:
        """The next events; nothing more may come with them."""
        self.theirs.setblocking(False)
        received = b""
        while received.count(b"\n") < count:
            received += await asyncio.get_running_loop().sock_recv(self.theirs, 1 << 20)
        lines = received.splitlines()
        assert len(lines) == count
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        self.channel.close()
        self.ours.close()
        self.theirs.close()


@pytest.fixture
async def ends() -> Any:
    ends = Ends()
    yield ends
    ends.close()


@pytest.fixture
def engineer() -> Iterator[None]:
    token = ROLE.set("Engineer")
    yield
    ROLE.reset(token)


def log(ends: Ends, message: str) -> None:
    ends.channel.emit(EventType.LOG, {"message": message})


async def test_an_event_is_one_line(ends: Ends) -> None:
    """An event crosses as one line of JSON with its time, role, type and payload."""
    ends.channel.emit(EventType.LOG, {"message": "one\ntwo"}, agent_role="Architect")
    (event,) = await ends.events(1)
    assert event["timestamp"].endswith("Z")
    assert (event["agent_role"], event["event_type"], event["payload"]) == ("Architect", "LOG", {"message": "one\ntwo"})


async def test_the_role_is_the_contexts(ends: Ends) -> None:
    """Without a role of its own an event belongs to the role of the task that emits it."""

    async def work(role: str) -> None:
        ROLE.set(role)
        log(ends, role)

    await asyncio.gather(work("Architect"), work("Engineer"))
    assert [event["agent_role"] for event in await ends.events(2)] == ["Architect", "Engineer"]


async def test_tokens_are_gathered(ends: Ends) -> None:
    """Tokens of one call that come together are sent together, soon, without anything that pushes them."""
    for delta in ("a", "", "b", "c"):
        ends.channel.token("call-1", delta)
    (event,) = await ends.events(1)
    assert event["event_type"] == "TOKEN"
    assert event["payload"] == {"message": "abc", "call": "call-1", "delta": "abc"}


async def test_tokens_come_before_what_follows_them(ends: Ends) -> None:
    """A later event of the same role does not overtake tokens; another role's does not cut them short."""

    async def stream() -> None:
        ROLE.set("Engineer")
        ends.channel.token("call-1", "x")
        ends.channel.emit(EventType.LOG, {"message": "other"}, agent_role="Architect")
        ends.channel.token("call-1", "y")
        log(ends, "own")

    await asyncio.create_task(stream())
    assert [event["payload"]["message"] for event in await ends.events(3)] == ["other", "xy", "own"]


async def test_what_happens_together_leaves_together(ends: Ends) -> None:
    """The events of one turn of the loop are written once, at its end."""
    log(ends, "one")
    log(ends, "two")
    ends.theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        ends.theirs.recv(1)
    await asyncio.sleep(0)
    assert ends.theirs.recv(1 << 20).count(b"\n") == 2


async def test_what_starts_is_written_at_once(ends: Ends) -> None:
    """A start, which may block the loop, is written with all before it and without waiting for the loop."""
    log(ends, "before")
    ends.channel.emit(EventType.ACTION_START, {"message": "starts"})
    ends.theirs.setblocking(False)
    assert ends.theirs.recv(1 << 20).count(b"\n") == 2


async def test_sending_never_waits(ends: Ends) -> None:
    """With nobody reading, events pile up without blocking, and all arrive in order once somebody reads."""
    for number in range(2000):
        log(ends, f"{number} {'x' * 1000}")
    events = await ends.events(2000)
    assert [int(event["payload"]["message"].split()[0]) for event in events] == list(range(2000))


async def test_what_is_in_the_log(ends: Ends) -> None:
    """`sync` asks after all that was sent before, and waits until it is told that this is in the log."""
    log(ends, "before")
    first = asyncio.create_task(ends.channel.sync())
    assert [line.get("op") for line in await ends.events(2)] == [None, "sync"]
    assert not first.done()
    second = asyncio.create_task(ends.channel.sync())
    assert await ends.events(1) == [{"op": "sync", "number": 2}]
    ends.command(Synced(number=1))
    await first
    assert not second.done()
    third = asyncio.create_task(ends.channel.sync())
    assert await ends.events(1) == [{"op": "sync", "number": 3}]
    ends.command(Synced(number=3))
    await asyncio.gather(second, third)


async def test_who_waits_no_more(ends: Ends) -> None:
    """Somebody who waits no more for the log is not told, and others are."""
    gone, waiting = asyncio.create_task(ends.channel.sync()), asyncio.create_task(ends.channel.sync())
    await ends.events(2)
    gone.cancel()
    ends.command(Synced(number=2))
    await waiting


async def test_other_threads_may_emit(ends: Ends) -> None:
    """Events from other threads arrive whole."""
    threads = [threading.Thread(target=log, args=(ends, f"{n} {'x' * 100_000}")) for n in range(8)]
    for thread in threads:
        thread.start()
    events = await ends.events(8)
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert {event["payload"]["message"].split()[0] for event in events} == {str(n) for n in range(8)}


async def test_flush_gives_up_in_time(ends: Ends) -> None:
    """The last flush ends with or without a reader, and says which."""
    ends.channel.token("call-1", "last")
    assert ends.channel.flush(5.0)
    log(ends, "x" * (4 << 20))
    assert not ends.channel.flush(0.01)


async def test_secrets_are_hidden(ends: Ends) -> None:
    """No secret crosses, wherever in a payload it is, not even in pieces of a token."""
    ends.channel.emit(EventType.LOG, {"message": f"key {SECRET}", "list": [{"deep": SECRET}], "number": 1})
    ends.channel.token("call-1", SECRET[:5])
    ends.channel.token("call-1", SECRET[5:])
    events = await ends.events(2)
    assert SECRET not in json.dumps(events)
    assert events[0]["payload"]["number"] == 1


async def test_a_secret_in_tokens_that_do_not_wait(ends: Ends) -> None:
    """A secret in what was gathered does not cross, either, when an event of the same role sends it at once."""
    ends.channel.token("call-1", f"the key is {SECRET}")
    log(ends, "next")
    (token, _) = await ends.events(2)
    assert token["payload"]["delta"] == "the key is [redacted]"


async def test_what_only_looks_like_a_secret(ends: Ends) -> None:
    """An invented key in a model's answer is told as it is, or the answer could not be taken from the log again."""
    ends.channel.token("call-1", f"api_key = '{(invented := 'sk-' + 'x' * 20)}'")
    log(ends, f"The key is {invented}.")
    token, logged = await ends.events(2)
    assert token["payload"]["delta"] == f"api_key = '{invented}'"
    assert logged["payload"]["message"] == "The key is [redacted]."


async def test_half_a_surrogate_pair_crosses(ends: Ends) -> None:
    """Text that is no UTF-8 is mended rather than lost."""
    log(ends, "broken \ud83d")
    assert (await ends.events(1))[0]["payload"]["message"] == "broken ?"


async def test_commands_come_in_however_they_are_cut(ends: Ends) -> None:
    """Commands are read line by line, whatever the pieces they arrive in."""
    answer, say = Answer(request_id="input-1-1", answer="approve"), Say(id="1", content="Hello", send_to="Engineer")
    lines = msgspec.json.encode(answer) + b"\n" + msgspec.json.encode(say) + b"\n"
    for piece in (lines[:10], lines[10:]):
        ends.theirs.send(piece)
        await asyncio.sleep(0.001)
    while len(ends.words) < 2:
        ends.heard.clear()
        await ends.heard.wait()
    assert ends.words == [answer, say]


async def test_the_end_of_the_supervisor_is_noticed(ends: Ends) -> None:
    """A closed connection is told once, whether anything is being sent or not."""
    ends.theirs.close()
    await ends.gone.wait()


def _questions(
    ends: Ends, *, attempt: int, reopened: OpenQuestion | None = None, timeout: float | None = None
) -> Questions:
    return Questions(ends.channel, Recall(Checkpoint()), attempt=attempt, reopened=reopened, timeout=timeout)


async def test_a_question_waits_for_its_answer(ends: Ends) -> None:
    """`ask` tells the question and returns the answer to it."""
    questions = _questions(ends, attempt=3)
    asking = asyncio.create_task(questions.ask("review", "Go on?", ["yes", "no"]))
    (event,) = await ends.events(1)
    assert event["event_type"] == "INPUT_REQUEST"
    assert (event["payload"]["request_id"], event["payload"]["deadline"]) == ("input-3-1", None)
    questions.answer(Answer(request_id="input-3-0", answer="no"))
    questions.answer(Answer(request_id="input-3-1", answer="yes"))
    assert await asking == "yes"


@pytest.mark.parametrize("early", [True, False], ids=["answered on the way to it", "answered after it"])
async def test_a_question_of_an_earlier_attempt(ends: Ends, early: bool) -> None:
    """It keeps its id, and its answer is given to no other question, though that is asked first."""
    reopened = OpenQuestion(request_id="input-1-7", role="Architect", kind="review")
    questions = _questions(ends, attempt=2, reopened=reopened)
    if early:
        questions.answer(Answer(request_id="input-1-7", answer="approve"))
    for number, (role, kind) in enumerate([("ProductManager", "review"), ("Architect", "budget_usd 1")], 1):
        ROLE.set(role)
        asking = asyncio.create_task(questions.ask(kind, "Go on?", []))
        (event,) = await ends.events(1)
        assert event["payload"]["request_id"] == f"input-2-{number}"
        questions.answer(Answer(request_id=f"input-2-{number}", answer="yes"))
        assert await asking == "yes"
    asking = asyncio.create_task(questions.ask("review", "Go on?", []))
    if not early:
        assert (await ends.events(1))[0]["payload"]["request_id"] == "input-1-7"
        questions.answer(Answer(request_id="input-1-7", answer="approve"))
    assert await asking == "approve"


@pytest.mark.parametrize(("typed", "meant"), [(" Stop\n", "stop"), ("YES", "yes"), (" Say no more. ", "Say no more.")])
async def test_how_an_answer_is_typed(ends: Ends, typed: str, meant: str) -> None:
    """A choice is understood in capitals and with space around it; other words are left as they are."""
    questions = _questions(ends, attempt=1)
    asking = asyncio.create_task(questions.ask("review", "Go on?", ["yes", "stop"]))
    await ends.events(1)
    questions.answer(Answer(request_id="input-1-1", answer=typed))
    assert await asking == meant


async def test_a_question_has_a_deadline(ends: Ends) -> None:
    """A question that nobody answers by its deadline raises, and says what was asked."""
    with pytest.raises(Unanswered, match=r"within 0\.01 s .* Go on\?"):
        await _questions(ends, attempt=1, timeout=0.01).ask("review", "Go on?", ["yes"])
    assert (await ends.events(1))[0]["payload"]["deadline"].endswith("Z")


async def test_the_deadline_of_a_question_of_an_earlier_attempt(ends: Ends) -> None:
    """It is the one that was shown then: when it has passed, the question ends as soon as it is asked."""
    deadline = hence(seconds=-1)
    reopened = OpenQuestion(request_id="input-1-1", role="", kind="review", deadline=deadline)
    questions = _questions(ends, attempt=2, reopened=reopened, timeout=60)
    with pytest.raises(Unanswered, match="within 1 min"):
        await questions.ask("review", "Go on?", ["yes"])
    assert (await ends.events(1))[0]["payload"]["deadline"] == deadline


@pytest.mark.parametrize(("limit", "words"), [(86_400, "24 h"), (5400, "90 min"), (0.5, "0.5 s"), (61, "61 s")])
def test_how_long_nobody_answered(limit: float, words: str) -> None:
    """The time that a person had is told in a unit that fits."""
    assert f"within {words} " in str(Unanswered("Go on?", limit))


async def test_a_note_is_one_line(ends: Ends) -> None:
    """What is no event crosses as a line too, after what was sent before it."""
    log(ends, "before")
    ends.channel.note(BudgetRaised(option="budget_usd", to=2.0))
    assert (await ends.events(2))[1] == {"op": "budget raised", "option": "budget_usd", "to": 2.0}


async def test_a_secret_that_comes_in_pieces(ends: Ends, engineer: None) -> None:
    """A secret whose halves the model writes in two windows is in neither event, nor in both together."""
    ends.channel.token("call", f"the key is {SECRET[:5]}")
    (first,) = await ends.events(1)
    ends.channel.token("call", f"{SECRET[5:]}, you see")
    (second,) = await ends.events(1)
    deltas = [event["payload"]["delta"] for event in (first, second)]
    assert deltas == ["the key is ", "[redacted], you see"]

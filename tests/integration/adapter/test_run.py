"""Whole runs of a team, with the demo model and no waiting."""

import asyncio
import hashlib
import signal
from collections import defaultdict
from pathlib import Path

import psutil
import pytest

from runner.attempt import Answer, Llm, Say
from runner.forkserver import ForkServer
from runner.metagpt.demo.answers import answer as demo_answer
from tests.attempts import Attempt, spec
from tests.integration.adapter.conftest import Start
from tests.openai_server import Hang, OpenAiServer
from tests.support import alive, until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_ends_with_code_and_a_result(start: Start, workspace: Path) -> None:
    """A run ends by itself with 0, its last event is RESULT, and the code lies in the project's folder."""
    attempt = await start()
    assert await attempt.end() == 0
    result = attempt.result
    assert result["project"] == "game_2048"
    assert (workspace / "game_2048" / "game_2048" / "main.py").read_text()
    assert result["usage"]["llm_calls"] == len(attempt.payloads("LLM_CALL"))
    assert result["demo"] is True


async def test_events_have_a_message(start: Start) -> None:
    """Every event tells a person in words what happened; only a token's may be blank."""
    attempt = await start()
    await attempt.end()
    for event in attempt.events:
        message = event["payload"]["message"]
        assert isinstance(message, str) and (message.strip() or event["event_type"] == "TOKEN"), event
    assert set(attempt.counts) == set(
        "AGENT_START AGENT_COMPLETE ACTION_START ACTION_COMPLETE MESSAGE TOKEN LLM_CALL ARTIFACT LOG RESULT".split()
    )


async def test_turns_and_actions_come_in_pairs(start: Start, workspace: Path) -> None:
    """Each turn and each action opens and closes once, in the role that it belongs to."""
    attempt = await start(code_review=True, run_tests=True)
    await attempt.end()
    open_turns: dict[str, str] = {}
    open_actions: dict[str, tuple[str, str | None]] = {}
    for event in attempt.events:
        role, payload = event["agent_role"], event["payload"]
        match event["event_type"]:
            case "AGENT_START":
                assert payload["turn"].startswith(f"{role}-")
                assert role not in open_turns
                open_turns[role] = payload["turn"]
            case "AGENT_COMPLETE":
                assert (payload["summary"] is None) is ("changed no files" in payload["message"])
                assert open_turns.pop(role) == payload["turn"]
            case "ACTION_START":
                assert role in open_turns and role not in open_actions
                open_actions[role] = payload["action"], payload["file"]
            case "ACTION_COMPLETE":
                assert open_actions.pop(role) == (payload["action"], payload["file"])
            case "LLM_CALL" | "TOKEN":
                assert role in open_actions
    assert not open_turns and not open_actions
    assert {role for role in attempt.roles("AGENT_START")} == {
        "ProductManager",
        "Architect",
        "ProjectManager",
        "Engineer",
        "QaEngineer",
    }
    files = defaultdict(set)
    for payload in attempt.payloads("ACTION_COMPLETE"):
        files[payload["action"]].add(payload["file"])
    assert files["WritePRD"] == {None}
    code = {path.name for path in listed(workspace / "game_2048" / "game_2048")}
    assert files["WriteCode"] == files["WriteCodeReview"] == code and len(code) > 1
    assert files["WriteTest"] == files["RunCode"] == {f"test_{name}" for name in code}


async def test_tokens_add_up_to_the_answer(start: Start, workspace: Path) -> None:
    """The tokens of a call, in order, are the model's whole answer, and all come before its LLM_CALL."""
    attempt = await start()
    await attempt.end()
    answers: dict[str, str] = defaultdict(str)
    ended = set()
    for event in attempt.events:
        payload = event["payload"]
        if event["event_type"] == "TOKEN":
            assert payload["call"] not in ended
            answers[payload["call"]] += payload["delta"]
        elif event["event_type"] == "LLM_CALL":
            ended.add(payload["call"])
    assert ended == set(answers) == {f"call-{n + 1}" for n in range(len(ended))}
    code = (workspace / "game_2048" / "game_2048" / "main.py").read_text().strip()
    assert any(code in answer for answer in answers.values())


async def test_progress_is_unknown_then_grows(start: Start) -> None:
    """Progress is null until the task list is known, then never falls, and stays below 1 before the end."""
    attempt = await start(code_review=True, run_tests=True)
    await attempt.end()
    steps = [e["payload"] for e in attempt.events if e["event_type"] in ("ACTION_START", "ACTION_COMPLETE")]
    known = [step["progress"] for step in steps if step["progress"] is not None]
    planned = next(i for i, step in enumerate(steps) if step["action"] == "WriteTasks" and "duration_ms" in step)
    assert len(steps) - len(known) == planned
    assert known == sorted(known) and known[0] > 0 and known[-1] == 0.99


async def test_messages_are_told_once_with_short_names(start: Start) -> None:
    """A message appears once, however many receive it, and names roles and actions by their classes."""
    attempt = await start(run_tests=True)
    await attempt.end()
    messages = attempt.payloads("MESSAGE")
    assert len({message["id"] for message in messages}) == len(messages)
    first, second = messages[:2]
    assert (first["cause_by"], first["sent_from"], first["send_to"]) == ("UserRequirement", "Human", ["<all>"])
    assert (second["cause_by"], second["sent_from"], second["send_to"]) == ("WritePRD", "ProductManager", ["<all>"])
    handed_over = next(message for message in messages if message["cause_by"] == "SummarizeCode")
    assert handed_over["send_to"] == ["QaEngineer"]
    assert attempt.roles("MESSAGE")[:2] == [None, "ProductManager"]
    assert [m["id"] for m in attempt.result["messages"]] == [m["id"] for m in messages]
    assert all(len(message["content"]) <= 2000 for message in attempt.result["messages"])


async def test_artifacts_are_the_files(start: Start, workspace: Path) -> None:
    """The result lists every file of the project as it is on disk, diagrams too, and each was announced."""
    attempt = await start(run_tests=True)
    await attempt.end()
    announced = {(a["path"], a["version"]): a["sha256"] for a in attempt.payloads("ARTIFACT")}
    artifacts = attempt.result["artifacts"]
    for artifact in artifacts:
        content = (workspace / artifact["path"]).read_bytes()
        assert (artifact["size"], artifact["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert announced[artifact["path"], artifact["version"]] == artifact["sha256"]
    on_disk = {
        path.relative_to(workspace).as_posix()
        for path in (workspace / "game_2048").rglob("*")
        if path.is_file() and ".git" not in path.parts and path.name != ".dependencies.json"
    }
    assert {artifact["path"] for artifact in artifacts} == on_disk
    assert any(path.endswith(".mmd") for path in on_disk)


async def test_what_an_action_writes_past_the_hooks(start: Start) -> None:
    """A diagram, which MetaGPT writes by itself, is told of before its action is complete, and as that action's."""
    attempt = await start()
    await attempt.until("ACTION_COMPLETE", lambda payload: payload["action"] == "WriteDesign")
    await attempt.end()
    events = [(e["event_type"], e["agent_role"], e["payload"].get("action")) for e in attempt.events]
    diagrams = [n for n, e in enumerate(attempt.events) if e["payload"].get("path", "").endswith(".mmd")]
    complete = events.index(("ACTION_COMPLETE", "Architect", "WriteDesign"))
    drawn = [n for n in diagrams if events[n] == ("ARTIFACT", "Architect", "WriteDesign")]
    assert drawn and max(drawn) < complete


async def test_review_and_tests_end_within_the_default_rounds(start: Start, workspace: Path) -> None:
    """With code review and tests the team comes to its end by itself, and the tests have passed."""
    attempt = await start(code_review=True, run_tests=True)
    assert await attempt.end() == 0
    outputs = listed(workspace / "game_2048" / "test_outputs")
    assert outputs and all("OK" in output.read_text() for output in outputs)


async def test_too_few_rounds_fail_and_say_so(start: Start) -> None:
    """Rounds that end before any code is written are a failure that names its cure."""
    attempt = await start(n_round=3)
    assert await attempt.end() == 1
    assert attempt.fatal["message"] == (
        "The team used its 3 rounds before any code was written. Allow more rounds (n_round)."
    )
    assert attempt.counts["RESULT"] == 0


async def test_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A normal run leaves standard output and standard error alone, from import to end."""
    async with ForkServer(tmp_path / "scratch") as fork_server:
        attempt = Attempt(await fork_server.fork(spec(tmp_path / "workspace", code_review=True, run_tests=True)))
        assert await attempt.end() == 0
        attempt.child.close()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("turns", [1, 3, 10, 30, 100, 300, 1000])
async def test_a_fork_that_is_called_off(fork_server: ForkServer, workspace: Path, turns: int) -> None:
    """Whoever calls a fork off, at whatever moment, goes on when nothing of the child is there."""
    forking = asyncio.create_task(fork_server.fork(spec(workspace, "x" * 1_000_000)))
    for _ in range(turns):
        await asyncio.sleep(0)
    forking.cancel()
    await asyncio.wait({forking})
    if not forking.cancelled():  # it was too late
        made = forking.result()
        made.signal(signal.SIGKILL)
        await made.exited
        made.close()
    later = await fork_server.fork(spec(workspace))  # forks are made in their order
    servers = [process for process in psutil.Process().children() if "runner.metagpt.forkserver" in process.cmdline()]
    assert [child.pid for server in servers for child in server.children()] == [later.pid]
    later.signal(signal.SIGKILL)
    await later.exited
    later.close()


async def test_stops_at_sigterm(start: Start, server: OpenAiServer) -> None:
    """SIGTERM ends a run with 143 at once: the open turn is closed, and no result or fatal error is claimed."""
    server.script += [Hang()] * 10  # a call whose cancellation a library swallowed is made again
    attempt = await start(llm=Llm(config=server.config()))
    await attempt.until("ACTION_START", lambda payload: payload["action"] == "WritePRD")
    attempt.child.signal(signal.SIGTERM)
    assert await attempt.end() == 143
    assert attempt.counts["AGENT_START"] == attempt.counts["AGENT_COMPLETE"] == 1
    assert attempt.counts["ACTION_START"] == attempt.counts["ACTION_COMPLETE"]
    assert attempt.counts["RESULT"] == attempt.counts["ERROR"] == 0
    assert attempt.payloads("AGENT_COMPLETE")[0]["summary"] == "Was cancelled"
    assert attempt.payloads("AGENT_COMPLETE")[0]["cancelled"] and attempt.payloads("ACTION_COMPLETE")[-1]["cancelled"]


async def test_a_sigterm_that_comes_too_late(start: Start) -> None:
    """SIGTERM after RESULT changes nothing: the run has ended well, and its process says so."""
    for _ in range(10):  # it must not hit a window of milliseconds
        attempt = await start()
        await attempt.until("RESULT")
        attempt.child.signal(signal.SIGTERM)
        assert await attempt.end() == 0


async def test_ends_with_its_supervisor(start: Start, server: OpenAiServer) -> None:
    """A child whose supervisor has closed the connection is gone, without waiting for its model."""
    server.script.append(Hang())
    attempt = await start(llm=Llm(config=server.config()))
    await asyncio.to_thread(server.asked.wait)
    await attempt.close()
    assert await attempt.child.exited == -signal.SIGKILL


async def test_a_person_can_speak_to_a_role(start: Start, server: OpenAiServer) -> None:
    """A message for a role enters the queue, and that role's prompts from then on, and no one else's."""
    attempt = await start(llm=Llm(config=server.config()), review=["ProductManager"])
    question = await attempt.until("INPUT_REQUEST")
    await attempt.child.send(Say(id="1", content="Keep to 80 columns.", send_to="Engineer"))
    await attempt.child.send(Answer(request_id=question["request_id"], answer="approve"))
    assert await attempt.end() == 0
    heard = ["Keep to 80 columns." in request.prompt for request in server.requests]
    coding = ["Write code with triple quoto" in request.prompt for request in server.requests]
    assert heard == coding and any(heard)


async def test_writes_only_in_its_workspace(start: Start, workspace: Path, tmp_path: Path) -> None:
    """A run leaves its project, and the scratch folder of its tests, in its workspace and nothing beside it."""
    attempt = await start(run_tests=True)
    await attempt.end()
    assert listed(workspace) == [workspace / ".scratch", workspace / "game_2048"]
    assert listed(workspace.parent) == [workspace]
    assert listed(tmp_path) == [tmp_path / "data"]


async def test_stopping_ends_the_tests_that_run(start: Start, server: OpenAiServer) -> None:
    """A program that the QA engineer runs does not outlive a stopped run."""
    waits = "```python\nimport time\ntime.sleep(3600)\n```"
    server.answer = lambda prompt, system: waits if "unittest framework" in prompt else demo_answer(prompt, system)
    attempt = await start(llm=Llm(config=server.config()), run_tests=True)
    await attempt.until("ACTION_START", lambda payload: payload["action"] == "RunCode")
    programs = await until(lambda: psutil.Process(attempt.child.pid).children(recursive=True))
    attempt.child.signal(signal.SIGTERM)
    assert await attempt.end() == 143
    assert not any(alive(program) for program in programs)


def listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())

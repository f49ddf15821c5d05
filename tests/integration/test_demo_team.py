"""The demo model in MetaGPT: whole runs of a real team, its provider, and every prompt that MetaGPT can send it.

Run as a script, this file is the child process in which that happens: MetaGPT is imported nowhere else.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from runner.metagpt.demo.answers import DEFAULT, answer
from runner.metagpt.demo.archetypes import WRITTEN_BY

QUESTION = "Tell me a story about a fox and a hen, please."
HANGMAN = "A command line game of hangman"
NASTY = "[/CONTENT] \"'''```python\n## Code: x.py\n{\"Language\":1} ../../x 日本語 🎲 {0} $noun\\"
CHANGE = "Add a high score for all players"
PROJECT = "the_project"
# Keys for which MetaGPT's example is a good answer.
SAME_AS_EXAMPLE = {
    "Language",
    "Programming Language",
    "Required Other language third-party packages",
    "issue_type",
    "is_relative",
}


def in_child(command: str, workspace: Path, *arguments: str) -> Any:
    """What a command of this script prints last, as JSON."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # QA runs "python"
    child = subprocess.run(
        [sys.executable, __file__, command, str(workspace), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PATH": path},
    )
    assert child.returncode == 0, child.stderr
    return json.loads(child.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the team wrote hangman, tests included, and was then asked for a change."""
    folder = tmp_path_factory.mktemp("team")
    in_child("team", folder, HANGMAN, CHANGE)
    return folder / PROJECT


def test_a_team_writes_a_program_that_runs(workspace: Path) -> None:
    """Code is on disk after the review, says who wrote it, and works."""
    source = workspace / PROJECT
    assert {path.name for path in source.glob("*.py")} == {"hangman.py", "main.py"}
    assert WRITTEN_BY in (source / "main.py").read_text(encoding="utf-8")
    shown = subprocess.run(
        [sys.executable, "main.py"], cwd=source, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    assert "You found it: kettle!" in shown.stdout


def test_the_tests_that_qa_wrote_pass(workspace: Path) -> None:
    """Each file has its test, RunCode ran it, and the verdict is from its output."""
    assert {path.name for path in (workspace / "tests").glob("*.py")} == {"test_hangman.py", "test_main.py"}
    for name in ("test_hangman.py.json", "test_main.py.json"):
        result = json.loads((workspace / "test_outputs" / name).read_text(encoding="utf-8"))
        assert re.search(r"Ran \d tests in .*\n\nOK\n", result["stderr"])
        assert "## Status:\nPASS\n## Send To:\nNoOne" in result["summary"]


def test_a_later_change_is_taken_in(workspace: Path) -> None:
    """In incremental mode the new requirement is in the PRD, the plan and the code."""
    (document,) = (workspace / "docs" / "prd").glob("*.json")
    requirements = json.loads(document.read_text(encoding="utf-8"))
    assert requirements["Refined Requirements"] == f"{HANGMAN}\nRevision: {CHANGE}"
    (plan,) = (workspace / "docs" / "code_plan_and_change").glob("*.json")
    assert CHANGE in plan.read_text(encoding="utf-8")
    assert f"Asked for since: {CHANGE}." in (workspace / PROJECT / "main.py").read_text(encoding="utf-8")


def test_a_nasty_idea_gets_through_the_team(tmp_path: Path) -> None:
    """MetaGPT's own parsers take every document about an idea that is full of their marks."""
    in_child("team", tmp_path, NASTY)
    project = tmp_path / PROJECT
    assert {path.name for path in (project / PROJECT).iterdir()} == {"catalogue.py", "main.py"}
    assert (project / "docs" / "requirement.txt").read_text(encoding="utf-8") == NASTY
    (document,) = (project / "docs" / "prd").glob("*.json")
    requirements = json.loads(document.read_text(encoding="utf-8"))
    assert requirements["Original Requirements"] == " ".join(NASTY.split())


def test_every_prompt_is_recognised(tmp_path: Path) -> None:
    """Each template in MetaGPT's own modules gets an answer of its kind, and every structured key a value."""
    prompts = in_child("prompts", tmp_path)
    for kind, sign in {
        "write_code": "## Code: game.py\n```python\n",
        "refined_code": "## Code: game.py\n```python\n",
        "rewrite_code": "## Code: game.py\n```python\n",
        "write_code_review": "## Code Review Result\nLGTM\n",
        "summarize_code": "## Code Review All\n",
        "is_pass": "YES",
        "write_test": "## Code: test_game.py\n```python\n",
        "run_code": "## Status:\nPASS\n## Send To:\nNoOne\n",
        "debug_error": "```python\n",
        "choose_stage": "0",
    }.items():
        text = answer(prompts.pop(kind)["prompt"])
        assert text != DEFAULT and sign in text, kind
    for kind, prompt in prompts.items():
        document = json.loads(answer(prompt["prompt"]).removeprefix("[CONTENT]\n").removesuffix("\n[/CONTENT]"))
        assert list(document) == prompt["keys"], kind
        unanswered = [key for key, value in document.items() if value == prompt["examples"][key]]
        assert set(unanswered) <= SAME_AS_EXAMPLE, kind


def test_the_provider_streams_and_counts(tmp_path: Path) -> None:
    """The stream is the answer, in tokens at a pace and in few chunks without; usage is estimated and costs nothing."""
    result = in_child("provider", tmp_path)
    assert result["text"] == result["unstreamed"] == result["whole"]
    assert "".join(result["paced"]) == "".join(result["unpaced"]) == result["text"] + "\n"
    assert len(result["paced"]) > 30 > 3 > len(result["unpaced"]) - 1
    assert result["paced_s"] > 0.01
    prompt, completion = result["usage"]["prompt_tokens"], result["usage"]["completion_tokens"]
    assert (prompt, completion) == (-(-len(QUESTION) // 4), -(-len(result["text"]) // 4))
    assert result["costs"][:3] == [3 * prompt, 3 * completion, 0]
    assert not result["warnings"]


def drive_team(workspace: Path, idea: str, *changes: str) -> None:
    """Let a team of five work on an idea, with review and tests, and then on changes of it."""
    from metagpt.config2 import Config
    from metagpt.configs.llm_config import LLMType
    from metagpt.context import Context
    from metagpt.provider.llm_provider_registry import LLM_REGISTRY
    from metagpt.roles import Architect, Engineer, ProductManager, ProjectManager
    from metagpt.roles.qa_engineer import QaEngineer
    from metagpt.team import Team

    from runner.metagpt.demo.provider import DemoLLM

    LLM_REGISTRY.register(LLMType.OPENAI, DemoLLM.paced(0))

    async def work(requirement: str, *, change: bool) -> None:
        config = Config.model_validate(
            {
                "llm": {"api_key": "none", "model": "demo"},
                "workspace": {"path": str(workspace)},
                "project_name": PROJECT,
                "mermaid": {"engine": "none"},
            }
        )
        if change:
            config.update_via_cli(str(workspace / PROJECT), PROJECT, True, "", 0)
        context = Context(config=config)
        team = Team(context=context)
        roles = [role(context=context) for role in (ProductManager, Architect, ProjectManager)]
        team.hire([*roles, Engineer(context=context, use_code_review=True), QaEngineer(context=context)])
        team.run_project(requirement)
        for _ in range(16):
            if team.env.is_idle:
                break
            await team.env.run()
        team.env.archive()

    asyncio.run(work(idea, change=False))
    for requirement in changes:
        asyncio.run(work(requirement, change=True))


def collect_prompts() -> dict[str, dict[str, Any]]:
    """A prompt of every kind, from MetaGPT's templates."""
    from metagpt.actions import debug_error, run_code, summarize_code, write_code, write_code_review, write_prd_an
    from metagpt.actions import design_api_an as design
    from metagpt.actions import project_management_an as tasks
    from metagpt.actions import write_code_plan_and_change_an as plan
    from metagpt.actions.write_test import PROMPT_TEMPLATE as WRITE_TEST
    from metagpt.roles.engineer import IS_PASS_PROMPT
    from metagpt.roles.role import STATE_TEMPLATE

    code = {
        "design": "{}",
        "task": "",
        "code": "",
        "logs": "",
        "feedback": "",
        "filename": "game.py",
        "summary_log": "",
    }
    review = write_code_review.PROMPT_TEMPLATE.format(context=NASTY, code="x = 1", filename="game.py")
    passed = run_code.TEMPLATE_CONTEXT.format(
        code="", code_file_name="game.py", test_code="", test_file_name="test_game.py", command="python", outs="",
        errs=".\n---\nRan 1 test in 0.000s\n\nOK\n",
    )  # fmt: skip
    plain = {
        "write_code": write_code.PROMPT_TEMPLATE.format(**code),
        "refined_code": plan.REFINED_TEMPLATE.format(user_requirement=NASTY, code_plan_and_change="", **code),
        "rewrite_code": review + write_code_review.REWRITE_CODE_TEMPLATE.format(filename="game.py"),
        "write_code_review": review
        + write_code_review.EXAMPLE_AND_INSTRUCTION.format(
            format_example=write_code_review.FORMAT_EXAMPLE.format(filename="game.py"), filename="game.py"
        ),
        "summarize_code": summarize_code.PROMPT_TEMPLATE.format(
            system_design="", task="", code_blocks="```python\nx = 1\n```\n-----", format_example=""
        ),
        "is_pass": IS_PASS_PROMPT.format(context=NASTY),
        "write_test": WRITE_TEST.format(
            code_to_test="x = 1",
            test_file_name="test_game.py",
            source_file_path="/data/game/game.py",
            workspace="/data",
        ),
        "run_code": run_code.PROMPT_TEMPLATE.format(context=passed),
        "debug_error": debug_error.PROMPT_TEMPLATE.format(code="x = 1", test_code="", logs="Traceback"),
        "choose_stage": STATE_TEMPLATE.format(history=NASTY, previous_state="-1", states="0. A\n1. B", n_states=1),
    }
    nodes = (
        write_prd_an.WRITE_PRD_NODE,
        write_prd_an.REFINED_PRD_NODE,
        write_prd_an.WP_ISSUE_TYPE_NODE,
        write_prd_an.WP_IS_RELATIVE_NODE,
        design.DESIGN_API_NODE,
        design.REFINED_DESIGN_NODE,
        tasks.PM_NODE,
        tasks.REFINED_PM_NODE,
        plan.WRITE_CODE_PLAN_AND_CHANGE_NODE,
    )
    prompts: dict[str, dict[str, Any]] = {kind: {"prompt": prompt} for kind, prompt in plain.items()}
    for node in nodes:
        examples = {key: child.example for key, child in node.children.items()}
        prompts[node.key] = {"prompt": node.compile(NASTY), "keys": list(examples), "examples": examples}
    return prompts


async def use_provider() -> dict[str, Any]:
    """Ask the provider in all ways that MetaGPT has."""
    from loguru import logger
    from metagpt.configs.llm_config import LLMConfig
    from metagpt.logs import set_llm_stream_logfunc
    from metagpt.utils.cost_manager import CostManager

    from runner.metagpt.demo.provider import DemoLLM

    warnings: list[str] = []
    logger.add(warnings.append, level="WARNING")
    question = [{"role": "user", "content": QUESTION}]
    paced, unpaced = DemoLLM.paced(0.05)(LLMConfig(api_key="none")), DemoLLM.paced(0)(LLMConfig(api_key="none"))
    unpaced.cost_manager = CostManager()
    pieces: list[str] = []
    set_llm_stream_logfunc(pieces.append)
    started = time.monotonic()
    text = await paced.acompletion_text(question, stream=True)
    paced_s, paced_pieces = time.monotonic() - started, list(pieces)
    pieces.clear()
    await unpaced.acompletion_text(question, stream=True)
    whole = await unpaced.acompletion(question)
    return {
        "text": text,
        "paced": paced_pieces,
        "paced_s": paced_s,
        "unpaced": pieces,
        "unstreamed": await unpaced.acompletion_text(question, stream=False),
        "whole": unpaced.get_choice_text(whole),
        "usage": whole["usage"],
        "costs": unpaced.get_costs(),
        "warnings": warnings,
    }


def main(command: str, workspace: str, *arguments: str) -> None:
    from runner.metagpt import preload

    preload.load(Path(workspace) / "scratch")
    match command:
        case "team":
            drive_team(Path(workspace), *arguments)
            result: Any = None
        case "prompts":
            result = collect_prompts()
        case "provider":
            result = asyncio.run(use_provider())
    print(f"\n{json.dumps(result)}")


if __name__ == "__main__":
    main(*sys.argv[1:])

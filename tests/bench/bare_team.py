"""Forks teams from a process that has MetaGPT imported, with our hooks and without, and times each to its end.

    python -m tests.bench.bare_team FOLDER

This process stands where the fork server stands: everything is imported, collected and frozen before the first fork. A
bare team has the same roles, options, idea and model and no hook, no channel, no meter. Its rounds are MetaGPT's own.
Commands: `hooked` and `bare`; each answers with the wall and CPU time of one child, from before the fork to its end.
"""

import asyncio
import gc
import json
import os
import resource
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from runner import confinement
from runner.attempt import AttemptSpec, Confinement, Llm, Options, Sync, Synced
from runner.hearing import heard_note, is_note
from runner.metagpt import preload

IDEA = "Write a 2048 game"
PROJECT = "game_2048"
READ_SIZE = 256 * 1024


def main(folder: Path) -> None:
    preload.load(folder / "scratch")
    import runner.metagpt.child  # noqa: F401, shared by the children
    from runner.metagpt import hooks
    from runner.metagpt.demo.archetypes import archetypes

    confinement.prepare()
    hooks.prepare()
    archetypes()
    gc.collect()
    gc.freeze()
    _say({"ready": True})
    for number, line in enumerate(sys.stdin):
        workspace = folder / str(number)
        workspace.mkdir()
        _say(_time(line.strip() == "hooked", workspace))


def _time(hooked: bool, workspace: Path) -> dict[str, Any]:
    ours, theirs = socket.socketpair()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _become_team(hooked, workspace, theirs)
    theirs.close()
    lines, rest = 0, b""
    with ours:  # the supervisor's part: to read, at once
        while data := ours.recv(READ_SIZE):
            *whole, rest = (rest + data).split(b"\n")
            lines += len(whole)
            for note in map(heard_note, filter(is_note, whole)):
                if isinstance(note, Sync):
                    ours.sendall(msgspec.json.encode(Synced(number=note.number)) + b"\n")
    _, status = os.waitpid(pid, 0)
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if status:
        return {"error": f"the team ended with {os.waitstatus_to_exitcode(status)}"}
    files = sum(path.is_file() and ".git" not in path.parts for path in workspace.rglob("*"))
    cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    return {"wall_s": wall, "cpu_s": cpu, "lines": lines, "files": files}


def _become_team(hooked: bool, workspace: Path, sock: socket.socket) -> NoReturn:
    code = 1
    os.setsid()  # as the fork server's children: what a team kills is its own group
    try:
        spec = AttemptSpec(
            task_id="bench",
            attempt=1,
            input_prompt=IDEA,
            options=Options(),
            workspace=str(workspace),
            confinement=Confinement(hidden=str(workspace)),
            llm=Llm(demo_pace=0),
        )
        if hooked:
            from runner.metagpt import child

            code = child.main(spec, sock)
        else:
            os.chdir(workspace)
            code = asyncio.run(_drive(spec))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


async def _drive(spec: AttemptSpec) -> int:
    """The same team without us: what `LiveTeam` does, less everything that tells of it."""
    from metagpt.config2 import Config
    from metagpt.configs.llm_config import LLMConfig, LLMType
    from metagpt.configs.mermaid_config import MermaidConfig
    from metagpt.configs.workspace_config import WorkspaceConfig
    from metagpt.context import Context
    from metagpt.environment import Environment
    from metagpt.logs import set_llm_stream_logfunc
    from metagpt.provider.llm_provider_registry import LLM_REGISTRY
    from metagpt.roles import Architect, Engineer, ProductManager, ProjectManager
    from metagpt.team import Team

    from runner.metagpt.demo.provider import DemoLLM

    LLM_REGISTRY.register(LLMType.OPENAI, DemoLLM.paced(0))
    set_llm_stream_logfunc(lambda _: None)  # MetaGPT's own prints
    config = Config(
        llm=LLMConfig(api_type=LLMType.OPENAI, api_key="demo-model", model=spec.llm.model),
        project_name=PROJECT,
        workspace=WorkspaceConfig(path=Path(spec.workspace)),
        mermaid=MermaidConfig(engine="none"),
    )
    context = Context(config=config)
    team = Team(context=context, env=Environment(context=context))
    roles = [ProductManager(context=context), Architect(context=context), ProjectManager(context=context)]
    team.hire([*roles, Engineer(context=context, n_borg=5, use_code_review=spec.options.code_review)])
    team.run_project(spec.input_prompt)
    rounds = 0
    while rounds < spec.options.n_round and not team.env.is_idle:
        rounds += 1
        await team.env.run()
    team.env.archive()
    return 0


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

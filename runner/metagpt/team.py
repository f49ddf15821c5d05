"""A team and its rounds.

MetaGPT's own `Team.run` swallows every exception and leaves the other roles running when one fails, and its
`Role.run` turns exceptions into text. So the rounds and the turns are driven from here, with MetaGPT's own steps.
"""

import asyncio
from pathlib import Path
from typing import Any

from metagpt.config2 import Config
from metagpt.configs.mermaid_config import MermaidConfig
from metagpt.configs.workspace_config import WorkspaceConfig
from metagpt.context import Context
from metagpt.environment import Environment
from metagpt.roles import Architect, Engineer, ProductManager, ProjectManager, QaEngineer
from metagpt.roles.role import RoleReactMode
from metagpt.schema import Message
from metagpt.team import Team
from metagpt.utils.common import any_to_str

from runner.attempt import Say
from runner.metagpt import hooks, phrases, provider
from runner.metagpt.channel import ROLE
from runner.metagpt.failures import NoCode, RoleFailed, RunFailed
from runner.metagpt.run import TURN, Revision, Run, Turn
from runner.speech import EVERYONE, PERSON, PERSON_SAYS, STOP

ROLES = {role.__name__: role for role in (ProductManager, Architect, ProjectManager, Engineer, QaEngineer)}

APPROVE, REVISE = "approve", "revise"


class LiveTeam:
    def __init__(self, run: Run) -> None:
        self._run = run
        llm = provider.llm_config(run)
        provider.install(run, llm)
        hooks.install(run)
        continued = {} if run.spec.project is None else {"inc": True, "project_path": str(run.project_folder)}
        config = Config(
            llm=llm,
            project_name=run.project,
            **continued,
            workspace=WorkspaceConfig(path=run.workspace),
            mermaid=MermaidConfig(engine="none"),  # the others reach for the network or a browser
        )
        context = Context(config=config)
        self._team = Team(context=context, env=Environment(context=context))
        self._unheard: list[Say] | None = []  # until the team has heard its requirement, which comes first
        self._team.hire([self._role(name, context) for name in run.spec.options.team])

    def hear(self, say: Say) -> None:
        """A person's message: it enters the team's queue, and the prompts of whom it is for from now on.

        It wakes nobody: MetaGPT's roles act on documents, and would do the same work again without reading it.
        """
        if self._unheard is None:
            self._publish(say)
        else:
            self._unheard.append(say)

    async def work(self) -> None:
        """Drive the rounds until every role is idle or the rounds are used. Raises `RunFailed` of any kind."""
        run, env = self._run, self._team.env
        run.artifacts.scan(run.project_folder)  # of the task that this one continues
        self._team.run_project(run.spec.input_prompt)
        self._hear_early()
        rounds = 0
        while rounds < run.spec.options.n_round and not env.is_idle:
            rounds += 1
            await self._round()
        if not run.progress.wrote_code:
            raise NoCode(rounds, idle=env.is_idle)
        env.archive()
        run.artifacts.scan(run.project_folder)  # what programs have written since the last turn

    def _hear_early(self) -> None:
        """What persons have said in earlier attempts, and since this one has begun."""
        early = [*self._run.spec.checkpoint.said, *(self._unheard or ())]
        self._unheard = None
        for say in early:
            self._publish(say)

    def _publish(self, say: Say) -> None:
        """What was said as the attempt began may be in the checkpoint, and come from the supervisor too."""
        if say.id not in self._run.said:
            self._run.said[say.id] = say
            self._team.env.publish_message(_message(say))

    async def _round(self) -> None:
        """Every role's turn. If one fails, the others are cancelled at once, and have ended when this raises."""
        failure: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as group:
                for role in self._team.env.roles.values():
                    group.create_task(self._take_turn(role), name=type(role).__name__)
        except BaseExceptionGroup as failures:
            failure = failures.exceptions[0]
        if failure is not None:
            raise failure

    async def _take_turn(self, role: Any) -> None:
        """What `Role.run` does, with a person's review before the result reaches the team."""
        name = type(role).__name__
        ROLE.set(name)
        if not await role._observe():
            return
        work = self._reviewed_work if name in self._run.spec.options.review else self._unreviewed_work
        turn, reply = await work(role, name)
        role.set_todo(None)
        role.rc.news = []  # or the environment takes the role for busy for one more round
        for message in turn.held or ():
            role.publish_message(message)
        if turn.started is not None:  # else its reply only says that it did nothing
            role.publish_message(reply)

    async def _unreviewed_work(self, role: Any, name: str) -> tuple[Turn, Any]:
        turn = self._run.new_turn(name, None)
        return turn, await self._work_of(role, turn)

    async def _reviewed_work(self, role: Any, name: str) -> tuple[Turn, Any]:
        """The turn that a person approved, or that has made nothing, and the role's reply in it."""
        run = self._run
        known = {artifact.path for artifact in run.artifacts.existing()}
        new: dict[str, None] = {}  # the files that this work has made, in order
        revision: Revision | None = None
        while True:
            turn = run.new_turn(name, revision)
            reply = await self._work_of(role, turn)
            new.update((path, None) for path in turn.written[turn.prepared :] if path not in known)
            if not (turn.written or revision):
                return turn, reply
            answer = await run.questions.ask("review", self._question(turn), (APPROVE, REVISE, STOP))
            if answer == APPROVE:
                return turn, reply
            wish = "Do it again, differently." if answer in (REVISE, "") else answer
            revision = Revision(wish, await asyncio.to_thread(self._take_away, list(new)))
            if reply in role.rc.memory.storage:
                role.rc.memory.delete(reply)

    def _question(self, turn: Turn) -> str:
        wrote = f"has written {self._run.named(turn.written)}" if turn.written else "has come to the same result again"
        return f"{phrases.role(turn.role)} {wrote}. Approve it, or say what to change."

    async def _work_of(self, role: Any, turn: Turn) -> Any:
        token = TURN.set(turn)
        failed = False
        trouble: str | None = "was cancelled"
        try:
            reply = await (self._again(role) if turn.revision else role.react())
            trouble = None
            return reply
        except RunFailed as failure:
            failed, trouble = True, f"stopped: {failure}"
            raise
        except Exception as error:
            fault = RoleFailed(phrases.role(turn.role), turn.action, turn.file, error)
            failed, trouble = True, f"stopped: {fault}"
            raise fault from error
        finally:
            self._run.end_turn(turn, trouble, failed=failed)
            TURN.reset(token)

    async def _again(self, role: Any) -> Any:
        """The role's work of this turn once more; of several actions only the last, which is the work."""
        if role.rc.react_mode != RoleReactMode.BY_ORDER:
            return await role.react()
        role._set_state(len(role.actions) - 1)
        reply = await role._act()
        role._set_state(-1)
        return reply

    def _take_away(self, paths: list[str]) -> dict[str, str]:
        """Remove files that a role is to write anew, or it would find them and think them finished."""
        contents = {}
        for path in paths:
            file = Path(self._run.workspace, path)
            contents[path] = file.read_text("utf-8", "replace")
            file.unlink()
        return contents

    def _role(self, name: str, context: Any) -> Any:
        if name == "Engineer":
            # n_borg as in MetaGPT's own command; 0.8.2 does not read it.
            return Engineer(context=context, n_borg=5, use_code_review=self._run.spec.options.code_review)
        return ROLES[name](context=context)


def _message(say: Say) -> Any:
    send_to = {any_to_str(ROLES[say.send_to])} if say.send_to else {EVERYONE}
    return Message(id=say.id, content=say.content, role=PERSON, cause_by=PERSON_SAYS, send_to=send_to)

"""How the team stands in a task's last attempt, and who told whom how much: a fold over its events.

The dashboard folds the same from the events that it has (static/model.js, static/traffic.js), and goes on from here
where it does not have them all.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from runner.events import Event, EventType
from runner.measures import Exchange, RoleActivity, RoleState, TeamState
from runner.states import TERMINAL, Status

PERSON = "Human"
_EVERYONE, _NOBODY = "<all>", "<none>"
_EXCHANGES_MAX = 100

TYPES = frozenset(
    {
        EventType.STATUS,
        EventType.AGENT_START,
        EventType.AGENT_COMPLETE,
        EventType.ACTION_START,
        EventType.MESSAGE,
        EventType.INPUT_REQUEST,
        EventType.INPUT_RESPONSE,
    }
)


class Team:
    """Takes the events of a log in order."""

    def __init__(self) -> None:
        self._begin(None)

    def state(self, names: Sequence[str]) -> TeamState:
        """names: of roles that are there before they do anything."""
        roles = [self._roles.get(name, RoleState(agent_role=name)) for name in dict.fromkeys([*names, *self._roles])]
        return TeamState(
            attempt=self._attempt,
            roles=[msgspec.structs.replace(role, begins_with=self._begins_with(role.agent_role)) for role in roles],
            exchanges=list(self._exchanges.values()),
        )

    def take(self, event: Event) -> None:
        role, payload = event.agent_role, event.payload
        match event.event_type:
            case EventType.STATUS:
                self._take_status(payload)
            case EventType.AGENT_START if role:
                if self._everyone is not None and role not in self._heard:
                    self._heard.add(role)
                    self._pass(self._everyone, role)
                self._change(role, state="working", action=None, file=None, turns=self._role(role).turns + 1)
            case EventType.AGENT_COMPLETE if role:
                summary = payload.get("summary") or self._role(role).summary  # a turn may have changed no files
                state: RoleActivity = "idle" if payload.get("failed") or payload.get("cancelled") else "done"
                self._change(role, state=state, action=None, file=None, summary=summary)
            case EventType.ACTION_START if role:
                self._change(role, state="working", action=payload.get("action"), file=payload.get("file"))
            case EventType.MESSAGE:
                self._take_message(role, payload)
            case EventType.INPUT_REQUEST if asking := payload.get("role") or role:
                self._pass(asking, PERSON)
                before = self._role(asking).state
                self._change(asking, state="waiting", before=before)
            case EventType.INPUT_RESPONSE:
                for known in list(self._roles.values()):
                    if known.state == "waiting":
                        self._pass(PERSON, known.agent_role)
                        self._change(known.agent_role, state=known.before)

    def _begin(self, attempt: int | None) -> None:
        self._attempt = attempt
        self._roles: dict[str, RoleState] = {}
        self._exchanges: dict[tuple[str, str], Exchange] = {}
        self._everyone: str | None = None  # who sent the last message to everyone
        self._heard: set[str] = set()  # roles that do not begin with it any more

    def _take_status(self, payload: dict[str, Any]) -> None:
        status, attempt = payload.get("status"), payload.get("attempt")
        if status == Status.QUEUED or (status == Status.RUNNING and attempt != self._attempt):
            self._begin(attempt)
        if status in TERMINAL:
            for role in list(self._roles.values()):
                was = role.before if role.state == "waiting" else role.state
                is_done = was == "done" or (status == Status.SUCCEEDED and role.turns)
                self._change(role.agent_role, state="done" if is_done else "idle", action=None, file=None)

    def _take_message(self, role: str | None, payload: dict[str, Any]) -> None:
        sender = role or _name(payload.get("sent_from")) or PERSON
        for addressee in payload.get("send_to") or []:
            if addressee == _EVERYONE:
                self._everyone = sender
                self._heard.clear()
            elif addressee != _NOBODY:
                # What everyone was told before is not what it begins with.
                self._heard.add(_name(addressee))
                self._pass(sender, _name(addressee))

    def _pass(self, sender: str, receiver: str) -> None:
        key = sender, receiver
        if sender == receiver or (key not in self._exchanges and len(self._exchanges) >= _EXCHANGES_MAX):
            return
        count = self._exchanges[key].count if key in self._exchanges else 0
        self._exchanges[key] = Exchange(sender=sender, receiver=receiver, count=count + 1)

    def _begins_with(self, role: str) -> str | None:
        return None if role in self._heard else self._everyone

    def _role(self, name: str) -> RoleState:
        return self._roles.get(name, RoleState(agent_role=name))

    def _change(self, name: str, **changes: Any) -> None:
        self._roles[name] = msgspec.structs.replace(self._role(name), **changes)


def _name(path: object) -> str:
    """The name of a role, as MetaGPT gives it, maybe with modules before it."""
    return str(path or "").rpartition(".")[2]

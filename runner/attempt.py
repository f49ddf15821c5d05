"""What crosses the pipe between the supervisor and the child process of one attempt. No I/O here.

The supervisor first sends the `AttemptSpec`, as its size in `SPEC_SIZE_BYTES` bytes, big-endian, and its JSON. After
that it is one JSON object per line both ways: the child sends drafts of events (`runner.events.Draft`) and notes, which
are no events, the supervisor sends commands.
"""

from typing import Annotated, Any, Literal, get_args

import msgspec

from runner.files import Artifact
from runner.usage import Usage

SPEC_SIZE_BYTES = 4
HEARTBEAT_PERIOD = 1.0  # seconds after which a process shows again that it is alive

ANSWER_TIMEOUT = 86_400.0  # seconds: who starts a team in the evening may answer the next day

# Where an attempt begins: with what earlier ones have found out, or with nothing.
Origin = Literal["checkpoint", "start"]

Role = Literal["ProductManager", "Architect", "ProjectManager", "Engineer", "QaEngineer"]
ROLES: tuple[Role, ...] = get_args(Role)


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a task is to be run.

    n_round: rounds of the team at most (it ends earlier when every role is idle). code_review: the engineer reviews
    each file. run_tests: a QA engineer writes and runs tests. budget_usd: LLM cost of all attempts at which a person is
    asked whether to go on; null for no limit. budget_tokens: the same for tokens, those of the prompts and of the
    answers together. timeout_s: seconds of work after which the run is ended, the time in which a person is asked not
    counted; null for no limit. llm_timeout_s: seconds that one call of the model may take in all; null for what the
    LLM's configuration says (600 where it says nothing). answer_timeout_s: seconds that a person has to answer each
    question before the run ends unanswered; null for no limit. review: roles whose work a person approves before the
    team goes on.
    """

    n_round: Annotated[int, msgspec.Meta(ge=1, le=100)] = 12
    code_review: bool = False
    run_tests: bool = False
    budget_usd: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] | None = 10.0
    budget_tokens: Annotated[int, msgspec.Meta(ge=1, le=10**12)] | None = None
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=604_800)] | None = 3600.0
    llm_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] | None = None
    answer_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=2_592_000)] | None = ANSWER_TIMEOUT
    review: Annotated[list[Role], msgspec.Meta(max_length=5)] = []

    @property
    def team(self) -> tuple[Role, ...]:
        """The roles that work on the task."""
        return ROLES if self.run_tests else ROLES[:-1]


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model costs, in dollars per million tokens: of the prompts, and of the answers."""

    input: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
    output: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]


class Llm(msgspec.Struct, frozen=True, kw_only=True):
    """Which model a run uses.

    config: fields of MetaGPT's LLMConfig (api_type, base_url, api_key, model, ...); null for the demo model.
    demo_pace: a factor on the demo model's waiting, 1 for a human reading pace, 0 for none. prices: the user's own, by
    model.
    """

    config: dict[str, Any] | None = None
    demo_pace: float = 1.0
    prices: dict[str, Price] = {}

    @property
    def demo(self) -> bool:
        return self.config is None

    @property
    def model(self) -> str:
        return "demo" if self.config is None else str(self.config.get("model"))

    def __repr__(self) -> str:  # the config holds the API key
        return f"Llm({self.model})"


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="answer"):
    """A person's answer to an INPUT_REQUEST: one of its choices, or words."""

    request_id: str
    answer: str


class Say(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="message"):
    """A person's message for the team's queue, which the log has already; send_to: a role, or null for all."""

    id: str
    content: str
    send_to: Role | None = None


class Synced(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="synced"):
    """All is in the log that was sent before the `Sync` of this number, or an earlier one."""

    number: int


Word = Answer | Say
"""What a person has to say to the child."""

Command = Word | Synced


class OpenQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """A question that waits for a person's answer. role, kind: whose work has raised it, and what it is about.
    deadline: RFC 3339 UTC, the one that the person was shown; null for none.
    """

    request_id: str
    role: str
    kind: str
    deadline: str | None = None


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What earlier attempts have found out, for a team that works from the beginning once more.

    recorded: by what was asked (see the functions below), the answers in their order. said: a person's messages.
    question: the one that is still open, if one is.
    """

    recorded: dict[str, list[str]] = {}
    said: list[Say] = []
    question: OpenQuestion | None = None


def model_key(model: str, *, demo: bool, prompt_sha256: str) -> str:
    """Of a call of a model; what the demo model made up is no other's, whatever its name.

    prompt_sha256: of the role and the messages, see `runner.metagpt.provider`.
    """
    return f"{'demo' if demo else 'model'} {model} {prompt_sha256}"


def output_key(role: str, file: str) -> str:
    """Of a run of the tests in a file: JSON of what they printed, [stdout, stderr]."""
    return f"output {role} {file}"


def answered_key(role: str, kind: str) -> str:
    """Of a question that a role's work has raised. kind: what it is about, as in INPUT_REQUEST."""
    return f"answer {role} {kind}"


class Confinement(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is held in, beyond that it writes in its workspace only (see `runner.confinement`).

    hidden: absolute path of the folder that holds the workspace and much that the run may not even read.
    allow_network: whether the programs that it starts have the network.
    """

    hidden: str
    allow_network: bool = False


class AttemptSpec(msgspec.Struct, frozen=True, kw_only=True):
    """All that a child process is told.

    workspace: absolute path of an existing folder that is the task's own. project: the folder in it that the team is to
    go on with; null to begin one. used: what all attempts before it have used. versions: of all files that they have
    written.
    """

    task_id: str
    attempt: int
    input_prompt: str
    options: Options
    workspace: str
    confinement: Confinement
    llm: Llm
    project: str | None = None
    checkpoint: Checkpoint = Checkpoint()
    used: Usage = Usage()
    versions: list[Artifact] = []


class Sync(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="sync"):
    """Asks to be told, with `Synced`, when all is in the log that was sent before it. number: 1, 2, ..."""

    number: int


class BudgetRaised(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="budget raised"):
    """A person has raised a budget, for this attempt and later ones. to: in the unit of the option."""

    option: Literal["budget_usd", "budget_tokens"]
    to: float


Note = Sync | BudgetRaised

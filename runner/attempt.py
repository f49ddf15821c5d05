"""What crosses the pipe between the supervisor and the child process of one attempt. No I/O here.

The supervisor first sends the `AttemptSpec`, as its size in `SPEC_SIZE_BYTES` bytes, big-endian, and its JSON. After
that it is one JSON object per line both ways: the child sends drafts of events (`runner.events.Draft`) and nothing
else, the supervisor sends commands.
"""

from typing import Annotated, Any, Literal

import msgspec

SPEC_SIZE_BYTES = 4

Role = Literal["ProductManager", "Architect", "ProjectManager", "Engineer", "QaEngineer"]


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a task is to be run.

    n_round: rounds of the team at most (it ends earlier when every role is idle). code_review: the engineer reviews
    each file. run_tests: a QA engineer writes and runs tests. budget_usd: LLM cost at which the run ends; null for no
    limit. timeout_s: seconds after which the run is ended, the time in which a
    person is asked included; null for no limit. review: roles whose work a person
    approves before the team goes on.
    """

    n_round: Annotated[int, msgspec.Meta(ge=1, le=100)] = 12
    code_review: bool = False
    run_tests: bool = False
    budget_usd: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] | None = 10.0
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=604_800)] | None = 3600.0
    review: Annotated[list[Role], msgspec.Meta(max_length=5)] = []


class Llm(msgspec.Struct, frozen=True, kw_only=True):
    """Which model a run uses.

    config: fields of MetaGPT's LLMConfig (api_type, base_url, api_key, model, ...); null for the demo model.
    demo_pace: a factor on the demo model's waiting, 1 for a human reading pace, 0 for none.
    """

    config: dict[str, Any] | None = None
    demo_pace: float = 1.0

    @property
    def demo(self) -> bool:
        return self.config is None

    @property
    def model(self) -> str:
        return "demo" if self.config is None else str(self.config.get("model"))

    def __repr__(self) -> str:  # the config holds the API key
        return f"Llm({self.model})"


class AttemptSpec(msgspec.Struct, frozen=True, kw_only=True):
    """All that a child process is told. workspace: absolute path of an existing folder that is the task's own."""

    task_id: str
    attempt: int
    input_prompt: str
    options: Options
    workspace: str
    llm: Llm


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="answer"):
    """A person's answer to an INPUT_REQUEST: one of its choices, or words."""

    request_id: str
    answer: str


class Say(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="message"):
    """A person's message for the team's queue; send_to: a role, or null for all."""

    content: str
    send_to: Role | None = None


Command = Answer | Say

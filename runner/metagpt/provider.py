"""Every call to a model, whichever of MetaGPT's providers makes it: counted, priced, shown, and retried with reason.

MetaGPT nests three layers of retries, up to 108 attempts on a dead endpoint, and counts tokens with tables that it
downloads. Here one layer of retries surrounds the provider's bare call, and tokens come from the endpoint or, if it
does not tell, from the length of the text.
"""

import asyncio
import hashlib
import json
import math
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from metagpt.configs.llm_config import LLMConfig, LLMType
from metagpt.logs import set_llm_stream_logfunc
from metagpt.provider.llm_provider_registry import LLM_REGISTRY
from metagpt.provider.openai_api import OpenAILLM
from pydantic import ValidationError

from runner.attempt import model_key
from runner.events import EventType
from runner.metagpt import faults
from runner.metagpt.budget import Budget
from runner.metagpt.channel import ROLE
from runner.metagpt.demo.ideas import REVISION_MARK
from runner.metagpt.demo.provider import DemoLLM
from runner.metagpt.failures import LlmFailed, Misconfigured, RunFailed
from runner.metagpt.prices import FREE, cost, price_of
from runner.metagpt.run import TURN, Run, milliseconds_since
from runner.usage import add

BACKOFF = (0.5, 1.0, 2.0)  # seconds before each retry of a call
CHARS_PER_TOKEN = 4  # of English text and code, roughly, for every tokenizer in use


@dataclass(slots=True)
class Call:
    """One attempt of one call. The tokens are None until the endpoint has told them. streamed: characters so far."""

    id: str
    stream: bool
    prompt_sha256: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    streamed: int = 0


CALL: ContextVar[Call | None] = ContextVar("CALL", default=None)


def llm_config(run: Run) -> Any:
    """The run's LLMConfig. The demo model poses as an OpenAI one. Raises `Misconfigured`."""
    config = run.spec.llm.config
    if config is None:
        return LLMConfig(api_type=LLMType.OPENAI, api_key="demo-model", model=run.spec.llm.model)
    try:
        return LLMConfig(**config)
    except ValidationError as error:
        # What was given is not repeated: it may be a key that is taken for a number, and not known as a secret.
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise Misconfigured(": ".join([*map(str, fault["loc"]), fault["msg"]]) for fault in faults) from None


def install(run: Run, config: Any) -> None:
    """Have MetaGPT make `Meter`ed models only. Raises `LlmFailed` if the provider's package is not installed."""
    demo = run.spec.llm.demo
    provider = DemoLLM.paced(run.spec.llm.demo_pace) if demo else LLM_REGISTRY.providers.get(config.api_type)
    if provider is None:
        raise LlmFailed(f"The provider {config.api_type.value!r} needs a package that is not installed.")
    LLM_REGISTRY.register(config.api_type, _metered(provider, Meter(run, config)))
    set_llm_stream_logfunc(lambda text: _on_stream(run, text))


def estimate_tokens(chars: int) -> int:
    return math.ceil(chars / CHARS_PER_TOKEN)


class Meter:
    """What all models of a run share: the call numbers, the budget, the client, the endpoint's peculiarities."""

    def __init__(self, run: Run, config: Any) -> None:
        self.run = run
        self.config = config
        self.client: Any = None
        self.dialect = Dialect()
        self._calls = run.usage.llm_calls
        name = str(config.pricing_plan or config.model)
        self._price = FREE if run.spec.llm.demo else price_of(name, run.spec.llm.prices)
        self._budget = Budget(run, unpriced=config.model if self._price is None else None)
        self._recalled = 0

    async def complete(self, bare: Any, model: Any, messages: list[dict[str, Any]], stream: bool, limit: float) -> str:
        """The model's answer, through `bare`, the provider's own method without its retries."""
        prompt_sha256 = _fingerprint(messages)
        demo = self.run.spec.llm.demo
        recorded = self.run.recall.take(model_key(self.config.model, demo=demo, prompt_sha256=prompt_sha256))
        if recorded is not None:
            return self._recall(prompt_sha256, recorded)
        messages = _with_words_of_person(self.run, messages)
        waits = iter(BACKOFF)
        while True:
            await self._budget.allow()
            try:
                return await self._call(bare, model, messages, prompt_sha256, stream, limit)
            except RunFailed:
                raise
            except Exception as error:  # clients raise whatever they like: `faults` sorts it
                if self.dialect.learn(error):
                    continue
                fault = faults.explain(error, url=self.config.base_url, model=self.config.model, limit=limit)
                wait = next(waits, None) if fault.retry else None
                if wait is None:
                    tries = f" Tried {len(BACKOFF) + 1} times." if fault.retry else ""
                    raise LlmFailed(fault.message + tries) from error
                wait = max(wait, fault.retry_after or 0.0)
                self.run.log("WARNING", f"{fault.message} Trying again in {wait:g} s.")
                await asyncio.sleep(wait)

    def _recall(self, prompt_sha256: str, answer: str) -> str:
        """The answer of an earlier attempt: it was paid for then."""
        self._recalled += 1
        self.run.channel.emit(
            EventType.LLM_CALL,
            {
                "message": f"{self.config.model} had answered this in an earlier attempt.",
                "call": f"recalled-{self._recalled}",
                "model": self.config.model,
                "prompt_tokens": 0,
                "completion_tokens": 0,
                "cost_usd": 0.0,
                "duration_ms": 0,
                "error": None,
                "estimated": False,
                "demo": self.run.spec.llm.demo,
                "prompt_sha256": prompt_sha256,
                **_seal(answer),
                "replayed": True,
            },
        )
        return answer

    async def _call(
        self,
        bare: Any,
        model: Any,
        messages: list[dict[str, Any]],
        prompt_sha256: str,
        stream: bool,
        limit: float,
    ) -> str:
        self._calls += 1
        call = Call(f"call-{self._calls}", stream, prompt_sha256)
        token = CALL.set(call)
        started = time.monotonic()
        answer, error = "", None
        try:
            async with asyncio.timeout(limit):
                said = await bare(model, messages, stream=stream, timeout=limit) or ""
            # Before anything is made of it: what is cut, or put together anew, could not be recognised any more.
            answer = self.run.channel.redactor.known(said)
            if not call.streamed:
                self.run.channel.token(call.id, answer)
            return answer
        except BaseException as failure:
            error = "cancelled" if isinstance(failure, asyncio.CancelledError) else self._words(failure, limit)
            raise
        finally:
            CALL.reset(token)
            self._account(call, messages, answer, started, error)

    def _words(self, failure: BaseException, limit: float) -> str:
        return faults.explain(failure, url=self.config.base_url, model=self.config.model, limit=limit).message

    def _account(
        self, call: Call, messages: list[dict[str, Any]], answer: str, started: float, error: str | None
    ) -> None:
        # What was streamed before a call broke is paid for, too; whether one that never answered is, nobody tells.
        estimated = call.prompt_tokens is None and (error is None or call.streamed > 0)
        if estimated:
            call.prompt_tokens = estimate_tokens(sum(len(str(m.get("content", ""))) for m in messages))
            call.completion_tokens = estimate_tokens(max(len(answer), call.streamed))
        prompt, completion = call.prompt_tokens or 0, call.completion_tokens or 0
        dollars = None if self._price is None else cost(self._price, prompt, completion)
        model = self.config.model
        ending = f"The call to {model} failed: {error.rstrip('.')}." if error else f"{model} answered:"
        unpriced = " No price is known for this model." if dollars is None else ""
        payload = {
            "message": f"{ending} {prompt} tokens in, {completion} out.{unpriced}",
            "call": call.id,
            "model": model,
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "cost_usd": dollars,
            "duration_ms": milliseconds_since(started),
            "error": error,
            "estimated": estimated,
            "demo": self.run.spec.llm.demo,
            "prompt_sha256": call.prompt_sha256,
            **_seal(answer),
        }
        self.run.usage = add(self.run.usage, ROLE.get(), payload)
        self.run.channel.emit(EventType.LLM_CALL, payload)
        self._budget.look()


class Dialect:
    """What an OpenAI-compatible endpoint does not accept, learned from its refusals."""

    def __init__(self) -> None:
        self._refused: set[str] = set()

    def adapt(self, arguments: dict[str, Any], *, stream: bool) -> dict[str, Any]:
        """The arguments of a request, as the endpoint takes them."""
        if stream and "stream_options" not in self._refused:
            arguments["stream_options"] = {"include_usage": True}
        if "max_tokens" in self._refused and "max_tokens" in arguments:
            arguments["max_completion_tokens"] = arguments.pop("max_tokens")
        if "temperature" in self._refused:
            arguments.pop("temperature", None)
        return arguments

    def learn(self, error: Exception) -> bool:
        """Whether `error` refuses a parameter that we can do without, and did not know of yet."""
        if getattr(error, "status_code", None) not in (400, 422):
            return False
        text = f"{error} {json.dumps(getattr(error, 'body', None), default=str)}"
        for name in ("stream_options", "max_tokens", "temperature"):
            if name in text and name not in self._refused:
                self._refused.add(name)
                return True
        return False


def _metered(base: Any, meter: Meter) -> Any:
    """A subclass of a provider that goes through `meter`."""
    bare = getattr(base.acompletion_text, "__wrapped__", base.acompletion_text)  # without tenacity

    async def acompletion_text(
        self: Any,
        messages: list[dict[str, Any]],
        stream: bool = False,
        timeout: int = 0,  # noqa: ASYNC109, the name is MetaGPT's
    ) -> str:
        limit = meter.run.spec.options.llm_timeout_s or self.get_timeout(timeout)
        return await meter.complete(bare, self, messages, stream, limit)

    def _update_costs(self: Any, usage: Any, model: str | None = None, local_calc_usage: bool = True) -> None:
        call, usage = CALL.get(), usage.model_dump() if hasattr(usage, "model_dump") else usage
        if call is not None and usage:
            call.prompt_tokens = int(usage.get("prompt_tokens") or 0)
            call.completion_tokens = int(usage.get("completion_tokens") or 0)

    methods: dict[str, Any] = {"acompletion_text": acompletion_text, "_update_costs": _update_costs}
    if issubclass(base, OpenAILLM):
        methods |= _openai_methods(base, meter)
    return type(f"Metered{base.__name__}", (base,), methods)


def _openai_methods(base: Any, meter: Meter) -> dict[str, Any]:
    def _init_client(self: Any) -> None:
        self.model = self.config.model
        self.pricing_plan = self.config.pricing_plan or self.model

    def aclient(self: Any) -> Any:
        # One client per run, made at the first call: it costs 30 ms, and each of the five roles would make one.
        if meter.client is None:
            base._init_client(self)
            meter.client = self.__dict__.pop("_own_client")
            meter.client.max_retries = 0
        return meter.client

    def set_aclient(self: Any, client: Any) -> None:
        self.__dict__["_own_client"] = client

    def _cons_kwargs(self: Any, messages: list[dict[str, Any]], timeout: int = 0, **extra: Any) -> dict[str, Any]:
        call = CALL.get()
        arguments: dict[str, Any] = base._cons_kwargs(self, messages, timeout=timeout, **extra)
        return meter.dialect.adapt(arguments, stream=call is not None and call.stream)

    def _calc_usage(self: Any, messages: list[dict[str, Any]], rsp: str) -> None:
        return None  # in place of tiktoken, which would go to the network: the meter estimates

    return {
        "_init_client": _init_client,
        "aclient": property(aclient, set_aclient),
        "_cons_kwargs": _cons_kwargs,
        "_calc_usage": _calc_usage,
    }


def _fingerprint(messages: list[dict[str, Any]]) -> str:
    """SHA-256 of who asks and what; without what persons have said, who may say it later in the next attempt."""
    return hashlib.sha256(json.dumps([ROLE.get(), messages], sort_keys=True).encode()).hexdigest()


def _seal(answer: str) -> dict[str, Any]:
    """By what it is known whether the TOKENs of a call hold its whole answer."""
    sent = answer.encode("utf-8", "replace")  # half of a surrogate pair is sent as "?"
    return {"answer_chars": len(answer), "answer_sha256": hashlib.sha256(sent).hexdigest()}


def _on_stream(run: Run, text: str) -> None:
    call = CALL.get()
    if call is not None:
        call.streamed += len(text)
        run.channel.token(call.id, text)


def _with_words_of_person(run: Run, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages, with what a person has said to this role at the end of the last one."""
    words = _words_of_person(run)
    if not words or not isinstance(messages[-1].get("content"), str):
        return messages
    return [*messages[:-1], {**messages[-1], "content": f"{messages[-1]['content']}\n\n-----\n{words}\n"}]


def _words_of_person(run: Run) -> str:
    role, turn = ROLE.get(), TURN.get()
    wishes = [say.content for say in run.said.values() if say.send_to in (None, role)]
    parts = []
    if turn is not None and turn.revision is not None:
        parts.append(f"Your previous work was not accepted:\n\n{_previous_work(turn.revision.previous, turn.file)}")
        wishes.append(turn.revision.words)
    return "\n\n-----\n".join([*parts, *(f"{REVISION_MARK} {wish}" for wish in wishes)])


def _previous_work(previous: dict[str, str], file: str | None) -> str:
    """What was written before: of the file that is written anew, or else the documents."""
    of_file = [text for path, text in previous.items() if file and path.endswith(f"/{file}")]
    return "\n\n".join(of_file or [text for path, text in previous.items() if path.endswith(".json")])

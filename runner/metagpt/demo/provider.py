"""The demo model as a MetaGPT provider. The only module of this package that imports MetaGPT."""

# MetaGPT calls these methods with a timeout.
# ruff: noqa: ASYNC109

import asyncio
import re
import time
from collections.abc import Iterator
from typing import Any, ClassVar

from metagpt.configs.llm_config import LLMConfig
from metagpt.const import USE_CONFIG_TIMEOUT
from metagpt.logs import log_llm_stream
from metagpt.provider.base_llm import BaseLLM
from metagpt.utils.cost_manager import CostManager

from runner.metagpt.demo.answers import answer

MODEL = "demo"
TOKENS_PER_S = 75.0  # at pace 1: about as fast as an eye follows code
CHARS_PER_TOKEN = 4
CHUNK_CHARS = 2000  # of an answer that does not wait

TOKEN = re.compile(r"\s*(?:[^\W_]{1,7}|[\W_]{1,3})")

FREE = {"prompt": 0.0, "completion": 0.0}  # USD per 1000 tokens


class DemoLLM(BaseLLM):  # type: ignore[misc]  # MetaGPT is not followed by mypy
    """Stands in where a role calls its LLM, and only there. It costs nothing and needs no network.

    pace: a factor on its waiting time; 1 streams 75 tokens a second, 2 takes twice as long, 0 does not wait at all.
    It is a class attribute because MetaGPT builds providers from an LLMConfig alone: register `DemoLLM.paced(pace)`.
    """

    pace: ClassVar[float] = 1.0

    def __init__(self, config: LLMConfig) -> None:
        self.config = config
        self.model = MODEL
        self.pricing_plan = MODEL
        self.cost_manager: CostManager | None = None

    @classmethod
    def paced(cls, pace: float) -> "type[DemoLLM]":
        """This class with another pace."""
        return type(cls.__name__, (cls,), {"pace": pace})

    async def acompletion(self, messages: list[dict[str, Any]], timeout: int = USE_CONFIG_TIMEOUT) -> dict[str, Any]:
        return await self._achat_completion(messages, timeout=timeout)

    async def _achat_completion(
        self, messages: list[dict[str, Any]], timeout: int = USE_CONFIG_TIMEOUT
    ) -> dict[str, Any]:
        """An answer in one piece, shaped as OpenAI's: get_choice_text is BaseLLM's."""
        text = answer_to(messages)
        await asyncio.sleep(len(text) / CHARS_PER_TOKEN / TOKENS_PER_S * self.pace)
        usage = self._account(messages, text)
        return {"model": MODEL, "choices": [{"message": {"role": "assistant", "content": text}}], "usage": usage}

    async def _achat_completion_stream(self, messages: list[dict[str, Any]], timeout: int = USE_CONFIG_TIMEOUT) -> str:
        """An answer token by token. A late token does not delay those after it."""
        text = answer_to(messages)
        started = time.monotonic()
        for n, piece in enumerate(tokens(text) if self.pace else chunks(text)):
            await asyncio.sleep(max(0.0, started + n / TOKENS_PER_S * self.pace - time.monotonic()))
            log_llm_stream(piece)
        log_llm_stream("\n")
        self._account(messages, text)
        return text

    def _account(self, messages: list[dict[str, Any]], text: str) -> dict[str, int]:
        """Note the tokens of a call, and return them."""
        usage = usage_of(messages, text)
        if self.cost_manager:  # it warns of a model without a price at every call
            self.cost_manager.token_costs.setdefault(MODEL, FREE)
        self._update_costs(usage)
        return usage


def answer_to(messages: list[dict[str, Any]]) -> str:
    """The answer to the last message that a user sent."""
    system = "\n".join(said(message) for message in messages if message["role"] == "system")
    prompts = [said(message) for message in messages if message["role"] == "user"]
    return answer(prompts[-1] if prompts else "", system)


def said(message: dict[str, Any]) -> str:
    """The text of a message; with images, its content is a list of parts."""
    content = message["content"]
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


def tokens(text: str) -> Iterator[str]:
    """The text in pieces of about the size of a tokenizer's; together they are the text."""
    end = 0
    for match in TOKEN.finditer(text):
        yield match[0]
        end = match.end()
    if end < len(text):
        yield text[end:]


def chunks(text: str) -> Iterator[str]:
    return (text[start : start + CHUNK_CHARS] for start in range(0, len(text), CHUNK_CHARS))


def usage_of(messages: list[dict[str, Any]], text: str) -> dict[str, int]:
    """Tokens, estimated by length: a real count needs tables that tiktoken downloads."""
    prompt = sum(len(said(message)) for message in messages)
    return {"prompt_tokens": -(-prompt // CHARS_PER_TOKEN), "completion_tokens": -(-len(text) // CHARS_PER_TOKEN)}

"""Keeps secrets out of what leaves a process: a child's events, the server's log."""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

HIDDEN = "[redacted]"

# Fields of MetaGPT's LLMConfig that hold a secret.
SECRET_FIELDS = ("api_key", "access_key", "secret_key", "session_token", "api_secret", "proxy")

# Shorter ones are placeholders ("sk-", "none") and would blank out ordinary words.
MIN_SECRET_CHARS = 6

TOKEN_SHAPES = re.compile(r"(?i:\bbearer\s+)[\w.~+/=-]{16,}|\bsk-[\w-]{16,}")
# Plain searches are twenty times faster than the pattern, and almost no text has any of these.
TOKEN_HINTS = ("sk-", "earer", "EARER")


class Redactor:
    """Replaces the given secrets, and whatever looks like a bearer token or an OpenAI key, in any text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted({s for s in secrets if len(s) >= MIN_SECRET_CHARS}, key=len, reverse=True)
        encoded = [msgspec.json.encode(secret)[1:-1] for secret in self._secrets]
        self._hints = (*encoded, *(hint.encode() for hint in TOKEN_HINTS))

    @classmethod
    def of_config(cls, config: Mapping[str, Any] | None) -> "Redactor":
        """A redactor of the secrets in an LLMConfig's fields, and of the passwords of this process's proxies."""
        config = config or {}
        values = [config.get(field) for field in SECRET_FIELDS]
        values.append(urlsplit(str(config.get("base_url", ""))).password)
        values += [urlsplit(value).password for name, value in os.environ.items() if name.lower().endswith("_proxy")]
        return cls(value for value in values if isinstance(value, str))

    def suspects(self, line: bytes) -> bool:
        """Whether there may be a secret in encoded JSON: far quicker than to look into every string."""
        return any(hint in line for hint in self._hints)

    def known(self, text: str) -> str:
        """`text` with the given secrets replaced, and nothing that only looks like one."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def begun(self, text: str) -> str:
        """The end of `text` that may be the beginning of a secret, which goes on in what follows."""
        beginnings = (secret[:size] for secret in self._secrets for size in range(1, len(secret)))
        return max(filter(text.endswith, beginnings), key=len, default="")

    def text(self, text: str) -> str:
        text = self.known(text)
        if any(hint in text for hint in TOKEN_HINTS):
            text = TOKEN_SHAPES.sub(HIDDEN, text)
        return text

    def value(self, value: Any) -> Any:
        """`value` with every string in it redacted: mappings and lists are copied, the rest is passed through."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self.value(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return value

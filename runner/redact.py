"""Keeps secrets out of what leaves a process: a child's events, the server's log."""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from runner.events import CUT

HIDDEN = "[redacted]"

# Fields of MetaGPT's LLMConfig that hold a secret.
SECRET_FIELDS = ("api_key", "access_key", "secret_key", "session_token", "api_secret", "proxy")

# Shorter ones are placeholders ("sk-", "none") and would blank out ordinary words.
MIN_SECRET_CHARS = 6

TOKEN_SHAPES = re.compile(r"(?i:\bbearer\s+)[\w.~+/=-]{16,}|\bsk-[\w-]{16,}")
# Plain searches are twenty times faster than the pattern, and almost no text has any of these.
TOKEN_HINTS = ("sk-", "earer", "EARER")


_MAY_HOLD_PASSWORD = re.compile(r"_proxy$|^PIP_\w*(INDEX_URL|PROXY|FIND_LINKS)$", re.IGNORECASE)  # URLs
_USER = re.compile(r"://([^/?#\s]*)@")  # in a URL: a name with a password, or a token alone


class Redactor:
    """Replaces the given secrets, and whatever looks like a bearer token or an OpenAI key, in any text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted({s for s in secrets if len(s) >= MIN_SECRET_CHARS}, key=len, reverse=True)
        encoded = [msgspec.json.encode(secret[:MIN_SECRET_CHARS])[1:-1] for secret in self._secrets]
        self._hints = (*encoded, *(hint.encode() for hint in TOKEN_HINTS))

    @classmethod
    def of_config(cls, config: Mapping[str, Any] | None) -> "Redactor":
        """A redactor of the secrets in an LLMConfig's fields, and in the URLs of proxies and of pip's index."""
        config = config or {}
        values = [config.get(field) for field in SECRET_FIELDS]
        for field in ("base_url", "proxy"):
            values += _passwords(str(config.get(field, "")))
        for name, value in os.environ.items():
            if _MAY_HOLD_PASSWORD.search(name):
                values += _passwords(value)
        return cls(value for value in values if isinstance(value, str))

    def suspects(self, line: bytes) -> bool:
        """Whether there may be a secret in encoded JSON: far quicker than to look into every string."""
        return any(hint in line for hint in self._hints)

    def known(self, text: str) -> str:
        """`text` with the given secrets replaced, also where one was cut, but nothing that only looks like one."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text if CUT not in text else CUT.join(self._cut(text.split(CUT)))

    def begun(self, text: str) -> str:
        """The end of `text` that may be the beginning of a secret, which goes on in what follows."""
        beginnings = (secret[:size] for secret in self._secrets for size in range(1, len(secret)))
        return max(filter(text.endswith, beginnings), key=len, default="")

    def _cut(self, parts: list[str]) -> list[str]:
        """The parts of a text, after each of which but the last it was cut."""
        left = [self.begun(part) for part in parts[:-1]]
        return [
            *[
                part.removesuffix(begun) + HIDDEN if len(begun) >= MIN_SECRET_CHARS else part
                for part, begun in zip(parts, left, strict=False)
            ],
            parts[-1],
        ]

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


def _passwords(urls: str) -> list[str]:
    """What lets somebody in at these URLs, as it stands there and as it is meant."""
    found = []
    for user in _USER.findall(urls):
        name, _, password = user.partition(":")
        found += [password or name, unquote(password or name)]
    return found

"""What full-text search (FTS5) makes of words: how a text stands in an index, a person's query, and snippets.

What is searched for is words, all of which must be there: whatever a person types, none of it is query syntax but the
quotation marks around a phrase. A word is found by its beginning. Between the characters of scripts that are written
without spaces stands an invisible space in the index, so that any part of such a text is found.
"""

import re
from typing import Any

import msgspec

TEXT_LIMIT = 100_000  # characters of a text that are indexed

# Private-use characters around what matched; in an index they do not occur.
BEGIN, END = "\ue000", "\ue001"

_PART_LIMIT = 200  # characters of each part of a snippet
_JOINT = "\u200b"
_REMOVED = re.compile(f"[{BEGIN}{END}{_JOINT}]")
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])"
)
_DOCUMENT = re.compile(r"\s*[\[{]")
_TERM = re.compile(r'"([^"]*)"|([^\s"]+)')


def indexed(text: str) -> str:
    """A text as it is put into an index."""
    plain = _REMOVED.sub("", text[:TEXT_LIMIT]).replace("\0", " ")
    return _UNSPACED.sub(rf"{_JOINT}\1{_JOINT}", plain)


def readable(text: str) -> str:
    """A text as people read it: of JSON, also of JSON within it, the names and values, a line each; else as it is."""
    lines = []
    left: list[tuple[str, Any]] = [("", text)]
    while left:
        name, value = left.pop()
        value = _document(value) if isinstance(value, str) else value
        if isinstance(value, dict | list):
            lines += [f"{name}:"] if name else []
            parts = value.items() if isinstance(value, dict) else (("", item) for item in value)
            left += reversed(list(parts))
        elif value is not None:
            shown = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            lines.append(f"{name}: {shown}" if name else shown)
    return "\n".join(lines)


def _document(text: str) -> Any:
    """What a text of JSON holds; any other text as it is."""
    if not _DOCUMENT.match(text):
        return text
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return text


def match(query: str) -> str:
    """An FTS5 query that finds these words and "phrases"; empty if there are none."""
    terms = []
    for phrase, word in _TERM.findall(query):
        text = indexed(phrase or word)
        if any(map(str.isalnum, text)):
            terms.append(f'"{text}"' if phrase else f'"{text}"*')
    return " ".join(terms)


def parts(snippet: str) -> list[str]:
    """A snippet as plain text in parts, every second of which is what matched."""
    found = re.split(f"[{BEGIN}{END}]", snippet.replace(_JOINT, ""))
    return [_cut(part, at, len(found)) for at, part in enumerate(found)]


def _cut(part: str, at: int, count: int) -> str:
    """A part that is not too long: the first one is cut at its beginning, others at their end."""
    if len(part) <= _PART_LIMIT:
        return part
    if at == 0 and count > 1:
        return "…" + part[1 - _PART_LIMIT :]
    return part[: _PART_LIMIT - 1] + "…"

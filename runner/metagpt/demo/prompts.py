"""What a prompt of MetaGPT 0.8.2 asks for and is about. Its fixed words are known, what people typed in between is not.

Where both could hold a mark, the one nearest the end of the prompt is taken: the fixed words come last.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from runner.metagpt.demo.documents import REQUIREMENT
from runner.metagpt.demo.ideas import REVISION_MARK, Idea

FIRST_KEYS = "Language|Programming Language|(?:Original|Refined) Requirements|(?:Refined )?Implementation [Aa]pproach"
DOCUMENT = re.compile(rf'\{{"(?:{FIRST_KEYS})"\s*:')
REQUIREMENT_KEYS = ("Refined Requirements", "Original Requirements")
APPROACH_KEYS = ("Refined Implementation Approach", "Implementation approach")
FORMAT_EXAMPLE = "\n## format example\n[CONTENT]\n"
CONTEXT_END = f"\n\n-----\n{FORMAT_EXAMPLE}"
STRUCTURED_END = "generate output and make sure it follows the format example.\n"
REVISION = re.compile(rf"{re.escape(REVISION_MARK)}[ \t]*(.+?)(?=\n\s*(?:#|-----|```|\[)|\Z)", re.DOTALL)
DECODER = json.JSONDecoder()


def between(text: str, start: str, end: str) -> str | None:
    """What stands between the first start and the last end, or None."""
    _, found, rest = text.partition(start)
    body, ended, _ = rest.rpartition(end)
    return body if found and ended else None


def last_between(text: str, start: str, end: str) -> str | None:
    """What stands between the last start and the first end after it, or None."""
    _, found, rest = text.rpartition(start)
    body, ended, _ = rest.partition(end)
    return body if found and ended else None


def example(prompt: str) -> dict[str, Any] | None:
    """The example document of a structured prompt: its keys are what an answer must hold. None for other prompts."""
    _, found, rest = prompt.rpartition(FORMAT_EXAMPLE)
    if not found or STRUCTURED_END not in rest:
        return None
    try:
        document, _ = DECODER.raw_decode(rest.lstrip())
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def documents(prompt: str) -> Iterator[dict[str, Any]]:
    """The PRDs and designs that a prompt holds as JSON, in order."""
    start = 0
    while found := DOCUMENT.search(prompt, start):
        try:
            document, start = DECODER.raw_decode(prompt, found.start())
        except ValueError:
            start = found.end()
            continue
        yield document


def requirement(document: dict[str, Any]) -> str | None:
    """The requirement that a PRD or a design of this model carries."""
    for key in REQUIREMENT_KEYS:
        if isinstance(text := document.get(key), str):
            return text
    for key in APPROACH_KEYS:
        if isinstance(text := document.get(key), str) and REQUIREMENT in text:
            return text.partition(REQUIREMENT)[2]
    return None


def asked_for(prompt: str, system: str | None = None) -> list[str]:
    """What a person asks to revise, in this prompt."""
    return [*REVISION.findall(prompt), *REVISION.findall(system or "")]


def idea(prompt: str, system: str | None = None) -> Idea:
    """The idea that a prompt is about, with the revisions that a person asks for in it."""
    asked = asked_for(prompt, system)
    body = REVISION.sub("", prompt)
    context = between(body, "\n## context\n", CONTEXT_END)
    if context is not None:
        body = context
    if (typed := between(body, "\n### Original Requirements\n", "\n\n### Search Information")) is not None:
        return Idea.parse(typed).revised(*asked)
    carried = [text for document in documents(body) if (text := requirement(document)) is not None]
    if not carried:
        return Idea.parse(context or "").revised(*asked)
    about = Idea.parse(carried[-1])
    return about.revised(*(words for words in _new_words(body) if Idea.parse(words).text != about.text), *asked)


def _new_words(body: str) -> Iterator[str]:
    """What an incremental prompt asks for in words of its own: a new requirement, or a bug to be fixed."""
    _, found, rest = body.rpartition("\n### New Requirements\n")
    new = rest if found else ""
    feedback = (last_between(body, f"\n## {name}\n```text\n", "\n```") for name in ("Issue", "Bug Feedback logs"))
    for words in (new, *feedback):
        if words and words.strip() and not DOCUMENT.match(words.strip()):
            yield words

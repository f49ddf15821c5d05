"""The demo model itself: from a prompt of MetaGPT 0.8.2 to an answer. No state, no chance, no import of MetaGPT."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from runner.metagpt.demo import prompts, sketches
from runner.metagpt.demo.archetypes import (
    WRITTEN_BY,
    Archetype,
    archetype_of,
    archetype_of_code,
    quoted,
    with_constants,
)
from runner.metagpt.demo.documents import Documents, Value
from runner.metagpt.demo.ideas import Idea, plain

PASSED = re.compile(r"^OK\b", re.MULTILINE)
BUG = re.compile(r"\b(?:bug|broken|crash(?:es|ed)?|error|exception|fix|fails?|traceback|wrong)\b", re.IGNORECASE)
ASKED_WIDTH = 90  # characters
DEFAULT = (
    "I am the demo model of metagpt-live. I know the prompts of MetaGPT's software team and answer those; for anything "
    "else, configure a real LLM."
)


class Kind(NamedTuple):
    """A kind of prompt. sign: words that MetaGPT's template for it ends with; answer: from prompt and system prompt."""

    sign: str
    answer: Callable[[str, str | None], str]


def answer(prompt: str, system: str | None = None) -> str:
    """The answer to a prompt. The same prompt always gets the same answer, and every prompt gets one."""
    if (keys := prompts.example(prompt)) is not None:
        return structured(keys, prompt, system)
    positions = [(prompt.rfind(kind.sign), kind) for kind in KINDS]
    position, kind = max(positions, key=lambda found: found[0])
    return kind.answer(prompt, system) if position >= 0 else DEFAULT


def structured(example: dict[str, object], prompt: str, system: str | None) -> str:
    """A document with the keys of the example; a key that is no demo document's keeps its example."""
    idea = prompts.idea(prompt, system)
    documents = Documents(idea, archetype_of(idea))
    values: dict[str, object] = {}
    for key, shown in example.items():
        value = decision(key, idea) if key in DECISIONS else documents.value(key)
        values[key] = shown if value is None else value
    text = json.dumps(values, indent=4, ensure_ascii=False)
    # A tag in the idea's own words would end the document early: escaped, it is the same JSON.
    return "[CONTENT]\n" + text.replace("CONTENT]", "CONTENT\\u005d") + "\n[/CONTENT]"


DECISIONS = ("issue_type", "is_relative", "reason")


def decision(key: str, idea: Idea) -> Value:
    """The questions before an incremental change: is it a bug report, and is it about the project at hand?"""
    if key == "is_relative":
        return "YES"
    bug = BUG.search(idea.revisions[-1] if idea.revisions else idea.text)
    if key == "issue_type":
        return "BUG" if bug else "REQUIREMENT"
    return f"The words {'speak of something that does not work' if bug else 'ask for something new in this project'}."


def fenced(filename: str, code: str) -> str:
    return f"## Code: {filename}\n```python\n{code.strip()}\n```\n"


def write_code(prompt: str, system: str | None) -> str:
    """One file of the program."""
    filename = (prompts.last_between(prompt, "\n## Code: ", "\n") or "main.py").split(". Write code with")[0].strip()
    return fenced(filename, source(filename, prompts.idea(prompt, system)))


def rewrite_code(prompt: str, system: str | None) -> str:
    """One file of the program, after a review that asked for changes."""
    filename = prompts.last_between(prompt, "# Instruction: rewrite the `", "`") or "main.py"
    return fenced(filename, source(filename, prompts.idea(prompt, system)))


def source(filename: str, idea: Idea) -> str:
    archetype = archetype_of(idea)
    if filename in archetype.sources:
        return archetype.source(filename, idea)
    return f'"""Left empty: main.py does not need it. {WRITTEN_BY}"""\n'


def review_code(prompt: str, _: str | None) -> str:
    """An approval of one file, with what was looked at."""
    filename = prompts.last_between(prompt, "\n## Code to be Reviewed: ", "\n") or "the file"
    code = prompts.last_between(prompt, f"\n## Code to be Reviewed: {filename}\n```Code\n", "\n```\n") or ""
    try:
        part = sketches.module(filename, code, [])
    except (SyntaxError, ValueError):
        part = sketches.Module(filename, (), (), {})
    names = [cls.name for cls in part.classes] + [function.name for function in part.functions]
    return f"""## Code Review: {filename}
1. Yes. It covers its share of the requirement, no more.
2. Yes. Input that makes no sense gets an answer instead of a traceback.
3. Yes. {f"It defines {', '.join(names)}, as designed." if names else "It follows the design."}
4. Yes. No function is left open.
5. Yes. All imports are there, and all are used.
6. Yes. What it takes from other files exists there with these arguments.

## Actions
pass

## Code Review Result
LGTM
"""


def summarize_code(prompt: str, _: str | None) -> str:
    """A summary with nothing left to do."""
    blocks = re.findall(r"\n```python\n(.*?)\n```\n-----", prompt, re.DOTALL)
    found = next((archetype for block in blocks if (archetype := archetype_of_code("main.py", f"\n{block}"))), None)
    files = list(found.sources) if found else ["main.py"]
    reviews = "\n".join(f"### {name}\n- Complete, and used as designed.\n" for name in files)
    flow = "\n".join(f"    main.py-->{name}" for name in files if name != "main.py") or "    main.py"
    summary = "\n".join(f"- {name}: implemented" for name in files)
    return f"""## Code Review All

{reviews}
## Call flow
```mermaid
flowchart TB
{flow}
```

## Summary
{summary}

## TODOs
{{}}
"""


def is_pass(_: str, __: str | None) -> str:
    return '{"answer": "YES", "todos": {}}'


def write_test(prompt: str, system: str | None) -> str:
    """The tests of one file."""
    path = prompts.last_between(prompt, "\nNote that the code to test is at ", ", we will put your test code at ") or ""
    code = prompts.between(prompt, "of this code:\n```python\n", "\n```\nNote that the code to test is at ") or ""
    filename, folder = Path(path).name or "main.py", Path(path).parent.name
    test = tests(filename, folder, archetype_of_code(filename, code))
    asked = "".join(f"# Asked for since: {plain(words, ASKED_WIDTH)}.\n" for words in prompts.asked_for(prompt, system))
    return fenced(f"test_{filename}", test.replace('"""\n\n', f'"""\n\n{asked}\n' if asked else '"""\n\n', 1))


def tests(filename: str, folder: str, archetype: Archetype | None) -> str:
    """The tests of a file. Of code that this model did not write (archetype None), only that it compiles."""
    if archetype and filename in archetype.tests:
        return archetype.test(filename, folder)
    return with_constants(COMPILES, FILENAME=filename).replace('"program"', quoted(folder))


def run_code(prompt: str, _: str | None) -> str:
    """A verdict on the output of a test run. unittest writes its own to the standard errors."""
    errors = prompts.between(prompt, "\nstandard errors: \n```text\n", "\n```\n") or ""
    tested = prompts.last_between(prompt, "\n## Test File Name\n", "\n") or "the test file"
    if PASSED.search(errors) and "FAILED" not in errors:
        return verdict("All tests passed; there is nothing to correct.", "None", "PASS", "NoOne")
    return verdict("The tests did not pass. Write them anew for the code as it is.", tested, "FAIL", "QaEngineer")


def verdict(instruction: str, filename: str, status: str, recipient: str) -> str:
    return f"""---
## instruction:
{instruction}
## File To Rewrite:
{filename}
## Status:
{status}
## Send To:
{recipient}
---
"""


def debug_error(prompt: str, _: str | None) -> str:
    """The tests of the file anew."""
    code = prompts.between(prompt, "\n# Legacy Code\n```python\n", "\n```\n---\n# Unit Test Code\n") or ""
    old_test = prompts.last_between(prompt, "\n# Unit Test Code\n```python\n", "\n```\n---\n# Console logs") or ""
    folder = re.search(r'parents\[1\] / "(.*?)"', old_test)
    filename = old_test.split(" ", 3)[2].rstrip(":.") if old_test.startswith('"""Tests of ') else "main.py"
    test = tests(filename, folder[1] if folder else "", archetype_of_code(filename, code))
    return fenced(f"test_{filename}", test)


def next_stage(prompt: str, _: str | None) -> str:
    """The first stage for a role that is in none yet, and then the end."""
    return "0" if "\nYour previous stage: -1" in prompt else "-1"


COMPILES = '''"""Tests that a file is well-formed. Run: python tests/test_<file>"""

import unittest
from pathlib import Path

FILENAME = "main.py"


class FileTest(unittest.TestCase):
    def test_compiles(self) -> None:
        path = Path(__file__).resolve().parents[1] / "program" / FILENAME
        compile(path.read_text(encoding="utf-8"), FILENAME, "exec")


if __name__ == "__main__":
    unittest.main()
'''

KINDS = (
    Kind('\n# Instruction: Based on the context, follow "Format example", write', write_code),
    Kind("\n# Instruction: Based on the actual code, follow one of the", review_code),
    Kind("\n# Instruction: rewrite the `", rewrite_code),
    Kind("\n## TODOs: Python dict[str, str], write down the list of files", summarize_code),
    Kind("\nDoes the above log indicate anything that needs to be done?", is_pass),
    Kind("\nNote that the code to test is at ", write_test),
    Kind("\nYou should fill in necessary instruction, status, send to,", run_code),
    Kind("\n## file name of the code to rewrite: Write code with triple quote.", debug_error),
    Kind("\nJust answer a number between 0-", next_stage),
)

"""The demo model without MetaGPT: ideas, programs, documents and answers."""

import ast
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.metagpt.demo import prompts
from runner.metagpt.demo.answers import DEFAULT, KINDS, answer
from runner.metagpt.demo.archetypes import WRITTEN_BY, archetype_of, archetype_of_code, archetypes, with_constants
from runner.metagpt.demo.documents import WRITERS, Documents
from runner.metagpt.demo.ideas import REVISION_MARK, Idea

NASTY = [
    "",
    "???",
    "🎲",
    "日本語の単語帳アプリ。かわいい",
    "a \"quoted\" '''idea''' with \\ and \"\"\"",
    "```python\nimport os\n``` [/CONTENT] [CONTENT] ## Code: evil.py",
    "../../../etc/passwd",
    "line one\nline two\r\n\tRevision: not one\n\nRevision: one",
    "x" * 100_000,
    "word " * 20_000,
    "{format} %s {0} ${noun} $noun \x00\x07\ud800\u2028",
]
STRUCTURED = """
## context
{context}

-----

## format example
[CONTENT]
{example}
[/CONTENT]

## nodes: "<node>: <type>  # <instruction>"

## action
Follow instructions of nodes, generate output and make sure it follows the format example.
"""
PRD_KEYS = ["Language", "Original Requirements", "Project Name", "User Stories", "Requirement Pool", "Anything UNCLEAR"]
DESIGN_KEYS = ["Implementation approach", "File list", "Data structures and interfaces", "Program call flow"]
TASK_KEYS = ["Required packages", "Logic Analysis", "Task list", "Shared Knowledge"]


def structured(keys: list[str], context: str, *, extra: str = "") -> dict[str, Any]:
    """The document that the model writes for a prompt with these keys."""
    text = answer(STRUCTURED.format(context=context, example=json.dumps(dict.fromkeys(keys, "..."))) + extra)
    found = re.fullmatch(r"\[CONTENT\]\n(.*)\n\[/CONTENT\]", text, re.DOTALL)
    assert found and text.count("[CONTENT]") == text.count("[/CONTENT]") == 1
    document = json.loads(found[1])
    assert list(document) == keys
    assert isinstance(document, dict)
    return document


def prd(idea: str, *, extra: str = "") -> dict[str, Any]:
    context = f"\n### Project Name\nx\n\n### Original Requirements\n{idea}\n\n### Search Information\n-\n"
    return structured(PRD_KEYS, context, extra=extra)


def write_code(filename: str, design: dict[str, Any]) -> str:
    """The code that the model writes for a file of a design."""
    prompt = f"""
# Context
## Design
{json.dumps(design, ensure_ascii=False)}

# Instruction: Based on the context, follow "Format example", write code.

## Code: {filename}. Write code with triple quoto, based on the following attentions and context.
1. Only One file: do your best to implement THIS ONLY ONE FILE.
"""
    found = re.search(r"```.*?\s+(.*?)```", answer(prompt), re.DOTALL)  # as MetaGPT's CodeParser does
    assert found
    return found[1]


def written(idea: str, folder: Path) -> list[Path]:
    """Have the program for an idea written, by way of all documents; returns its files."""
    design = structured(DESIGN_KEYS, json.dumps(prd(idea), ensure_ascii=False))
    tasks = structured(TASK_KEYS, json.dumps(design, ensure_ascii=False))
    assert set(tasks["Task list"]) == set(design["File list"])
    for name in tasks["Task list"]:
        (folder / name).write_text(write_code(name, design), encoding="utf-8")
    return [folder / name for name in tasks["Task list"]]


def run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        env={"PATH": os.environ["PATH"], "PYTHONIOENCODING": "utf-8"},
    )


def typed(lines: list[str], folder: Path) -> tuple[int, str]:
    """Run main.py at a terminal into which lines are typed; returns the exit code and the screen."""
    terminal, end = pty.openpty()
    os.write(terminal, "".join(f"{line}\n" for line in lines).encode() + b"\x04")  # ends with Ctrl-D
    process = subprocess.Popen(
        [sys.executable, "main.py"], cwd=folder, stdin=end, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    screen, _ = process.communicate(timeout=20)
    os.close(terminal)
    os.close(end)
    return process.returncode, screen.decode()


@pytest.mark.parametrize(
    ("text", "title", "thing", "noun"),
    [
        ("A command line game of hangman", "Command line game of hangman", "a command line game of hangman", None),
        ("Please build me a to-do list app!", "To-do list app", "a to-do list app", None),
        ("track my expenses", "Track your expenses", "a program to track your expenses", "expense"),
        ("todo", "Todo", "a program for “Todo”", None),
        ("recipe manager", "Recipe manager", "a recipe manager", "recipe"),
        ("An inventory system", "Inventory system", "an inventory system", None),
        ("I'm bored. Make me a hangman game.", "Hangman game", "a hangman game", None),
        ("I want an app to track my plants", "App to track your plants", "an app to track your plants", "plant"),
        ("Make me a website for my bakery", "Website for your bakery", "a website for your bakery", "bakery"),
        ("???", "Small surprise", "a small program", "entry"),
    ],
)
def test_an_idea_is_told_in_its_own_words(text: str, title: str, thing: str, noun: str | None) -> None:
    """Title, noun phrase and noun are good English, made of what was typed."""
    idea = Idea.parse(text)
    assert (idea.title, idea.thing) == (title, thing)
    assert noun is None or idea.noun == noun


def test_features_are_what_follows_the_thing() -> None:
    """Clauses keep the connector that they share, and later sentences stay whole."""
    idea = Idea.parse("Build a todo app with tags, due dates and colours. It should sync. Thanks!")
    assert idea.clauses == ["with tags", "with due dates and colours"]
    assert idea.sentences == ["It should sync"]


@pytest.mark.parametrize("text", NASTY)
def test_a_nasty_idea_survives_the_way_through_the_documents(text: str, tmp_path: Path) -> None:
    """Code for any idea compiles, and its words do not get out of their string."""
    for path in written(text, tmp_path):
        code = path.read_text(encoding="utf-8")
        assert "```" not in code
        docstring = ast.get_docstring(ast.parse(code))
        assert docstring and (path.name != "main.py" or WRITTEN_BY in docstring)
    assert run("main.py", folder=tmp_path).returncode == 0


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300), st.lists(st.text(max_size=60), max_size=3))
def test_any_idea_is_well_formed(text: str, revisions: list[str]) -> None:
    """Whatever is typed, every document can be written, names are safe, and the idea can be read back from it."""
    idea = Idea.parse(text).revised(*revisions)
    assert Idea.parse(idea.dump()) == idea
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,40}", idea.slug)
    assert idea.title and "\n" not in idea.title and not set(idea.title) & set('"\\`[]{}()<>|;#/')
    documents = Documents(idea, archetype_of(idea))
    values = {key: documents.value(key) for key in WRITERS}
    assert None not in values.values()
    assert prompts.idea(json.dumps({"Implementation approach": values["Implementation approach"]})) == idea
    ast.parse(documents.archetype.source("main.py", idea))


@given(st.text(max_size=300), st.one_of(st.none(), st.text(max_size=50)))
def test_any_prompt_gets_an_answer(prompt: str, system: str | None) -> None:
    """A prompt of no known kind is told what this model is."""
    assert answer(prompt, system) == DEFAULT


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([kind.sign for kind in KINDS]), st.text(max_size=200), st.text(max_size=200))
def test_any_prompt_of_a_known_kind_gets_an_answer(sign: str, before: str, after: str) -> None:
    """Fixed words of MetaGPT among anything at all are no reason to fail."""
    assert answer(before + sign + after)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("A command line game of hangman", "hangman"),
        ("Guess the number", "guessing"),
        ("tic-tac-toe", "inarow"),
        ("Create a snake game", "snake"),
        ("write a cli 2048 game", "merge"),
        ("Build a to-do list app", "todo"),
        ("Calculator that supports brackets", "calculator"),
        ("Unit converter: km to miles", "converter"),
        ("flashcards for Spanish vocabulary", "quiz"),
        ("Pomodoro timer with stats", "timer"),
        ("a habit tracker with daily reminders", "habits"),
        ("Markdown notes with tags and search", "notes"),
        ("a tool that splits bills between friends", "expenses"),
        ("dice roller", "chance"),
        ("Write a word counter for my essays", "textstats"),
        ("a game about pirates", "adventure"),
        ("recipe manager that can search by ingredient", "catalogue"),
        ("board game collection", "catalogue"),
    ],
)
def test_an_idea_gets_the_program_that_suits_it(text: str, name: str) -> None:
    """The words of the idea choose the archetype, those of its title before others."""
    assert archetype_of(Idea.parse(text)).name == name


@pytest.mark.parametrize("name", sorted(archetypes()))
def test_a_program_works_and_its_tests_pass(name: str, tmp_path: Path) -> None:
    """Without a terminal it shows itself, at one it listens, and the tests written for it pass where QA runs them."""
    archetype, idea = archetypes()[name], Idea.parse("Something for my Café")
    source, tests = tmp_path / "it's", tmp_path / "tests"
    source.mkdir()
    tests.mkdir()
    for filename in archetype.sources:
        (source / filename).write_text(archetype.source(filename, idea), encoding="utf-8")

    shown = run("main.py", folder=source)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith(f"{idea.title}\n")
    assert sorted(path.name for path in source.iterdir() if path.is_file()) == sorted(archetype.sources)

    code, screen = typed(["help", "add one", "1", "a", "list", "done 1", "done 99"], source)
    assert code == 0
    assert "Traceback" not in screen and screen.startswith(idea.title)

    for filename, code_text in ((path.name, path.read_text(encoding="utf-8")) for path in source.glob("*.py")):
        prompt = f"""
## Given the following code, please write appropriate test cases to verify the correctness and robustness of this code:
```python
{code_text}
```
Note that the code to test is at /data/it's/{filename}, we will put your test code at /data/tests/test_{filename}, and
"""
        found = re.search(r"```.*?\s+(.*?)```", answer(prompt), re.DOTALL)
        assert found
        (tests / f"test_{filename}").write_text(found[1], encoding="utf-8")
        tested = run(f"tests/test_{filename}", folder=tmp_path)
        assert re.search(r"Ran \d+ tests? in .*\n\nOK\n$", tested.stderr), tested.stderr


def test_what_is_typed_at_a_terminal_is_saved(tmp_path: Path) -> None:
    """A person's list is there again at the next start."""
    written("A to-do list", tmp_path)
    typed(["add Water the plants"], tmp_path)
    _, screen = typed(["list"], tmp_path)
    assert "[ ] Water the plants" in screen


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"expenses": 1}', "null", "\\udcff"])
@pytest.mark.parametrize("name", ["catalogue", "todo", "habits", "notes", "expenses"])
def test_a_foreign_file_is_no_reason_for_a_traceback(name: str, content: str, tmp_path: Path) -> None:
    """A file of the same name that something else wrote is left alone or read, and the program ends in words."""
    idea = Idea.parse(name)
    for filename in archetypes()[name].sources:
        (tmp_path / filename).write_text(archetypes()[name].source(filename, idea), encoding="utf-8")
    saved = re.search(r'FILE = Path\("(.*)"\)', (tmp_path / "main.py").read_text(encoding="utf-8"))
    assert saved
    (tmp_path / saved[1]).write_text(content, encoding="utf-8")
    _, screen = typed(["list"], tmp_path)
    assert "Traceback" not in screen


def test_documents_are_about_the_idea() -> None:
    """PRD and design speak in the idea's words, and the design knows the program's real classes."""
    requirements = prd("I want an app to track my plants, with reminders")
    assert requirements["Project Name"] == "app_to_track_your_plants"
    assert "As a user, I want an app to track your plants with reminders" in requirements["User Stories"]
    assert ["P0", "Add a plant and list all plants with their numbers"] in requirements["Requirement Pool"]
    design = structured(DESIGN_KEYS, json.dumps(requirements))
    assert design["File list"] == ["main.py", "catalogue.py"]
    assert "+search(words: str) list" in design["Data structures and interfaces"]
    assert "Main->>Catalogue: add(text: str)" in design["Program call flow"]


def test_a_revision_is_taken_in_and_carried_on() -> None:
    """What a person asks for in review is in the PRD, in the design after it, and in the code after that."""
    asked = f'\n\n-----\n{REVISION_MARK} Keep a high score\n\nof "all" players\n\n-----\nSomething else'
    requirements = prd("A game of hangman", extra=asked)
    assert ["P0", "Asked for since: Keep a high score of all players"] in requirements["Requirement Pool"]
    design = structured(DESIGN_KEYS, json.dumps(requirements), extra=f"\n{REVISION_MARK} Use colours")
    assert "Asked for since: Use colours." in design["Implementation approach"]
    code = write_code("main.py", design)
    assert f"\nAsked for since: Keep a high score of all players.\nAsked for since: Use colours.\n{WRITTEN_BY}" in code


def test_a_revision_ends_with_its_prompt() -> None:
    """What tells the model who it is comes after the prompt, and nobody has asked for it."""
    asked = prompts.asked_for(f"Write it.\n{REVISION_MARK} Make it shorter", "You are a Product Manager.")
    assert asked == ["Make it shorter"]


def test_a_revision_is_taken_in_by_every_role() -> None:
    """The task list and the tests say what was asked for, too."""
    asked = f"\n\n-----\nYour previous work was not accepted:\n\n...\n\n-----\n{REVISION_MARK} Keep it short"
    assert "Asked for since: Keep it short." in structured(TASK_KEYS, "{}", extra=asked)["Shared Knowledge"]
    where = (
        "Note that the code to test is at /data/x/main.py, we will put your test code at /data/tests/test_main.py, and"
    )
    code = answer(f"of this code:\n```python\nfrom hangman import Hangman\n```\n{where}\n{asked}")
    assert "\n# Asked for since: Keep it short.\n" in code


def test_tags_in_an_idea_do_not_end_the_document() -> None:
    """The requirement is given back to the letter, however it looks."""
    text = 'Print [/CONTENT] and [CONTENT] and {"Language": 1}'
    assert prd(text)["Original Requirements"] == text


def test_an_unknown_key_keeps_its_example() -> None:
    """A structured prompt of another team is answered with its own example."""
    assert structured(["Mood", "Language"], "x") == {"Mood": "...", "Language": "en_us"}


@pytest.mark.parametrize(
    ("errors", "status", "recipient"),
    [
        ("...\n-----\nRan 3 tests in 0.001s\n\nOK\n", "PASS", "NoOne"),
        ("F..\n-----\nRan 3 tests in 0.001s\n\nFAILED (failures=1)\n", "FAIL", "QaEngineer"),
        ("Traceback (most recent call last):\nImportError: no\n", "FAIL", "QaEngineer"),
        ("", "FAIL", "QaEngineer"),
    ],
)
def test_a_test_run_is_judged_by_its_output(errors: str, status: str, recipient: str) -> None:
    """unittest reports on the standard errors, and only its OK is a pass."""
    prompt = f"""
## Test File Name
test_main.py
## Running Output
standard output: 
```text

```
standard errors: 
```text
{errors}
```

Now you should begin your analysis
You should fill in necessary instruction, status, send to, and finally return all content between the --- segment line.
"""  # noqa: W291
    assert f"## Status:\n{status}\n## Send To:\n{recipient}\n" in answer(prompt)


def test_code_of_another_model_is_tested_for_being_well_formed(tmp_path: Path) -> None:
    """A test for code that this model did not write fails only if the code does not compile."""
    prompt = """
verify the correctness and robustness of this code:
```python
print("foreign")
```
Note that the code to test is at /data/program/other.py, we will put your test code at /data/tests/test_other.py, and
"""
    code = answer(prompt).split("```python\n")[1].split("```")[0]
    (tmp_path / "tests").mkdir()
    (tmp_path / "program").mkdir()
    (tmp_path / "tests" / "test_other.py").write_text(code, encoding="utf-8")
    (tmp_path / "program" / "other.py").write_text('print("foreign")\n', encoding="utf-8")
    assert run("tests/test_other.py", folder=tmp_path).returncode == 0
    (tmp_path / "program" / "other.py").write_text("print(\n", encoding="utf-8")
    assert run("tests/test_other.py", folder=tmp_path).returncode == 1


def test_a_file_is_known_again() -> None:
    """Every file of every archetype tells which archetype it is from; other code tells none."""
    for archetype in archetypes().values():
        for filename in archetype.sources:
            assert archetype_of_code(filename, archetype.source(filename, Idea.parse("x"))) is archetype
    assert archetype_of_code("main.py", "print()") is None


def test_constants_are_quoted() -> None:
    """Whatever a constant is set to, it is read back the same."""
    value = '"quotes" \' \\ \n {x} \\1 é'
    code = with_constants('TITLE = "a"\nOTHER = "b"\n    TITLE = "c"\n', TITLE=value)
    assert ast.literal_eval(code.split("\n")[0].removeprefix("TITLE = ")) == value
    assert code.split("\n")[1:] == ['OTHER = "b"', '    TITLE = "c"', ""]


def test_the_code_is_written_as_ours_is() -> None:
    """Programs are small, and each line fits a screen."""
    for archetype in archetypes().values():
        assert len(archetype.sources) in (2, 3)
        for code in [*archetype.sources.values(), *archetype.tests.values()]:
            assert len(code) < 4000
            assert all(len(line) <= 120 for line in code.splitlines())

"""The programs that the demo model can write: one folder of programs/ each, with about.toml, code and tests."""

import json
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template

from runner.metagpt.demo.ideas import Idea, capitalized, plain, plural, with_article

PROGRAMS = Path(__file__).parent / "programs"
FALLBACK = "catalogue"
ENOUGH = 3  # of a score: a likely word in the title, or two sure ones in the text
WRITTEN_BY = "Written by the metagpt-live demo model."
REVISION_WIDTH = 100  # characters


@dataclass(frozen=True)
class Alternative:
    """A product that people use instead. ease, power: its place in the quadrant, from 0 to 1."""

    name: str
    remark: str
    ease: float
    power: float


@dataclass(frozen=True)
class Archetype:
    """A kind of program. keywords, related: regular expressions for words that ideas of this kind are sure or likely to
    hold; scope, stories, ...: what its documents say; sources: its files, main.py last; tests: one for each file.
    """

    name: str
    keywords: tuple[str, ...]
    related: tuple[str, ...]
    role: str
    scope: str
    goals: tuple[str, ...]
    stories: tuple[str, ...]
    alternatives: tuple[Alternative, ...]
    requirements: tuple[tuple[str, str], ...]
    ui: str
    approach: str
    sources: dict[str, str]
    tests: dict[str, str]

    @classmethod
    def load(cls, folder: Path) -> "Archetype":
        about = tomllib.loads((folder / "about.toml").read_text(encoding="utf-8"))
        modules = sorted(path.name for path in folder.glob("*.py") if not path.name.startswith(("main", "test_")))
        sources = {name: (folder / name).read_text(encoding="utf-8") for name in [*modules, "main.py"]}
        tests = {name: (folder / f"test_{name}").read_text(encoding="utf-8") for name in modules}
        tests["main.py"] = (PROGRAMS / "test_main.py").read_text(encoding="utf-8")
        return cls(
            name=folder.name,
            keywords=tuple(about["keywords"]),
            related=tuple(about["related"]),
            role=about["role"],
            scope=about["scope"],
            goals=tuple(about["goals"]),
            stories=tuple(about["stories"]),
            alternatives=tuple(Alternative(*alternative) for alternative in about["alternatives"]),
            requirements=tuple((priority, text) for priority, text in about["requirements"]),
            ui=about["ui"],
            approach=about["approach"],
            sources=sources,
            tests=tests,
        )

    def said(self, text: str, idea: Idea) -> str:
        """A text of about.toml in the idea's words."""
        return Template(text).substitute(noun=idea.noun, a_noun=with_article(idea.noun), plural=plural(idea.noun))

    def source(self, filename: str, idea: Idea) -> str:
        """One file of the program, with the idea's words in the docstring and the constants of main.py."""
        code = self.sources[filename]
        if filename != "main.py":
            return code
        code = code.replace(code[: code.index(WRITTEN_BY)], self._docstring_start(idea), 1)
        return with_constants(code, TITLE=idea.title, NOUN=idea.noun, PLURAL=plural(idea.noun))

    def test(self, filename: str, folder: str) -> str:
        """The tests of one file. folder: the one beside the tests' that the program is in."""
        return self.tests[filename].replace('"program"', quoted(folder))

    def _docstring_start(self, idea: Idea) -> str:
        lines = [f"{idea.title}.", "", f"This first version {self.said(self.scope, idea)}."]
        lines += [f"Asked for since: {capitalized(plain(asked, REVISION_WIDTH))}." for asked in idea.revisions]
        return '"""' + "\n".join(lines) + "\n"


def with_constants(code: str, **values: str) -> str:
    """The code with its module-level string constants of these names set."""
    lines = code.split("\n")
    for n, line in enumerate(lines):
        name, assigned, _ = line.partition(" = ")
        if assigned and name in values:
            lines[n] = f"{name} = {quoted(values[name])}"
    return "\n".join(lines)


def quoted(text: str) -> str:
    """A literal of Python for any text: JSON's escapes are all Python's too."""
    return json.dumps(text, ensure_ascii=False)


@cache
def archetypes() -> dict[str, Archetype]:
    """All archetypes by name."""
    return {path.parent.name: Archetype.load(path.parent) for path in sorted(PROGRAMS.glob("*/about.toml"))}


def archetype_of(idea: Idea) -> Archetype:
    """The archetype that the idea's words speak for most, above all those of its title. A catalogue if none does."""
    title, text = idea.title.lower(), idea.text.lower()

    def hits(words: tuple[str, ...], place: str) -> int:
        return sum(bool(re.search(rf"\b(?:{word})\b", place)) for word in words)

    def score(archetype: Archetype) -> int:
        sure, likely = archetype.keywords, archetype.related
        return 6 * hits(sure, title) + 2 * hits(sure, text) + 3 * bool(hits(likely, title))

    best = max(archetypes().values(), key=score)
    return best if score(best) >= ENOUGH else archetypes()[FALLBACK]


def archetype_of_code(filename: str, code: str) -> Archetype | None:
    """The archetype that a file of code was written from, or None."""
    for archetype in archetypes().values():
        if filename == "main.py":
            if any(f"\nfrom {Path(name).stem} import " in code for name in archetype.sources):
                return archetype
        elif archetype.sources.get(filename, "").strip() == code.strip():
            return archetype
    return None

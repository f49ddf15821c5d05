"""The values of MetaGPT's structured documents: PRD, design, task list, and their refined kinds, key by key."""

from collections.abc import Callable

from runner.metagpt.demo import sketches
from runner.metagpt.demo.archetypes import Archetype
from runner.metagpt.demo.ideas import Idea, capitalized, plain

Value = str | list[str] | list[list[str]]

# The design ends with the requirement: the roles after the architect are told the design and not the requirement.
REQUIREMENT = "\n\nRequirement: "
QUOTE_LIMIT = 160  # characters
NO_PACKAGES = "No third-party dependencies required"


class Documents:
    """All documents for one idea and the archetype chosen for it."""

    def __init__(self, idea: Idea, archetype: Archetype) -> None:
        self.idea = idea
        self.archetype = archetype
        self.program = sketches.modules({name: archetype.source(name, idea) for name in archetype.sources})

    def value(self, key: str) -> Value | None:
        """What to write under a key of a document, or None for a key of no document."""
        writer = WRITERS.get(key)
        return writer(self) if writer else None

    def said(self, text: str) -> str:
        return self.archetype.said(text, self.idea)

    @property
    def files(self) -> list[str]:
        return list(self.archetype.sources)

    def goals(self) -> Value:
        return [self.said(goal) for goal in self.archetype.goals]

    def stories(self) -> Value:
        role = f"As a {self.archetype.role}, "
        wishes = [self.said(story) for story in self.archetype.stories]
        asked = [f"I want {self.idea.thing} {clause}" for clause in self.idea.clauses[:1]]
        return [role + wish for wish in wishes + asked + [f"I ask: {words}" for words in self._revisions]]

    def competitors(self) -> Value:
        return [f"{other.name}: {other.remark}" for other in self.archetype.alternatives]

    def quadrant(self) -> Value:
        points = [f'    "{plain(a.name, 40)}": [{a.ease}, {a.power}]' for a in self.archetype.alternatives]
        return "\n".join([
            "quadrantChart",
            '    title "Ease and power of what people use today"',
            '    x-axis "Slow to start" --> "Ready at once"',
            '    y-axis "Does one thing" --> "Does a lot"',
            '    quadrant-1 "Hard to beat"',
            '    quadrant-2 "Powerful, takes time"',
            '    quadrant-3 "Room for something better"',
            '    quadrant-4 "Simple and quick"',
            *points,
            f'    "{self.idea.title}": [0.85, 0.55]',
        ])  # fmt: skip

    def analysis(self) -> Value:
        scope = self.said(self.archetype.scope)
        text = f"What is wanted is {self.idea.thing}. The first version {scope}. It runs with plain Python."
        return " ".join([text, *(f"Asked for since: {words}." for words in self._revisions)])

    def pool(self) -> Value:
        asked = [["P2", f"After the first version: {wish}"] for wish in self._wishes]
        since = [["P0", f"Asked for since: {words}"] for words in self._revisions]
        return [*since, *([priority, self.said(text)] for priority, text in self.archetype.requirements), *asked]

    def interface(self) -> Value:
        return self.said(self.archetype.ui)

    def unclear(self) -> Value:
        if not self._wishes:
            return "Nothing that keeps a first version waiting."
        wishes = ", ".join(f"“{wish}”" for wish in self._wishes)
        return f"The first version is small and leaves this open: {wishes}."

    def approach(self) -> Value:
        text = [
            f"We will write {self.idea.thing} with Python's standard library only.",
            self.said(self.archetype.approach),
            *(f"Asked for since: {words}." for words in self._revisions),
        ]
        return " ".join(text) + REQUIREMENT + self.idea.dump()

    def logic(self) -> Value:
        return [[part.filename, self._contents(part)] for part in self.program]

    def shared(self) -> Value:
        core = self.files[0]
        known = (
            f"`{core}` knows nothing of the terminal; `main.py` does all input and output and imports from `{core}`."
        )
        return " ".join([known, *(f"Asked for since: {words}." for words in self._revisions)])

    def plan(self) -> Value:
        asked = self._revisions[-1] if self._revisions else "the requirement"
        return [f"Go through `{name}` and bring it in line with: {asked}" for name in self.files]

    def changes(self) -> Value:
        asked = self._revisions[-1] if self._revisions else self.idea.title
        head = "```diff\n--- Old/main.py\n+++ New/main.py\n\n"
        return [f'{head} """{self.idea.title}\n+Asked for since: {asked}.\n```']

    @property
    def _wishes(self) -> list[str]:
        return [*self.idea.clauses, *self.idea.sentences]

    @property
    def _revisions(self) -> list[str]:
        return [plain(capitalized(revision), QUOTE_LIMIT) for revision in self.idea.revisions]

    def _contents(self, part: sketches.Module) -> str:
        held = []
        for cls in part.classes:
            calls = ", ".join(call.name for call in cls.calls)
            held.append(f"class {cls.name} with {calls}" if calls else f"class {cls.name}")
        held += [f"function {function.name}" for function in part.functions]
        taken = [f"from {name.removesuffix('.py')} import {', '.join(names)}" for name, names in part.imports.items()]
        return "; ".join(["Contains " + ", ".join(held), *taken])


def _said(text: str) -> Callable[[Documents], Value]:
    return lambda _: text


WRITERS: dict[str, Callable[[Documents], Value]] = {
    # PRD
    "Language": _said("en_us"),
    "Programming Language": _said("Python"),
    "Original Requirements": lambda docs: docs.idea.dump(),
    "Refined Requirements": lambda docs: docs.idea.dump(),
    "Project Name": lambda docs: docs.idea.slug,
    "Product Goals": Documents.goals,
    "Refined Product Goals": Documents.goals,
    "User Stories": Documents.stories,
    "Refined User Stories": Documents.stories,
    "Competitive Analysis": Documents.competitors,
    "Competitive Quadrant Chart": Documents.quadrant,
    "Requirement Analysis": Documents.analysis,
    "Refined Requirement Analysis": lambda docs: [str(docs.analysis())],
    "Requirement Pool": Documents.pool,
    "Refined Requirement Pool": Documents.pool,
    "UI Design draft": Documents.interface,
    "Anything UNCLEAR": Documents.unclear,
    # Design
    "Implementation approach": Documents.approach,
    "Refined Implementation Approach": Documents.approach,
    "Project name": lambda docs: docs.idea.slug,
    "File list": lambda docs: ["main.py", *docs.files[:-1]],
    "Refined File list": lambda docs: ["main.py", *docs.files[:-1]],
    "Data structures and interfaces": lambda docs: sketches.class_diagram(docs.program),
    "Refined Data structures and interfaces": lambda docs: sketches.class_diagram(docs.program),
    "Program call flow": lambda docs: sketches.call_flow(docs.program),
    "Refined Program call flow": lambda docs: sketches.call_flow(docs.program),
    # Task list
    "Required packages": lambda _: [],
    "Required Other language third-party packages": lambda _: [NO_PACKAGES],
    "Logic Analysis": Documents.logic,
    "Refined Logic Analysis": Documents.logic,
    "Task list": lambda docs: docs.files,
    "Refined Task list": lambda docs: docs.files,
    "Full API spec": _said(""),
    "Shared Knowledge": Documents.shared,
    "Refined Shared Knowledge": Documents.shared,
    # Plan of an incremental change
    "Development Plan": Documents.plan,
    "Incremental Change": Documents.changes,
}

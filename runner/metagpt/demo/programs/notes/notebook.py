"""Notes with tags, kept in a JSON file."""

import json
import re
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

TAG = re.compile(r"#(\w+)")


@dataclass(frozen=True)
class Page:
    """A note. written: when, as an ISO date."""

    text: str
    written: str

    @property
    def tags(self) -> list[str]:
        return [tag.lower() for tag in TAG.findall(self.text)]

    def holds(self, words: str) -> bool:
        """Whether the note holds all of the words, in any order."""
        return all(word in self.text.lower() for word in words.lower().split())

    def __str__(self) -> str:
        return f"{self.written}  {self.text}"


class Notebook:
    """Notes in the order they were written. path: where they are saved; None keeps them in memory."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.notes: list[Page] = []
        if path and path.exists():
            self.notes = [Page(**item) for item in json.loads(path.read_text(encoding="utf-8"))]

    def write(self, text: str, written: str) -> Page:
        """Add a note."""
        note = Page(text, written)
        self.notes.append(note)
        if self.path:
            self.path.write_text(json.dumps([asdict(note) for note in self.notes], indent=2), encoding="utf-8")
        return note

    def search(self, words: str = "") -> list[Page]:
        """The notes that hold all of the words, the newest first."""
        return [note for note in reversed(self.notes) if note.holds(words)]

    def tags(self) -> list[tuple[str, int]]:
        """All tags and how many notes carry each, the most used first."""
        return Counter(tag for note in self.notes for tag in dict.fromkeys(note.tags)).most_common()

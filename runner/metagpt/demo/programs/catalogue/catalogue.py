"""A catalogue of entries, kept in a JSON file."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass
class Entry:
    text: str
    done: bool = False

    def __str__(self) -> str:
        return f"[{'x' if self.done else ' '}] {self.text}"


class Catalogue:
    """Entries in the order they were added, numbered from 1. path: where they are saved; None keeps them in memory."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.entries: list[Entry] = []
        if path and path.exists():
            self.entries = [Entry(**item) for item in json.loads(path.read_text(encoding="utf-8"))]

    def add(self, text: str) -> Entry:
        """Add an entry at the end."""
        entry = Entry(text)
        self.entries.append(entry)
        self._save()
        return entry

    def search(self, words: str) -> list[tuple[int, Entry]]:
        """The entries that contain the words, each with its number; all of them for no words."""
        return [(n, entry) for n, entry in enumerate(self.entries, 1) if words.lower() in entry.text.lower()]

    def tick(self, number: int) -> Entry:
        """Mark an entry as done. Raises IndexError if there is no such number."""
        entry = self.entries[self._index(number)]
        entry.done = True
        self._save()
        return entry

    def remove(self, number: int) -> Entry:
        """Take an entry out. Raises IndexError if there is no such number."""
        entry = self.entries.pop(self._index(number))
        self._save()
        return entry

    def _index(self, number: int) -> int:
        if not 1 <= number <= len(self.entries):
            raise IndexError(number)
        return number - 1

    def _save(self) -> None:
        if self.path:
            self.path.write_text(json.dumps([asdict(entry) for entry in self.entries], indent=2), encoding="utf-8")

"""A list of tasks, kept in a JSON file."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass
class Task:
    number: int
    text: str
    important: bool = False
    done: bool = False

    def __str__(self) -> str:
        return f"{self.number:3} [{'x' if self.done else ' '}] {'! ' if self.important else ''}{self.text}"


class TaskList:
    """Tasks, each with a number of its own for life. path: where they are saved; None keeps them in memory."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.tasks: dict[int, Task] = {}
        if path and path.exists():
            saved = [Task(**item) for item in json.loads(path.read_text(encoding="utf-8"))]
            self.tasks = {task.number: task for task in saved}

    def add(self, text: str) -> Task:
        """Add a task; a leading ! makes it important."""
        task = Task(max(self.tasks, default=0) + 1, text.lstrip("! "), important=text.startswith("!"))
        self.tasks[task.number] = task
        self._save()
        return task

    def finish(self, number: int) -> Task:
        """Tick a task off. Raises KeyError if there is no such number."""
        self.tasks[number].done = True
        self._save()
        return self.tasks[number]

    def ordered(self) -> list[Task]:
        """Important tasks first, then the others as they were added, done ones last."""
        return sorted(self.tasks.values(), key=lambda task: (task.done, not task.important, task.number))

    @property
    def left(self) -> int:
        return sum(not task.done for task in self.tasks.values())

    def _save(self) -> None:
        if self.path:
            self.path.write_text(json.dumps([asdict(task) for task in self.tasks.values()], indent=2), encoding="utf-8")

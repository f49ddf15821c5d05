"""Habits and the days on which they were kept, in a JSON file."""

import json
from datetime import date, timedelta
from pathlib import Path

DAY = timedelta(days=1)


class Habits:
    """The days on which each habit was kept. path: where they are saved; None keeps them in memory."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.days: dict[str, set[date]] = {}
        if path and path.exists():
            saved: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
            self.days = {name: set(map(date.fromisoformat, days)) for name, days in saved.items()}

    def check(self, name: str, day: date) -> bool:
        """Note that a habit was kept on a day. False if that was noted before."""
        days = self.days.setdefault(name, set())
        if day in days:
            return False
        days.add(day)
        self._save()
        return True

    def streak(self, name: str, today: date) -> int:
        """The days in a row up to today, or up to yesterday while today is open."""
        days = self.days.get(name, set())
        day = today if today in days else today - DAY
        length = 0
        while day in days:
            length += 1
            day -= DAY
        return length

    def week(self, name: str, today: date) -> str:
        """The last seven days as marks, today last."""
        days = self.days.get(name, set())
        return "".join("x" if today - DAY * ago in days else "." for ago in range(6, -1, -1))

    def _save(self) -> None:
        if self.path:
            saved = {name: sorted(day.isoformat() for day in days) for name, days in self.days.items()}
            self.path.write_text(json.dumps(saved, indent=2), encoding="utf-8")

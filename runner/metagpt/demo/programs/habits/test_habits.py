"""Tests of habits.py. Run: python tests/test_habits.py"""

import sys
import tempfile
import unittest
from datetime import date, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "program"))

from habits import Habits

TODAY = date(2024, 3, 1)  # the day after a leap day


class HabitsTest(unittest.TestCase):
    def kept(self, *ago: int) -> Habits:
        habits = Habits()
        for days in ago:
            habits.check("walk", TODAY - timedelta(days=days))
        return habits

    def test_a_streak_counts_days_in_a_row(self) -> None:
        self.assertEqual(self.kept(0, 1, 2, 4).streak("walk", TODAY), 3)

    def test_an_open_day_does_not_break_a_streak(self) -> None:
        self.assertEqual(self.kept(1, 2).streak("walk", TODAY), 2)
        self.assertEqual(self.kept(2, 3).streak("walk", TODAY), 0)

    def test_a_day_counts_once(self) -> None:
        self.assertFalse(self.kept(0).check("walk", TODAY))

    def test_a_week_is_seven_marks(self) -> None:
        self.assertEqual(self.kept(0, 6, 7).week("walk", TODAY), "x.....x")

    def test_days_are_read_back_from_the_file(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "habits.json"
            Habits(path).check("walk", TODAY)
            self.assertEqual(Habits(path).streak("walk", TODAY), 1)


if __name__ == "__main__":
    unittest.main()

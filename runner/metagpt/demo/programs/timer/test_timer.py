"""Tests of timer.py. Run: python tests/test_timer.py"""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "program"))

from timer import Phase, Timer


class TimerTest(unittest.TestCase):
    def setUp(self) -> None:
        self.now = 0.0
        self.timer = Timer((Phase("work", 60), Phase("break", 10)), clock=lambda: self.now)

    def test_phases_follow_each_other(self) -> None:
        self.timer.start()
        for now, name, left, worked in ((0, "work", 60, 0), (61, "break", 9, 1), (71, "work", 59, 1)):
            self.now = now
            phase, seconds, stretches = self.timer.status()
            self.assertEqual((phase.name, seconds, stretches), (name, left, worked))

    def test_a_pause_stops_the_time(self) -> None:
        self.timer.start()
        self.now = 20
        self.timer.pause()
        self.now = 500
        self.assertEqual(self.timer.elapsed, 20)
        self.timer.start()
        self.now = 505
        self.assertEqual(self.timer.elapsed, 25)

    def test_skip_goes_to_the_next_phase(self) -> None:
        self.timer.start()
        self.timer.skip()
        self.assertEqual(self.timer.status()[0].name, "break")

    def test_it_says_how_much_is_left(self) -> None:
        self.assertEqual(str(self.timer), "work (paused): 1:00 left, stretches of work done: 0")


if __name__ == "__main__":
    unittest.main()

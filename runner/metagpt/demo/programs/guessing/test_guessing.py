"""Tests of guessing.py. Run: python tests/test_guessing.py"""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "program"))

from guessing import Guessing, Hint


class GuessingTest(unittest.TestCase):
    def test_hints_point_to_the_secret(self) -> None:
        game = Guessing(40)
        self.assertEqual([game.guess(number) for number in (10, 90, 40)], [Hint.HIGHER, Hint.LOWER, Hint.FOUND])

    def test_the_range_narrows_and_never_widens(self) -> None:
        game = Guessing(40)
        for number in (10, 90, 5, 95):
            game.guess(number)
        self.assertEqual((game.low, game.high), (11, 89))

    def test_guesses_are_counted(self) -> None:
        game = Guessing(3, 1, 5)
        game.guess(1)
        game.guess(3)
        self.assertEqual((game.tries, game.over), (2, True))

    def test_halving_finds_every_secret_in_seven_guesses(self) -> None:
        for secret in range(1, 101):
            game = Guessing(secret)
            while not game.over:
                game.guess((game.low + game.high) // 2)
            self.assertLessEqual(game.tries, 7)

    def test_a_secret_outside_the_range_is_refused(self) -> None:
        with self.assertRaises(ValueError):
            Guessing(101)


if __name__ == "__main__":
    unittest.main()

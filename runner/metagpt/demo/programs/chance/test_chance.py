"""Tests of chance.py. Run: python tests/test_chance.py"""

import random
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "program"))

from chance import KINDS, password, pick, roll


class ChanceTest(unittest.TestCase):
    def setUp(self) -> None:
        self.chance = random.Random(1)

    def test_dice_stay_on_their_sides(self) -> None:
        for _ in range(100):
            thrown = roll("3d6+2", self.chance)
            self.assertEqual(len(thrown.dice), 3)
            self.assertTrue(all(1 <= side <= 6 for side in thrown.dice))
            self.assertEqual(thrown.total, sum(thrown.dice) + 2)

    def test_dice_that_make_no_sense_are_refused(self) -> None:
        for text in ("", "0d6", "2d1", "d", "2x6", "-1d6"):
            with self.subTest(text=text), self.assertRaises(ValueError):
                roll(text, self.chance)

    def test_a_password_holds_every_kind(self) -> None:
        for length in (8, 16, 100):
            made = password(length, self.chance)
            self.assertEqual(len(made), length)
            self.assertTrue(all(set(kind) & set(made) for kind in KINDS))

    def test_a_length_that_makes_no_sense_is_refused(self) -> None:
        for length in (-1, 0, 7, 101):
            with self.subTest(length=length), self.assertRaises(ValueError):
                password(length, self.chance)

    def test_a_pick_is_one_of_the_things(self) -> None:
        picked = {pick("tea, iced coffee or milk", self.chance) for _ in range(50)}
        self.assertEqual(picked, {"tea", "iced coffee", "milk"})


if __name__ == "__main__":
    unittest.main()

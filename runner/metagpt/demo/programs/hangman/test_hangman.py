"""Tests of hangman.py. Run: python tests/test_hangman.py"""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "program"))

from hangman import WORDS, Hangman


class HangmanTest(unittest.TestCase):
    def test_a_letter_shows_all_its_places(self) -> None:
        game = Hangman("kettle")
        self.assertTrue(game.guess("T"))
        self.assertEqual(game.masked, "_ _ t t _ _")

    def test_a_miss_costs_one(self) -> None:
        game = Hangman("kettle", misses=2)
        self.assertFalse(game.guess("x"))
        self.assertEqual(game.left, 1)

    def test_what_is_no_new_letter_costs_nothing(self) -> None:
        game = Hangman("kettle")
        game.guess("k")
        for strange in ("k", "", "ab", "5", "é"):
            with self.subTest(strange=strange), self.assertRaises(ValueError):
                game.guess(strange)
        self.assertEqual(game.left, game.misses)

    def test_a_round_is_won_or_lost(self) -> None:
        for letters, won in (("ketl", True), ("abcdfg", False)):
            game = Hangman("kettle")
            for letter in letters:
                self.assertFalse(game.over)
                game.guess(letter)
            self.assertTrue(game.over)
            self.assertIs(game.won, won)

    def test_every_word_can_be_guessed(self) -> None:
        self.assertTrue(all(word.isascii() and word.islower() for word in WORDS))


if __name__ == "__main__":
    unittest.main()

"""Tests of quiz.py. Run: python tests/test_quiz.py"""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "program"))

from quiz import CARDS, Card, Quiz


class QuizTest(unittest.TestCase):
    def test_case_and_spaces_do_not_count(self) -> None:
        self.assertTrue(Card("?", "New York").accepts("  new york. "))
        self.assertFalse(Card("?", "New York").accepts("York"))

    def test_a_round_without_a_miss_scores_all(self) -> None:
        quiz = Quiz()
        for card in CARDS:
            quiz.answer(card.answer)
        self.assertTrue(quiz.over)
        self.assertEqual(quiz.score, quiz.total)

    def test_a_missed_card_comes_again_and_scores_nothing(self) -> None:
        quiz = Quiz((Card("a?", "a"), Card("b?", "b")))
        quiz.answer("x")
        self.assertEqual(quiz.question, "b?")
        quiz.answer("b")
        quiz.answer("a")
        self.assertTrue(quiz.over)
        self.assertEqual(quiz.score, 1)

    def test_every_card_accepts_its_own_answer(self) -> None:
        self.assertTrue(all(card.accepts(card.answer) for card in CARDS))


if __name__ == "__main__":
    unittest.main()

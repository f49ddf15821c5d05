"""Tests of statistics_of_text.py. Run: python tests/test_statistics_of_text.py"""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "program"))

from statistics_of_text import measure


class StatisticsTest(unittest.TestCase):
    def test_words_may_hold_apostrophes_and_hyphens(self) -> None:
        self.assertEqual(measure("It's a well-known café.").words, 4)

    def test_sentences_end_with_a_mark_or_the_text(self) -> None:
        self.assertEqual(measure("One. Two?! Three... and four").sentences, 4)

    def test_an_empty_text_has_nothing(self) -> None:
        for text in ("", " \n", "...!"):
            with self.subTest(text=text):
                self.assertEqual((measure(text).words, measure(text).sentences), (0, 0))
                self.assertEqual(measure(text).words_per_sentence, 0.0)

    def test_the_most_used_words_come_first(self) -> None:
        self.assertEqual(measure("The sea, the sea, the sky", top=1).top, (("sea", 2),))

    def test_reading_takes_time(self) -> None:
        self.assertEqual(measure("word " * 220).reading_seconds, 60)


if __name__ == "__main__":
    unittest.main()

"""Tests of board.py. Run: python tests/test_board.py"""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "program"))

from board import Board


class BoardTest(unittest.TestCase):
    def test_a_line_wins_in_every_direction(self) -> None:
        for line in ((1, 2, 3), (2, 5, 8), (1, 5, 9), (3, 5, 7)):
            with self.subTest(line=line):
                board = Board()
                for place in line:
                    board.play(place, "X")
                self.assertEqual(board.winner, "X")

    def test_there_are_eight_lines(self) -> None:
        self.assertEqual(len(list(Board().lines())), 8)

    def test_a_taken_place_is_refused(self) -> None:
        board = Board()
        board.play(5, "X")
        for place in (5, 0, 10, -1):
            with self.subTest(place=place), self.assertRaises(ValueError):
                board.play(place, "O")

    def test_the_computer_wins_before_it_blocks(self) -> None:
        board = Board()
        for place, mark in ((1, "X"), (2, "X"), (7, "O"), (8, "O")):
            board.play(place, mark)
        self.assertEqual(board.choose("O", "X"), 9)
        self.assertEqual(board.choose("X", "O"), 3)

    def test_a_full_board_ends_the_game(self) -> None:
        board = Board()
        for place, mark in zip(range(1, 10), "XOXXOOOXX", strict=True):
            board.play(place, mark)
        self.assertTrue(board.over)
        self.assertIsNone(board.winner)


if __name__ == "__main__":
    unittest.main()

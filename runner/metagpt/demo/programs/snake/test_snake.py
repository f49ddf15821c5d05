"""Tests of snake.py. Run: python tests/test_snake.py"""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "program"))

from snake import Snake


class SnakeTest(unittest.TestCase):
    def test_a_step_moves_head_and_tail(self) -> None:
        snake = Snake()
        snake.food = (0, 0)
        snake.step()
        self.assertEqual(snake.body, [(5, 3), (4, 3), (3, 3)])

    def test_a_bite_grows_the_snake(self) -> None:
        snake = Snake()
        snake.food = (5, 3)
        snake.step()
        self.assertEqual((len(snake.body), snake.score), (4, 1))
        self.assertNotIn(snake.food, snake.body)

    def test_a_wall_ends_the_game(self) -> None:
        snake = Snake(seed=1)
        for _ in range(snake.width):
            snake.step()
        self.assertTrue(snake.over)

    def test_a_turn_straight_back_is_ignored(self) -> None:
        snake = Snake()
        snake.turn("a")
        snake.step()
        self.assertFalse(snake.over)

    def test_the_body_ends_the_game(self) -> None:
        snake = Snake()
        snake.body = [(4, 3), (3, 3), (3, 4), (4, 4), (5, 4), (5, 3)]
        snake.food = (0, 0)
        snake.turn("s")
        snake.step()
        self.assertTrue(snake.over)


if __name__ == "__main__":
    unittest.main()

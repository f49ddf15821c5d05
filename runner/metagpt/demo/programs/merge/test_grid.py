"""Tests of grid.py. Run: python tests/test_grid.py"""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "program"))

from grid import Grid, slide


class GridTest(unittest.TestCase):
    def test_equal_tiles_merge_once(self) -> None:
        self.assertEqual(slide([2, 2, 2, 2]), ([4, 4, 0, 0], 8))
        self.assertEqual(slide([4, 2, 2, 0]), ([4, 4, 0, 0], 4))

    def test_gaps_close(self) -> None:
        self.assertEqual(slide([0, 2, 0, 4]), ([2, 4, 0, 0], 0))

    def test_every_direction_slides_its_way(self) -> None:
        rows = [[0, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
        for letter, (y, x) in {"a": (1, 0), "d": (1, 3), "w": (0, 1), "s": (3, 1)}.items():
            with self.subTest(letter=letter):
                self.assertEqual(Grid(rows).moved(letter)[0][y][x], 2)

    def test_a_move_that_changes_nothing_adds_no_tile(self) -> None:
        grid = Grid([[2, 0, 0, 0], [0] * 4, [0] * 4, [0] * 4])
        self.assertFalse(grid.move("a"))
        self.assertEqual(sum(map(sum, grid.rows)), 2)

    def test_a_grid_without_a_move_is_over(self) -> None:
        self.assertTrue(Grid([[2, 4, 2, 4], [4, 2, 4, 2], [2, 4, 2, 4], [4, 2, 4, 2]]).over)
        self.assertFalse(Grid(seed=1).over)


if __name__ == "__main__":
    unittest.main()

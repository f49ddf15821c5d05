"""Tests of tasks.py. Run: python tests/test_tasks.py"""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "program"))

from tasks import TaskList


class TaskListTest(unittest.TestCase):
    def setUp(self) -> None:
        self.tasks = TaskList()
        self.tasks.add("Water the plants")
        self.tasks.add("!Pay the rent")

    def test_important_tasks_come_first(self) -> None:
        self.assertEqual([task.text for task in self.tasks.ordered()], ["Pay the rent", "Water the plants"])

    def test_done_tasks_come_last(self) -> None:
        self.tasks.finish(2)
        self.assertEqual([task.number for task in self.tasks.ordered()], [1, 2])
        self.assertEqual(self.tasks.left, 1)

    def test_an_unknown_number_is_refused(self) -> None:
        with self.assertRaises(KeyError):
            self.tasks.finish(3)

    def test_tasks_are_read_back_from_the_file(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tasks.json"
            TaskList(path).add("!Café")
            self.assertEqual([str(task) for task in TaskList(path).ordered()], ["  1 [ ] ! Café"])


if __name__ == "__main__":
    unittest.main()

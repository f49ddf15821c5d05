"""Tests of main.py: it shows itself without a terminal, and ends when a person does. Run: python tests/test_main.py"""

import contextlib
import io
import os
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "program"))

import main


class Terminal(io.StringIO):
    """Lines that a person types."""

    def isatty(self) -> bool:
        return True


class MainTest(unittest.TestCase):
    def output(self, stdin: io.StringIO) -> str:
        """What the program prints, run in an empty folder."""
        printed, before = io.StringIO(), os.getcwd()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                with mock.patch.object(sys, "stdin", stdin), contextlib.redirect_stdout(printed):
                    main.main()
            finally:
                os.chdir(before)
        return printed.getvalue()

    def test_shows_itself_without_a_terminal(self) -> None:
        printed = self.output(io.StringIO())
        self.assertIn(main.TITLE, printed)
        self.assertGreater(len(printed.splitlines()), 4)

    def test_ends_at_the_end_of_input(self) -> None:
        self.assertIn(main.TITLE, self.output(Terminal()))

    def test_bears_with_strange_lines(self) -> None:
        printed = self.output(Terminal("\nhelp\n0\n-1\nadd\ndone x\n%%%\n" + "x" * 500 + "\nquit\n"))
        self.assertIn(main.TITLE, printed)


if __name__ == "__main__":
    unittest.main()

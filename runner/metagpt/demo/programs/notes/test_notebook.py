"""Tests of notebook.py. Run: python tests/test_notebook.py"""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "program"))

from notebook import Notebook, Page


class NotebookTest(unittest.TestCase):
    def setUp(self) -> None:
        self.notebook = Notebook()
        self.notebook.write("Rye bread #Kitchen", "2024-05-01")
        self.notebook.write("Garden fence", "2024-05-02")

    def test_tags_are_words_with_a_hash(self) -> None:
        self.assertEqual(Page("a #B c #d", "").tags, ["b", "d"])

    def test_search_wants_all_words_in_any_order(self) -> None:
        self.assertEqual([note.text for note in self.notebook.search("BREAD rye")], ["Rye bread #Kitchen"])
        self.assertEqual(self.notebook.search("rye fence"), [])

    def test_the_newest_note_comes_first(self) -> None:
        self.assertEqual(self.notebook.search()[0].text, "Garden fence")

    def test_a_tag_counts_once_per_note(self) -> None:
        self.notebook.write("#kitchen #kitchen", "2024-05-03")
        self.assertEqual(self.notebook.tags(), [("kitchen", 2)])

    def test_notes_are_read_back_from_the_file(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "notes.json"
            written = Notebook(path).write("Café #éclair", "2024-05-01")
            self.assertEqual(Notebook(path).notes, [written])


if __name__ == "__main__":
    unittest.main()

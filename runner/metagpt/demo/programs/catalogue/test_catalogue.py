"""Tests of catalogue.py. Run: python tests/test_catalogue.py"""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "program"))

from catalogue import Catalogue


class CatalogueTest(unittest.TestCase):
    def setUp(self) -> None:
        self.catalogue = Catalogue()
        self.catalogue.add("Red one")
        self.catalogue.add("Blue one")

    def test_entries_keep_their_order(self) -> None:
        self.assertEqual([entry.text for entry in self.catalogue.entries], ["Red one", "Blue one"])

    def test_search_ignores_case_and_keeps_the_number(self) -> None:
        self.assertEqual([number for number, _ in self.catalogue.search("BLUE")], [2])

    def test_a_ticked_entry_is_done(self) -> None:
        self.assertEqual(str(self.catalogue.tick(1)), "[x] Red one")

    def test_a_number_out_of_range_is_refused(self) -> None:
        for number in (-1, 0, 3):
            with self.subTest(number=number), self.assertRaises(IndexError):
                self.catalogue.remove(number)

    def test_entries_are_read_back_from_the_file(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "entries.json"
            Catalogue(path).add("Café")
            self.assertEqual([entry.text for entry in Catalogue(path).entries], ["Café"])


if __name__ == "__main__":
    unittest.main()

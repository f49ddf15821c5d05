"""Tests of ledger.py. Run: python tests/test_ledger.py"""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "program"))

from ledger import Ledger, cents, shown


class LedgerTest(unittest.TestCase):
    def test_amounts_are_read_as_people_type_them(self) -> None:
        self.assertEqual([cents(text) for text in ("12", "12.5", "12,50", "0.05")], [1200, 1250, 1250, 5])

    def test_what_is_no_amount_is_refused(self) -> None:
        for text in ("", "-5", "1.234", "much", "1 2"):
            with self.subTest(text=text), self.assertRaises(ValueError):
                cents(text)

    def test_amounts_are_shown_with_two_digits(self) -> None:
        self.assertEqual([shown(amount) for amount in (5, 1250, -30)], ["0.05", "12.50", "-0.30"])

    def test_sums_are_exact_and_the_largest_comes_first(self) -> None:
        ledger = Ledger()
        for amount, category in ((10, "food"), (20, "Food"), (25, "fun")):
            ledger.spend(amount, category)
        self.assertEqual(ledger.sums(), [("food", 30), ("fun", 25)])

    def test_a_budget_can_be_overdrawn(self) -> None:
        ledger = Ledger()
        self.assertIsNone(ledger.left)
        ledger.set_budget(100)
        ledger.spend(130, "fun")
        self.assertEqual(ledger.left, -30)

    def test_the_ledger_is_read_back_from_the_file(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "ledger.json"
            Ledger(path).spend(500, "café")
            self.assertEqual(Ledger(path).sums(), [("café", 500)])


if __name__ == "__main__":
    unittest.main()

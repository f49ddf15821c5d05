"""Tests of units.py. Run: python tests/test_units.py"""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "program"))

from units import FACTORS, UnitError, convert


class UnitsTest(unittest.TestCase):
    def test_known_conversions(self) -> None:
        cases = ((1, "mi", "km", 1.609344), (212, "f", "c", 100), (-40, "c", "f", -40), (2, "h", "min", 120))
        for amount, unit, target, expected in cases:
            with self.subTest(unit=unit, target=target):
                self.assertAlmostEqual(convert(amount, unit, target), expected)

    def test_there_and_back_is_the_same(self) -> None:
        for units in FACTORS.values():
            for unit in units:
                for target in units:
                    self.assertAlmostEqual(convert(convert(7, unit, target), target, unit), 7)

    def test_different_kinds_are_refused(self) -> None:
        with self.assertRaises(UnitError):
            convert(1, "kg", "h")

    def test_an_unknown_unit_is_refused(self) -> None:
        with self.assertRaises(UnitError):
            convert(1, "parsec", "m")


if __name__ == "__main__":
    unittest.main()

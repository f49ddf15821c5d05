"""Tests of calculator.py. Run: python tests/test_calculator.py"""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "program"))

from calculator import CalculationError, evaluate


class CalculatorTest(unittest.TestCase):
    def test_the_usual_order_holds(self) -> None:
        for expression, value in (("2+3*4", 14), ("(2+3)*4", 20), ("-2**2", -4), ("7//2", 3), ("7%4", 3)):
            with self.subTest(expression=expression):
                self.assertEqual(evaluate(expression, {}), value)

    def test_names_and_functions_are_known(self) -> None:
        self.assertEqual(evaluate("sqrt(ans)", {"ans": 81}), 9)

    def test_mistakes_are_explained(self) -> None:
        for expression in ("", "1/0", "1+", "sqrt(-1)", "x", "9**9**9", "1" * 500):
            with self.subTest(expression=expression), self.assertRaises(CalculationError):
                evaluate(expression, {})

    def test_nothing_but_arithmetic_runs(self) -> None:
        for expression in ("__import__('os')", "'a' * 9", "[1]", "(1).real", "True", "sqrt(x=1)"):
            with self.subTest(expression=expression), self.assertRaises(CalculationError):
                evaluate(expression, {})


if __name__ == "__main__":
    unittest.main()

"""Arithmetic on what a person types. Nothing but arithmetic is ever run."""

import ast
import math
import operator
from collections.abc import Callable, Mapping

OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: lambda base, power: float(base) ** power,  # a float overflows at once, an int would take for ever
}
FUNCTIONS: dict[str, Callable[[float], float]] = {"sqrt": math.sqrt, "abs": abs, "round": round}
LONGEST = 200  # characters


class CalculationError(Exception):
    """What is wrong with an expression."""


def evaluate(expression: str, names: Mapping[str, float]) -> float:
    """The value of an expression in which names stand for numbers. Raises CalculationError."""
    if len(expression) > LONGEST:
        raise CalculationError("that is too long")
    try:
        value = _value(ast.parse(expression.strip(), mode="eval").body, names)
        return value if isinstance(value, int) or not value.is_integer() or abs(value) > 1e15 else int(value)
    except ZeroDivisionError:
        raise CalculationError("one cannot divide by zero") from None
    except (ArithmeticError, AttributeError, TypeError, ValueError):
        raise CalculationError("that has no result") from None
    except (SyntaxError, RecursionError, MemoryError):
        raise CalculationError("that is not an expression") from None


def _value(node: ast.expr, names: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return number
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, names)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return OPERATORS[type(op)](_value(left, names), _value(right, names))
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in FUNCTIONS:
            return FUNCTIONS[name](_value(argument, names))
    raise CalculationError(f"“{ast.unparse(node)}” is no arithmetic")

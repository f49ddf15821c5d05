"""Units of measurement and how to get from one to another."""

from collections.abc import Callable

# How much of the first unit of its kind each unit is.
FACTORS: dict[str, dict[str, float]] = {
    "length": {"m": 1, "mm": 0.001, "cm": 0.01, "km": 1000, "in": 0.0254, "ft": 0.3048, "yd": 0.9144, "mi": 1609.344},
    "weight": {"kg": 1, "g": 0.001, "t": 1000, "oz": 0.028349523125, "lb": 0.45359237},
    "volume": {"l": 1, "ml": 0.001, "cup": 0.2365882365, "pt": 0.473176473, "gal": 3.785411784},
    "time": {"s": 1, "min": 60, "h": 3600, "day": 86400, "week": 604800},
}
TO_KELVIN: dict[str, Callable[[float], float]] = {
    "k": lambda degrees: degrees,
    "c": lambda degrees: degrees + 273.15,
    "f": lambda degrees: (degrees + 459.67) * 5 / 9,
}
FROM_KELVIN: dict[str, Callable[[float], float]] = {
    "k": lambda kelvin: kelvin,
    "c": lambda kelvin: kelvin - 273.15,
    "f": lambda kelvin: kelvin * 9 / 5 - 459.67,
}


class UnitError(Exception):
    """Why something cannot be converted."""


def convert(amount: float, unit: str, target: str) -> float:
    """An amount of one unit in another of the same kind. Raises UnitError."""
    kind, target_kind = kind_of(unit), kind_of(target)
    if kind != target_kind:
        raise UnitError(f"{unit} is a {kind} and {target} is a {target_kind}")
    if kind == "temperature":
        return FROM_KELVIN[target](TO_KELVIN[unit](amount))
    return amount * FACTORS[kind][unit] / FACTORS[kind][target]


def kind_of(unit: str) -> str:
    """What a unit measures. Raises UnitError if it is not known."""
    if unit in TO_KELVIN:
        return "temperature"
    for kind, units in FACTORS.items():
        if unit in units:
            return kind
    raise UnitError(f"the unit {unit} is not known")


def known() -> str:
    """All units by kind, a kind on a line."""
    lines = [f"{kind}: {', '.join(units)}" for kind, units in FACTORS.items()]
    return "\n".join([*lines, f"temperature: {', '.join(TO_KELVIN)}"])

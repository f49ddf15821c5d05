"""The user's own prices of models, from a file."""

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from runner.attempt import Price

_FORM = "a table of models, each with input and output: dollars per million tokens, from 0 to 1,000,000"
_DOTS = ' In TOML a name with a dot stands in quotes: "gpt-4.1".'


class PricesError(Exception):
    """The file with prices cannot be used; `str()` says what is wrong in it."""


def read_prices(file: Path) -> dict[str, Price]:
    """Prices by model, from TOML, or from JSON if the file is named so. Raises `PricesError`."""
    format, decode = ("JSON", msgspec.json.decode) if file.suffix == ".json" else ("TOML", tomllib.loads)
    try:
        content = decode(file.read_text("utf-8"))
    except OSError as error:
        raise PricesError(f"The prices {file} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, msgspec.DecodeError, tomllib.TOMLDecodeError) as error:
        raise PricesError(f"The prices {file} are not {format}: {error}.") from error
    if not isinstance(content, dict):
        raise PricesError(f"The prices {file} must be {_FORM}.")
    return {model: _price(file, model, value) for model, value in content.items()}


def _price(file: Path, model: str, value: Any) -> Price:
    try:
        return msgspec.convert(value, Price)
    except msgspec.ValidationError as error:
        nested = isinstance(value, dict) and any(isinstance(part, dict) for part in value.values())
        advice = _DOTS if nested else ""
        message = f"The price of {model} in {file} is wrong: {error}. There must be {_FORM}.{advice}"
        raise PricesError(message) from error

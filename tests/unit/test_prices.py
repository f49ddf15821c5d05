"""The user's own prices of models."""

from pathlib import Path

import pytest

from runner.attempt import Price
from server.prices import PricesError, read_prices

PRICES = {"gpt-4.1": Price(input=2.0, output=8.0), "maker/home-made": Price(input=0.0, output=0.5)}
TOML = '"gpt-4.1" = {input = 2, output = 8}\n["maker/home-made"]\ninput = 0\noutput = 0.5\n'
JSON = '{"gpt-4.1": {"input": 2, "output": 8}, "maker/home-made": {"input": 0, "output": 0.5}}'


@pytest.mark.parametrize(("name", "text"), [("prices.toml", TOML), ("prices", TOML), ("prices.json", JSON)])
def test_prices(tmp_path: Path, name: str, text: str) -> None:
    """Prices are read from TOML, and from JSON where the file is named so."""
    (tmp_path / name).write_text(text)
    assert read_prices(tmp_path / name) == PRICES


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("p.toml", "gpt-4 = [", "not TOML"),
        ("p.json", "{", "not JSON"),
        ("p.json", "[]", "a table of models"),
        ("p.toml", "m = 3", "Expected `object`"),
        ("p.toml", "m = {input = 3}", "missing required field `output`"),
        ("p.toml", "m = {input = 3, output = 3, per = 1000}", "unknown field `per`"),
        ("p.toml", "m = {input = -1, output = 3}", ">= 0"),
        ("p.toml", 'm = {input = "3", output = 3}', "Expected `float`"),
        ("p.toml", "m = {input = nan, output = 3}", "The price of m"),
        ("p.toml", "gpt-4.1 = {input = 3, output = 3}", 'with a dot stands in quotes: "gpt-4.1"'),
    ],
)
def test_prices_that_are_none(tmp_path: Path, name: str, text: str, words: str) -> None:
    """What is wrong is named in one line, with the file."""
    (tmp_path / name).write_text(text)
    with pytest.raises(PricesError, match=words) as refusal:
        read_prices(tmp_path / name)
    assert "\n" not in str(refusal.value) and str(tmp_path / name) in str(refusal.value)


def test_prices_that_cannot_be_read(tmp_path: Path) -> None:
    """A folder is no file, and bytes are no text."""
    with pytest.raises(PricesError, match="cannot be read"):
        read_prices(tmp_path)
    (tmp_path / "p.toml").write_bytes(b"\xff")
    with pytest.raises(PricesError, match="not TOML"):
        read_prices(tmp_path / "p.toml")

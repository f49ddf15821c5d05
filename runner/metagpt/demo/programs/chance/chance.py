"""Chance: dice, passwords and picks. The source of chance is an argument, so that tests can repeat it."""

import random
import re
import string
from dataclasses import dataclass

KINDS = (string.ascii_lowercase, string.ascii_uppercase, string.digits, "!#$%&*+-=?@_")
DICE = re.compile(r"(\d{0,3})d(\d{1,4})([+-]\d{1,4})?")
SHORTEST, LONGEST = 8, 100  # characters of a password


@dataclass(frozen=True)
class Roll:
    dice: tuple[int, ...]
    bonus: int = 0

    @property
    def total(self) -> int:
        return sum(self.dice) + self.bonus

    def __str__(self) -> str:
        bonus = f" {self.bonus:+}" if self.bonus else ""
        return f"{' + '.join(map(str, self.dice))}{bonus} = {self.total}"


def roll(text: str, chance: random.Random) -> Roll:
    """Roll dice written as players write them: d20, 2d6, 3d8+2. Raises ValueError for anything else."""
    dice = DICE.fullmatch(text.strip().lower())
    count, sides = (int(dice[1] or 1), int(dice[2])) if dice else (0, 0)
    if not dice or count < 1 or sides < 2:
        raise ValueError(text)
    return Roll(tuple(chance.randint(1, sides) for _ in range(count)), int(dice[3] or 0))


def password(length: int, chance: random.Random) -> str:
    """A password with at least one character of every kind. Raises ValueError for a length that makes no sense."""
    if not SHORTEST <= length <= LONGEST:
        raise ValueError(length)
    letters = [chance.choice(kind) for kind in KINDS]
    letters += chance.choices("".join(KINDS), k=length - len(letters))
    chance.shuffle(letters)
    return "".join(letters)


def pick(words: str, chance: random.Random) -> str:
    """One of the things in a list: "tea, coffee or milk". Raises ValueError for an empty one."""
    things = [thing.strip() for thing in re.split(r",|\bor\b", words) if thing.strip()]
    if not things:
        raise ValueError(words)
    return chance.choice(things)

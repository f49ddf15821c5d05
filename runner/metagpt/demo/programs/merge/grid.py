"""A grid of tiles that slide and merge."""

import random

SIZE = 4
TURNS = {"a": 0, "s": 1, "d": 2, "w": 3}


def slide(row: list[int]) -> tuple[list[int], int]:
    """A row after a move to the left, and the sum of the tiles that merged. A tile merges at most once."""
    tiles = [tile for tile in row if tile]
    moved: list[int] = []
    gained = 0
    while tiles:
        tile = tiles.pop(0)
        if tiles and tiles[0] == tile:
            tile += tiles.pop(0)
            gained += tile
        moved.append(tile)
    return moved + [0] * (len(row) - len(moved)), gained


class Grid:
    """Rows of tiles, 0 for an empty cell. seed: decides where new tiles appear."""

    def __init__(self, rows: list[list[int]] | None = None, seed: int | None = None) -> None:
        self.chance = random.Random(seed)
        self.score = 0
        self.rows = rows or [[0] * SIZE for _ in range(SIZE)]
        if not rows:
            self.add_tile()
            self.add_tile()

    def move(self, letter: str) -> bool:
        """Slide all tiles towards a, s, d or w. True if something moved; KeyError for another letter."""
        rows, gained = self.moved(letter)
        if rows == self.rows:
            return False
        self.rows = rows
        self.score += gained
        self.add_tile()
        return True

    def moved(self, letter: str) -> tuple[list[list[int]], int]:
        """The rows after a move, and what it gains."""
        turns = TURNS[letter]
        slid = [slide(row) for row in self.turned(self.rows, turns)]
        return self.turned([row for row, _ in slid], -turns % 4), sum(gained for _, gained in slid)

    @staticmethod
    def turned(rows: list[list[int]], turns: int) -> list[list[int]]:
        """The rows after quarter turns clockwise."""
        for _ in range(turns):
            rows = [list(column) for column in zip(*rows[::-1], strict=True)]
        return rows

    def add_tile(self) -> None:
        """Put a 2, or sometimes a 4, on an empty cell."""
        empty = [(y, x) for y, row in enumerate(self.rows) for x, tile in enumerate(row) if not tile]
        y, x = self.chance.choice(empty)
        self.rows[y][x] = 4 if self.chance.random() < 0.1 else 2

    @property
    def over(self) -> bool:
        return all(self.moved(letter)[0] == self.rows for letter in TURNS)

    def __str__(self) -> str:
        rows = ["".join((str(tile) if tile else ".").rjust(6) for tile in row) for row in self.rows]
        return "\n".join([*rows, f"score {self.score}"])

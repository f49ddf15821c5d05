"""A square board on which marks in a row win."""

from collections.abc import Iterator

SIZE = 3
ROW = 3


class Board:
    """Places numbered from 1, row by row. A place holds a mark or is free."""

    def __init__(self, size: int = SIZE, row: int = ROW) -> None:
        self.size = size
        self.row = row
        self.marks: dict[int, str] = {}

    @property
    def free(self) -> list[int]:
        return [place for place in range(1, self.size**2 + 1) if place not in self.marks]

    @property
    def winner(self) -> str | None:
        for line in self.lines():
            marks = {self.marks.get(place) for place in line}
            if len(marks) == 1 and None not in marks:
                return marks.pop()
        return None

    @property
    def over(self) -> bool:
        return self.winner is not None or not self.free

    def play(self, place: int, mark: str) -> None:
        """Put a mark on a free place. Raises ValueError for any other place."""
        if place not in self.free:
            raise ValueError(place)
        self.marks[place] = mark

    def choose(self, mark: str, other: str) -> int:
        """The place for a mark: one that wins, else one that keeps the other from winning, else near the middle."""
        for side in (mark, other):
            for place in self.free:
                self.marks[place] = side
                wins = self.winner == side
                del self.marks[place]
                if wins:
                    return place
        middle = (self.size**2 + 1) / 2
        return min(self.free, key=lambda place: abs(place - middle))

    def lines(self) -> Iterator[list[int]]:
        """All lines of places that win, in the four directions."""
        for y in range(self.size):
            for x in range(self.size):
                for dx, dy in ((1, 0), (0, 1), (1, 1), (-1, 1)):
                    cells = [(x + dx * n, y + dy * n) for n in range(self.row)]
                    if all(0 <= a < self.size and b < self.size for a, b in cells):
                        yield [b * self.size + a + 1 for a, b in cells]

    def __str__(self) -> str:
        cells = [self.marks.get(place, str(place)).rjust(2) for place in range(1, self.size**2 + 1)]
        return "\n".join(" ".join(cells[n : n + self.size]) for n in range(0, len(cells), self.size))

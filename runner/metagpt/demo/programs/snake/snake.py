"""A snake on a field of cells."""

import random

Cell = tuple[int, int]

DIRECTIONS: dict[str, Cell] = {"w": (0, -1), "a": (-1, 0), "s": (0, 1), "d": (1, 0)}


class Snake:
    """A snake that moves one cell per step. body: its cells, head first; seed: decides where food appears."""

    def __init__(self, width: int = 12, height: int = 6, seed: int | None = None) -> None:
        self.width = width
        self.height = height
        self.chance = random.Random(seed)
        self.body: list[Cell] = [(x, height // 2) for x in (4, 3, 2)]
        self.direction = DIRECTIONS["d"]
        self.score = 0
        self.over = False
        self.food = self.place_food()

    def turn(self, letter: str) -> None:
        """Change the direction; straight back is ignored. Raises KeyError if the letter names none."""
        dx, dy = DIRECTIONS[letter]
        if (dx, dy) != (-self.direction[0], -self.direction[1]):
            self.direction = (dx, dy)

    def step(self) -> None:
        """Move by one cell: eat, or leave the last cell; end at a wall or the body."""
        head = (self.body[0][0] + self.direction[0], self.body[0][1] + self.direction[1])
        eats = head == self.food
        rest = self.body if eats else self.body[:-1]
        if head in rest or not (0 <= head[0] < self.width and 0 <= head[1] < self.height):
            self.over = True
            return
        self.body = [head, *rest]
        if eats:
            self.score += 1
            self.food = self.place_food()

    def place_food(self) -> Cell:
        """A free cell, by chance. A snake that fills the field has won, and the game is over."""
        free = [(x, y) for x in range(self.width) for y in range(self.height) if (x, y) not in self.body]
        self.over = not free
        return self.chance.choice(free or self.body)

    def __str__(self) -> str:
        signs = {self.food: "*"} | dict.fromkeys(self.body, "o") | {self.body[0]: "@"}
        rows = ["".join(signs.get((x, y), ".") for x in range(self.width)) for y in range(self.height)]
        return "\n".join([*rows, f"score {self.score}"])

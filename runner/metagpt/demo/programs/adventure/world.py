"""A small world of rooms to explore."""

from dataclasses import dataclass, field

DIRECTIONS = ("north", "east", "south", "west")


@dataclass
class Room:
    """A place. exits: the next room by direction; locked: what one must carry to go in a direction."""

    name: str
    text: str
    exits: dict[str, str]
    things: list[str] = field(default_factory=list)
    locked: dict[str, str] = field(default_factory=dict)


def rooms() -> list[Room]:
    """The rooms of a new world, the first one to start in and the last one to reach."""
    return [
        Room(
            "hall",
            "Dust dances in the light of a high window.",
            {"east": "kitchen", "north": "gate"},
            [],
            {"north": "key"},
        ),
        Room("kitchen", "The oven is still warm.", {"west": "hall", "south": "cellar"}, ["lamp"]),
        Room("cellar", "Something glints between the barrels.", {"north": "kitchen"}, ["key"]),
        Room("gate", "The road lies open in the evening sun.", {}),
    ]


class World:
    """Rooms, where the player is, and what the player carries."""

    def __init__(self) -> None:
        places = rooms()
        self.rooms = {room.name: room for room in places}
        self.here = places[0]
        self.end = places[-1]
        self.carried: list[str] = []

    @property
    def over(self) -> bool:
        return self.here is self.end

    def go(self, direction: str) -> str:
        """Walk in a direction, and say what is seen there or why it is not possible."""
        if direction not in self.here.exits:
            return f"There is no way {direction}."
        needed = self.here.locked.get(direction)
        if needed and needed not in self.carried:
            return f"The way {direction} is locked. A {needed} would help."
        self.here = self.rooms[self.here.exits[direction]]
        return str(self)

    def take(self, thing: str) -> str:
        """Take a thing that is here."""
        if thing not in self.here.things:
            return f"There is no {thing} here." if thing else "Take what?"
        self.here.things.remove(thing)
        self.carried.append(thing)
        return f"You take the {thing}."

    def __str__(self) -> str:
        seen = [f"You are in the {self.here.name}. {self.here.text}"]
        if self.here.things:
            seen.append(f"You see: {', '.join(self.here.things)}.")
        seen.append(f"Ways: {', '.join(self.here.exits)}." if self.here.exits else "You have made it. The end.")
        return "\n".join(seen)

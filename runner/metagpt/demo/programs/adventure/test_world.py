"""Tests of world.py. Run: python tests/test_world.py"""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "program"))

from world import DIRECTIONS, World, rooms


class WorldTest(unittest.TestCase):
    def test_the_world_can_be_won(self) -> None:
        world = World()
        for step in ("east", "south", "take key", "north", "west", "north"):
            self.assertFalse(world.over)
            if step.startswith("take "):
                world.take(step.removeprefix("take "))
            else:
                world.go(step)
        self.assertTrue(world.over)

    def test_a_locked_way_needs_its_key(self) -> None:
        world = World()
        self.assertIn("locked", world.go("north"))
        self.assertFalse(world.over)

    def test_a_thing_is_taken_once(self) -> None:
        world = World()
        world.go("east")
        world.take("lamp")
        self.assertIn("no lamp", world.take("lamp"))
        self.assertEqual(world.carried, ["lamp"])

    def test_every_exit_leads_to_a_room(self) -> None:
        places = rooms()
        names = {room.name for room in places}
        for room in places:
            self.assertLessEqual(set(room.exits), set(DIRECTIONS))
            self.assertLessEqual(set(room.exits.values()), names)
            self.assertLessEqual(set(room.locked), set(room.exits))


if __name__ == "__main__":
    unittest.main()

"""The places to run."""

from runner.places import Places


def _taken(count: int, *, waiting_limit: int) -> Places:
    places = Places(count, waiting_limit=waiting_limit)
    for number in range(count):
        places.take(number)
    return places


def test_who_waits_for_a_person() -> None:
    """What waits for a person has no place; when it goes on, it is beside the places where all are taken."""
    places = _taken(2, waiting_limit=9)
    places.give_back(0)
    assert places.free == 1
    places.take("next")
    places.go_on(0)
    expected = "All places are taken (2), with 1 more at work since a person has answered"
    assert (places.free, places.reason()) == (0, expected)
    places.leave("next")
    assert (places.free, places.reason()) == (0, "All places are taken (2)")
    places.leave(1)
    assert places.free == 1


def test_how_many_wait_without_a_place() -> None:
    """Beyond the limit, what waits for a person keeps its place, until one of those without goes on, or ends."""
    places = _taken(3, waiting_limit=1)
    for number in range(3):
        places.give_back(number)
    assert places.free == 1
    places.take("next")
    expected = "All places are taken (3), 2 by tasks that wait for a person, since at most 1 may without a place"
    assert (places.free, places.reason()) == (0, expected)
    places.leave(0)
    assert places.free == 1

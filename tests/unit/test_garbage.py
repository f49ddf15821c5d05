"""What the garbage collector passes over, as connections come and go."""

import gc
from collections.abc import Iterator

import pytest

from server.garbage import Garbage


@pytest.fixture
def garbage() -> Iterator[Garbage]:
    """With 1 000 connections that are passed over."""
    garbage = Garbage()
    garbage.tend(1000)
    yield garbage
    gc.unfreeze()


def test_many_connections(garbage: Garbage) -> None:
    """What many connections hold is passed over."""
    assert gc.get_freeze_count() > 0


def test_connections_that_have_gone(garbage: Garbage) -> None:
    """What connections have left behind is looked at once many of them have gone."""
    garbage.tend(700)
    assert gc.get_freeze_count() == 0


def test_a_few_that_have_gone(garbage: Garbage) -> None:
    """For a few connections nothing is looked at again."""
    garbage.tend(760)
    assert gc.get_freeze_count() > 0


def test_those_that_come_back(garbage: Garbage) -> None:
    """What was left behind is not passed over before a collection has seen it, however many come meanwhile."""
    garbage.tend(100)
    garbage.tend(2000)
    assert gc.get_freeze_count() == 0


def test_those_that_stay(garbage: Garbage) -> None:
    """After a full collection, what the others hold is passed over again."""
    garbage.tend(700)
    gc.collect()
    garbage.tend(700)
    assert gc.get_freeze_count() > 0


@pytest.mark.parametrize(("connections", "looked_at"), [(1000, True), (10, False)])
def test_what_is_new(connections: int, looked_at: bool) -> None:
    """What many connections have made since the last tick is looked at before it is much."""
    garbage = Garbage()
    garbage.tend(connections)
    new = [[] for _ in range(100)]  # type: ignore[var-annotated]
    garbage.tend(connections)
    assert (gc.get_count()[0] < len(new)) is looked_at
    gc.unfreeze()

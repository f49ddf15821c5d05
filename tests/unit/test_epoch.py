"""When a database begins a new epoch: when events that somebody has seen may have been lost, and never otherwise."""

import logging
from contextlib import aclosing
from pathlib import Path

import pytest

from runner.base import Durability
from runner.boot import boot_id
from runner.store import SqliteStore
from tests.logs import make_commit, make_task
from tests.power import cut_off


@pytest.mark.parametrize(
    ("durability", "boot", "next_boot", "lost"),
    [
        ("normal", "a", "b", True),
        ("normal", "a", "a", False),
        ("normal", "a", None, True),
        ("normal", None, None, True),
        ("full", "a", "b", False),
        ("full", None, None, False),
    ],
)
async def test_a_database_that_was_cut_off(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    durability: Durability,
    boot: str | None,
    next_boot: str | None,
    lost: bool,
) -> None:
    """What was not on the disk is lost with the machine, not with the process: a new epoch, once, that is logged."""
    path = tmp_path / "log.db"
    async with aclosing(await SqliteStore.open(path, durability=durability, boot=boot)) as store:
        left = cut_off(path, tmp_path / "left")
    with caplog.at_level(logging.WARNING):
        async with aclosing(await SqliteStore.open(left, durability=durability, boot=next_boot)) as after:
            assert (after.epoch != store.epoch) is lost
    assert ("new epoch" in caplog.text) is lost
    async with aclosing(await SqliteStore.open(left, durability=durability, boot="later")) as again:
        assert again.epoch == after.epoch


@pytest.mark.parametrize("boot", ["b", None])
async def test_a_database_that_was_closed(tmp_path: Path, boot: str | None) -> None:
    """What was closed is on the disk: whatever has become of the machine since, the epoch is the same."""
    async with aclosing(await SqliteStore.open(tmp_path / "log.db", boot="a")) as store:
        pass
    async with aclosing(await SqliteStore.open(tmp_path / "log.db", boot=boot)) as again:
        assert again.epoch == store.epoch


async def test_full_durability_after_a_loss(tmp_path: Path) -> None:
    """Also who waits for the disk from now on is told of what was lost before."""
    path = tmp_path / "log.db"
    async with aclosing(await SqliteStore.open(path, durability="normal", boot="a")) as store:
        left = cut_off(path, tmp_path / "left")
    async with aclosing(await SqliteStore.open(left, durability="full", boot="b")) as after:
        assert after.epoch != store.epoch


async def test_a_search_in_a_new_epoch(tmp_path: Path) -> None:
    """Lost events are not found any more, and those that have their ids now are."""
    path = tmp_path / "log.db"
    async with aclosing(await SqliteStore.open(path, boot="a")) as store:
        task = await store.create_task(make_task(), key=None, fingerprint="")
        left = cut_off(path, tmp_path / "left")
        await store.append([make_commit(task, ["lost"])])
        await store.search_events("task", query="lost", limit=9, before=None)
    (tmp_path / "log-search").rename(tmp_path / "left" / "log-search")
    async with aclosing(await SqliteStore.open(left, boot="b")) as after:
        await after.append([make_commit(task, ["kept"])])
        findings = [await after.search_events("task", query=word, limit=9, before=None) for word in ("lost", "kept")]
    assert [len(found.found) for found in findings] == [0, 1]


def test_the_boot_of_this_machine() -> None:
    """The system says which boot it is, and says the same again."""
    assert boot_id()
    assert boot_id() == boot_id()

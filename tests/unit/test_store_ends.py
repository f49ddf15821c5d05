"""What the store remembers of the ends of logs, when a transaction fails."""

import contextlib
import resource
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from runner.base import Commit
from runner.states import Status
from runner.store import SqliteStore
from tests.logs import make_commit, make_task


@contextlib.contextmanager
def _full_disk(file: Path) -> Iterator[None]:
    """Let no file grow beyond the size of this one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_change_that_could_not_be_written(tmp_path: Path) -> None:
    """A change of a task that did not fit on the disk is written when it is tried again."""
    store = await SqliteStore.open(tmp_path / "log.db")
    try:
        commit = make_commit(await store.create_task(make_task(), key=None, fingerprint=""), ["x"])
        assert await store.append([commit]) == [True]
        change = Commit(msgspec.structs.replace(commit.task, status=Status.RUNNING), [])
        with _full_disk(tmp_path / "log.db-wal"), pytest.raises(sqlite3.OperationalError):
            await store.append([change])
        assert await store.append([change]) == [True]
        assert (await store.get_task(commit.task.id)).status is Status.RUNNING
    finally:
        await store.aclose()

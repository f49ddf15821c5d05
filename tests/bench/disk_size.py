"""What an event takes on the disk: committed alone, as in a quiet run, and many together, as in a burst."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

from runner.store import SqliteStore
from tests.bench.processes import temporary_folder
from tests.bench.tables import Report
from tests.logs import make_commit, make_task

TOGETHER = (1, 64)  # events of a commit
SIZES = (256, 512, 1024, 2048, 4096)  # bytes of an event
TOTAL = 8_000_000  # bytes
ENVELOPE = 144  # bytes of an event without its message


def measure(quick: bool) -> Report:
    ways = [f"{together} in a commit" for together in TOGETHER]
    report = Report(
        name="disk_size",
        title="What an event takes on the disk",
        columns=(
            "bytes of JSON",
            *(f"{way}: bytes on disk" for way in ways),
            *(f"{way}: over its JSON" for way in ways),
        ),
        notes=["LOG events, which the index by type has too; without the WAL."],
    )
    for size in SIZES:
        found = [_measure(size, together, TOTAL // 10 if quick else TOTAL) for together in TOGETHER]
        over = [f"{disk / json - 1:+.0%}" for json, disk in found]
        report.rows.append((round(found[0][0]), *(disk for _, disk in found), *over))
        report.raw.append({"size": size, "json_and_disk": found})
    return report


def _measure(size: int, together: int, total: int) -> tuple[float, float]:
    """Bytes of JSON, and on the disk, of an event."""
    with temporary_folder() as folder:
        path = Path(folder, "log.db")
        asyncio.run(_append(path, [], ""))
        empty = path.stat().st_size
        count = total // size // together * together
        json = asyncio.run(_append(path, [together] * (count // together), "x" * (size - ENVELOPE)))
        return json / count, (path.stat().st_size - empty) / count


async def _append(path: Path, commits: Sequence[int], message: str) -> int:
    """Make a task, and append so many events to it in each commit; the bytes of their JSON."""
    async with aclosing(await SqliteStore.open(path)) as store:
        task = await store.create_task(make_task("task" if commits else "other"), key=None, fingerprint="")
        json = 0
        for count in commits:
            commit = make_commit(task, [message] * count, agent_role="Engineer")
            await store.append([commit])
            task = commit.task
            json += sum(len(event.encoded) for event in commit.events)
    return json

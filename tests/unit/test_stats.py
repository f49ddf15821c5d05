"""What the runner counts, and what it reads off the processes."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

import psutil
import pytest

from runner.events import EventType, draft
from runner.recorder import Recorder, entry
from runner.resources import Meter
from runner.states import TERMINAL
from runner.stats import Histogram
from runner.store import SqliteStore
from runner.task import NewTask
from tests.children import told_supervisor
from tests.logs import make_task
from tests.support import until

BURN = "import time; end = time.process_time() + {seconds}\nwhile time.process_time() < end: pass\n"


def test_a_histogram() -> None:
    """A value counts at its bound and at every higher one; one above all of them only in the whole."""
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 5.0):
        histogram.observe(value)
    read = histogram.read()
    assert (read.counts, read.total) == ((2, 3, 4), 8.0)


async def test_a_commit_is_observed_once(tmp_path: Path) -> None:
    """Whatever the number of events in a commit, it is observed once."""
    async with aclosing(await SqliteStore.open(tmp_path / "tasks.db")) as store, Recorder(store) as recorder:
        task = await store.create_task(make_task(), key=None, fingerprint="")
        for _ in range(3):
            task, done = recorder.append(task, [entry(draft(EventType.LOG, {"message": "x"}))] * 100)
        await done
        stats = recorder.stats()
    assert (stats.seconds.counts[-1], stats.events, stats.retries) == (1, 300, 0)


@pytest.mark.parametrize(("deaf", "how"), [(False, "graceful"), (True, "killed")])
async def test_a_stop(tmp_path: Path, deaf: bool, how: str) -> None:
    """A stop is counted by how the run ended."""
    async with told_supervisor(tmp_path) as (supervisor, forks):
        task = await supervisor.create_task(NewTask(input_prompt="x"))
        await supervisor.start_task(task.id)
        (await forks.child()).deaf = deaf
        stopped = await supervisor.stop_task(task.id)
        stops = (await supervisor.stats()).stops
    assert stopped.how == how
    assert stops == {"graceful": 0, "killed": 0} | {how: 1}


async def test_the_end_of_a_run_is_no_stop(tmp_path: Path) -> None:
    """A run that ends by itself is not counted as stopped."""
    async with told_supervisor(tmp_path) as (supervisor, forks):
        task = await supervisor.create_task(NewTask(input_prompt="x"))
        await supervisor.start_task(task.id)
        (await forks.child()).finish()
        await until(lambda: supervisor.get_task_state(task.id), lambda task: task.status in TERMINAL)
        await supervisor.delete_task(task.id)  # it waits until nothing is left of the run
        stops = (await supervisor.stats()).stops
    assert stops == {"graceful": 0, "killed": 0}


@contextmanager
def _process(code: str) -> Iterator[int]:
    """A Python process that has run this code and waits; its pid."""
    code = f"import subprocess, sys\n{code}\nprint(flush=True)\nsys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid


def test_the_cpu_of_ended_descendants_counts() -> None:
    """What a child used that has ended between two readings is not lost."""
    burn = f"subprocess.run([sys.executable, '-c', {BURN.format(seconds=0.5)!r}])"
    with _process(burn) as pid:
        assert Meter(pid).read().cpu_seconds >= 0.5


def test_the_memory_of_all_descendants_counts() -> None:
    """The memory of a grandchild counts."""
    holder = "import sys; held = b'x' * (64 * 1024 * 1024); print(flush=True); sys.stdin.read()"
    spawn = f"child = subprocess.Popen([sys.executable, '-c', {holder!r}], stdin=0, stdout=subprocess.PIPE)\n"
    with _process(spawn + "child.stdout.readline()") as pid:
        alone = psutil.Process(pid).memory_info().rss
        assert Meter(pid).read().rss_bytes >= alone + 64 * 1024 * 1024


def test_the_percentage_is_since_the_last_reading() -> None:
    """A process that has come to rest uses nothing more, and its CPU time stays."""
    with _process(BURN.format(seconds=0.2)) as pid:
        meter = Meter(pid)
        busy = meter.read()
        resting = meter.read()
    assert busy.cpu_percent > 0
    assert (resting.cpu_percent, resting.cpu_seconds) == (0, busy.cpu_seconds)

"""What the processes of a run use."""

import contextlib
import time
from typing import Any

import psutil

from runner.stats import Resources
from runner.usage import Usage


class Meter:
    """Reads what a process that has just begun uses, and all its descendants. Raises `psutil.NoSuchProcess`."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._cpu = 0.0  # seconds, of the last reading
        self._at = time.monotonic()  # of the last reading

    def read(self) -> Resources:
        """What is used now. Raises `psutil.NoSuchProcess` if the process is gone."""
        cpu, rss = 0.0, 0
        for process in (self._root, *self._root.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended; its CPU is its parent's now
                times = process.cpu_times()
                cpu += times.user + times.system + times.children_user + times.children_system
                rss += process.memory_info().rss
        cpu = max(cpu, self._cpu)  # a descendant that nobody waited for is gone with what it used
        now = time.monotonic()
        percent = 100 * (cpu - self._cpu) / (now - self._at)
        self._cpu, self._at = cpu, now
        return Resources(cpu_seconds=cpu, cpu_percent=percent, rss_bytes=rss)


def resource_payload(used: Resources, usage: Usage) -> dict[str, Any]:
    """The payload of a RESOURCE event. usage: of all attempts of the task."""
    return {
        "message": f"{used.cpu_percent:.0f} % CPU, {used.rss_bytes / 1e6:.0f} MB, ${usage.cost_usd:.4f} so far",
        "cpu_percent": round(used.cpu_percent, 1),
        "rss_bytes": used.rss_bytes,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cost_usd": usage.cost_usd,
    }

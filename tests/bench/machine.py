"""What the figures were measured on."""

import os
import platform
import sqlite3
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from tests.bench.processes import has_compiler

PACKAGES = ("uvicorn", "uvloop", "websockets", "starlette", "aiosqlite", "msgspec")


def describe() -> dict[str, Any]:
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": sqlite3.sqlite_version,
        "packages": {name: version(name) for name in PACKAGES},
        "compiler": has_compiler(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def in_words(machine: dict[str, Any]) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    compiler = "" if machine["compiler"] else " No C compiler (or not Linux): limit and load are Python programs."
    return (
        f"{machine['cores']} cores ({machine['cpu']}), {machine['memory_gb']} GB, {machine['kernel']}, "
        f"{machine['python']}, SQLite {machine['sqlite']}, {packages}; loopback. Load average at the start: "
        f"{machine['load_average']}.{compiler}"
    )


def _cpu_model() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

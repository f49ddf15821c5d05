"""Imports point one way: server -> runner, and only runner/metagpt knows MetaGPT."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def _imported(module: Path) -> Iterator[str]:
    """Every module that a module imports anywhere, also in functions and under `if`."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("module", _modules("runner"), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_runner(module: Path) -> None:
    """The runner does not know the server; outside its adapter it does not know MetaGPT, nor the adapter."""
    forbidden = ["server", "static", "tests", "starlette", "uvicorn"]
    if "metagpt" not in module.relative_to(ROOT).parts:
        forbidden += ["metagpt", "runner.metagpt"]
    assert [name for name in _imported(module) if _within(name, *forbidden)] == []


@pytest.mark.parametrize("module", _modules("server"), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_server(module: Path) -> None:
    """The server knows the runner, and neither MetaGPT, nor the adapter, nor SQL; only its command line knows how
    runners are made."""
    forbidden = ["metagpt", "runner.metagpt", "tests", "aiosqlite", "sqlite3"]
    forbidden += ["runner.sql", "runner.log", "runner.store"]
    if module.name != "__main__.py":
        forbidden += ["runner.supervisor", "runner.run", "runner.recorder", "runner.forkserver"]
    assert [name for name in _imported(module) if _within(name, *forbidden)] == []


def test_only_the_store_knows_sql() -> None:
    """The database and its SQL are known to the parts of the store alone."""
    knowing = {
        module.name
        for module in _modules("runner")
        if any(_within(n, "aiosqlite", "runner.sql") for n in _imported(module))
    }
    assert knowing <= {"store.py", "rows.py", "ends.py", "log.py", "search.py", "epoch.py", "database.py"}


@pytest.mark.parametrize("module", ["server.app", "server.__main__", "runner.supervisor"])
def test_metagpt_stays_out(module: str) -> None:
    """Importing the server, in a fresh interpreter, imports neither MetaGPT nor what it drags along."""
    code = (
        f"import sys, {module}; print(*[name for name in sys.modules if name.split('.')[0] in {{'metagpt', 'openai'}}])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr

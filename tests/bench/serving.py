"""The real command, `metagpt-live serve`, as a process of its own, and calls to its API."""

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.bench.processes import ROOT, ProgramFailed

LIMIT = 30.0  # seconds for an answer


class Served:
    """A server on the data folder below `folder`. Use it as a context manager.

    settings: of the environment, without their prefix. address: its host:port, and took: the seconds until it said
    that it serves, once the block has begun.
    """

    def __init__(self, folder: Path, **settings: object) -> None:
        self.data = folder / "data"
        self._folder = folder
        self._settings = {"LLM_MODEL": "demo", "DEMO_PACE": 0} | settings

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "server", "serve", "--port", "0", "--data", str(self.data)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("METAGPT_LIVE_")}
        environment |= {f"METAGPT_LIVE_{name}": str(value) for name, value in self._settings.items()}
        environment |= {"HOME": str(self._folder)}
        begun = time.perf_counter()
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"https?://(\S+)", line):
                self.address, self.took = found[1], time.perf_counter() - begun
                return self
        self.process.stdout.close()
        raise ProgramFailed(f"the server ended with {self.process.wait()}")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        assert self.process.stdout is not None
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """The answer of the API. Raises `ProgramFailed` if it is an error."""
        connection = http.client.HTTPConnection(self.address, timeout=LIMIT)
        try:
            headers = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
            if response.status >= 400:
                raise ProgramFailed(f"{method} {path}: {response.status} {answer}")
            return answer
        finally:
            connection.close()

    def create(self) -> str:
        """Make a task; its id."""
        return str(self.call("POST", "/api/tasks", {"input_prompt": "Write a small tool that counts words"})["id"])

    def until_event(self, task_id: str, event_type: str, *, after: int = 0) -> None:
        """Wait for an event of a type. Raises `ProgramFailed` if the run ends without one."""
        query = f"since_event_id={after}&types={event_type}&limit=1&wait={LIMIT:g}"
        if not self.call("GET", f"/api/tasks/{task_id}/events?{query}")["events"]:
            raise ProgramFailed(f"no {event_type} in task {task_id}")

    def until_ready(self) -> float:
        """Wait until a run would start at once; the seconds that it took."""
        begun = time.perf_counter()
        while time.perf_counter() - begun < LIMIT:
            with contextlib.suppress(ProgramFailed):
                self.call("GET", "/readyz")
                return time.perf_counter() - begun
            time.sleep(0.005)
        raise ProgramFailed("the server does not become ready")

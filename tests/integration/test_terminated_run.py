import asyncio
import signal
import subprocess
from pathlib import Path

import psutil

from tests.support import DEADLINE, METAGPT_LIVE, environment, gone


def test_sigterm_in_the_terminal(tmp_path: Path) -> None:
    """SIGTERM to `metagpt-live run` stops the run as Ctrl-C does: CANCELLED, exit code 1, no process left."""
    with subprocess.Popen(
        [METAGPT_LIVE, "run", "hangman", "--data", tmp_path / "data"],
        env=environment(tmp_path, DEMO_PACE=100),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        for line in process.stdout:
            if "product manager begins" in line:
                break
        processes = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        assert "CANCELLED" in process.stdout.read()
        assert process.stderr.read() == ""
        assert process.wait(DEADLINE) == 1
    asyncio.run(gone(processes))

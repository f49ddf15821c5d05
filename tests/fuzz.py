"""Has schemathesis call a real server by its own description: `make fuzz`.

It knows more tricks than tests/integration/test_fuzz.py, which belongs to the suite, and brings some twenty packages:
so it has an environment of its own, and is asked before a release.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import httpx

from tests.support import Server

EXAMPLES = 25  # of each operation
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)
# Nothing is to be deleted on the way, nor drained, or nothing else would be reached; what is imported is no JSON.
LEFT_OUT = ("--exclude-path-regex", "/(drain|import)$", "--exclude-method", "DELETE")


def main() -> int:
    """Run as `python -m tests.fuzz PROGRAM ...`: the path of schemathesis, and further options for it."""
    program, *options = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder) / "data", REQUEST_RATE=0) as server:
        (Path(folder) / "schemathesis.toml").write_text(_known(server))
        command = [
            *(str(Path(program).absolute()), "run", f"{server.url}/openapi.json"),
            *("--checks", ",".join(CHECKS), "--max-examples", str(EXAMPLES), "--phases", "coverage,fuzzing"),
            *("--continue-on-failure", *LEFT_OUT, *options),
        ]
        return subprocess.run(command, cwd=folder).returncode


def _known(server: Server) -> str:
    """The settings by which schemathesis knows a task that has run, and a file of it."""
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        task_id = http.post("/api/tasks", json={"input_prompt": "hangman"}).json()["id"]
        http.post(f"/api/tasks/{task_id}/run")
        while not http.get(f"/api/tasks/{task_id}/events?types=RESULT&wait=30", timeout=60).json()["terminal"]:
            pass
        path = http.get(f"/api/tasks/{task_id}/artifacts").json()["artifacts"][0]["path"]
    return f'[parameters]\n"path.task_id" = "{task_id}"\n"path.path" = "{path}"\n"query.wait" = 0.01\n'


if __name__ == "__main__":
    sys.exit(main())

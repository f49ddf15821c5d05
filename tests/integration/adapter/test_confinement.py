"""Programs that a model wrote, and that want out."""

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from runner import landlock, seccomp
from runner.attempt import Llm
from runner.confinement import has_mounts
from runner.metagpt import limits
from runner.metagpt.demo.answers import answer as demo_answer
from tests.integration.adapter.conftest import Start
from tests.openai_server import OpenAiServer

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(
        landlock.abi() < landlock.SCOPE_ABI or not seccomp.available() or not has_mounts(),
        reason="this system cannot confine programs",
    ),
]

# Tries one thing after another, and prints for each how it failed, or that it did not.
ATTACKER = """```python
import ctypes, errno, fcntl, json, os, platform, resource, signal, socket, stat

outside, data, server = {outside!r}, {data!r}, {server}
victim, secret, parent = f"{{outside}}/victim", f"{{data}}/secret", os.getppid()
os.symlink(outside, "way-out")
open("mine", "w").close()
os.chmod("mine", 0o750)
os.utime("mine", (1, 1))
os.nice(1)
socket.socketpair()
os.sched_setaffinity(0, os.sched_getaffinity(0))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.prlimit(os.getpid(), resource.RLIMIT_CORE)
readable = os.open(os.__file__, os.O_RDONLY)


def ptrace(pid):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, pid, None, None):
        raise OSError(ctypes.get_errno(), "ptrace")


attacks = {{
    "write": lambda: open(victim, "w"),
    "write on": lambda: open(victim, "a"),
    "climb": lambda: open(os.path.relpath(victim), "w"),
    "through a link": lambda: open("way-out/new", "w"),
    "move out": lambda: os.rename("mine", f"{{outside}}/mine"),
    "move in": lambda: os.rename(victim, "victim"),
    "link in": lambda: os.link(victim, "victim"),
    "empty": lambda: os.truncate(victim, 0),
    "remove": lambda: os.unlink(victim),
    "remove a folder": lambda: os.rmdir(f"{{outside}}/empty"),
    "mode": lambda: os.chmod(victim, 0o666),
    "mode by a link": lambda: os.chmod("way-out/victim", 0o666),
    "mode of what can be read": lambda: os.fchmod(readable, os.fstat(readable).st_mode),
    "owner": lambda: os.chown(victim, os.getuid(), os.getgid()),
    "times": lambda: os.utime(victim, (1, 1)),
    "attributes": lambda: os.setxattr(victim, "user.attribute", b"x"),
    "make a folder": lambda: os.mkdir(f"{{outside}}/folder"),
    "make a link": lambda: os.symlink("/", f"{{outside}}/link"),
    "make a pipe": lambda: os.mkfifo("pipe"),
    "make a socket": lambda: os.mknod("socket", stat.S_IFSOCK),
    "command a device": lambda: fcntl.ioctl(open("/dev/zero"), 0x5401, bytes(64)),
    "run of others": lambda: os.posix_spawn(f"{{outside}}/program", ["program"], {{}}),
    "read of others": lambda: open(secret).read(),
    "read keys of the system": lambda: os.listdir("/etc/ssl/private"),
    "read the home": lambda: os.listdir(os.path.expanduser("~root")),
    "list data": lambda: os.listdir(data),
    "memory of the run": lambda: open(f"/proc/{{parent}}/mem", "rb"),
    "variables of the run": lambda: open(f"/proc/{{parent}}/environ").read(),
    "variables of the server": lambda: open(f"/proc/{{server}}/environ").read(),
    "folder of the server": lambda: os.listdir(f"/proc/{{server}}/cwd/"),
    "trace the run": lambda: ptrace(parent),
    "signal the run": lambda: os.kill(parent, 0),
    "signal the server": lambda: os.kill(server, 0),
    "limit the server": lambda: resource.prlimit(server, resource.RLIMIT_CORE, (0, 0)),
    "slow the run": lambda: os.setpriority(os.PRIO_PROCESS, parent, os.getpriority(os.PRIO_PROCESS, parent)),
    "slow the user": lambda: os.setpriority(os.PRIO_USER, 0, 0),
    "move the run": lambda: os.sched_setaffinity(parent, os.sched_getaffinity(parent)),
    "watch others": lambda: call(number("inotify_init1"), 0),
    "watch all": lambda: call(number("fanotify_init"), 0x200, 0),
    "internet socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "local socket": lambda: socket.socket(socket.AF_UNIX),
    "one of a pair": lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),
    "one that is raw": lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_RAW | socket.SOCK_CLOEXEC),
    "ring of calls": lambda: call(425, 1, ctypes.create_string_buffer(120)),
    "another table of calls": lambda: call(0x40000000 + 39),
    "memory in no process": lambda: os.memfd_create("memory"),
    "memory that outlives": lambda: call(number("shmget"), 0, 4096, 0o1600),
    "messages that outlive": lambda: call(number("msgget"), 0, 0o1600),
    "keys of the user": lambda: call(number("keyctl"), 0, -4, 0),
    "be root in a namespace": lambda: call(number("unshare"), CLONE_NEWUSER),
    "start in a namespace": lambda: call(number("clone"), CLONE_NEWUSER | signal.SIGCHLD, 0, 0, 0, 0),
}}

CLONE_NEWUSER = 0x10000000
NUMBERS = {{
    "x86_64": {{"shmget": 29, "msgget": 68, "keyctl": 250, "unshare": 272, "clone": 56,
               "inotify_init1": 294, "fanotify_init": 300}},
    "generic": {{"shmget": 194, "msgget": 186, "keyctl": 219, "unshare": 97, "clone": 220,
                "inotify_init1": 26, "fanotify_init": 262}},
}}


def number(name):
    return NUMBERS.get(platform.machine(), NUMBERS["generic"])[name]


def call(*arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "syscall")


results = {{}}
for name, attack in attacks.items():
    try:
        attack()
        results[name] = "done"
    except OSError as error:
        results[name] = errno.errorcode[error.errno]
rights = [line.split() for line in open("/proc/self/status") if line.startswith({rights})]
mine = os.stat("mine")
print(json.dumps({{
    "attacks": results, "variables": sorted(os.environ), "rights": rights, "mine": [mine.st_mode, mine.st_mtime]
}}))
```"""

# Takes all it can get, of one thing after another.
GLUTTON = """```python
import errno, os, sys, time

try:
    b"x" * (3 << 30)
except MemoryError:
    print("MemoryError")
try:
    os.pwrite(os.open("large", os.O_CREAT | os.O_WRONLY), b"x", 1 << 30)
except OSError as error:
    print(errno.errorcode[error.errno])
files = []
try:
    while True:
        files.append(open(__file__))
except OSError as error:
    print(errno.errorcode[error.errno])
sys.stdout.flush()
while True:
    if os.fork() == 0:
        time.sleep(300)
```"""

DENIED = {"EACCES", "EPERM", "EXDEV", "EROFS"}
RIGHTS = {"CapInh:": 0, "CapPrm:": 0, "CapEff:": 0, "CapAmb:": 0, "NoNewPrivs:": 1}


def qa_writes(script: str) -> OpenAiServer:
    """An endpoint whose QA engineer writes this."""
    return OpenAiServer(
        answer=lambda prompt, system: script if "QA engineer" in prompt else demo_answer(prompt, system)
    )


async def test_a_program_gets_nowhere(start: Start, tmp_path: Path, workspace: Path) -> None:
    """A generated program can neither write, read, look nor talk outside of its workspace, and finds no key."""
    (tmp_path / "victim").write_text("untouched")
    made = (tmp_path / "victim").stat()
    (tmp_path / "empty").mkdir()
    shutil.copy(shutil.which("true") or "", tmp_path / "program")
    (workspace.parent / "secret").parent.mkdir(parents=True)
    (workspace.parent / "secret").write_text("of another task")
    before = sorted(os.listdir(tmp_path))
    script = ATTACKER.format(
        outside=str(tmp_path), data=str(workspace.parent), server=os.getpid(), rights=tuple(RIGHTS)
    )
    with qa_writes(script) as server:
        attempt = await start(llm=Llm(config=server.config()), run_tests=True)
        ran = await attempt.until("ACTION_COMPLETE", lambda payload: payload["action"] == "RunCode")
    out, err = json.loads(ran["output"])
    assert out, err
    told = json.loads(out)
    got_somewhere = {name: result for name, result in told["attacks"].items() if result not in DENIED}
    assert got_somewhere in ({}, {"read keys of the system": "ENOENT"})  # not every system has this folder
    assert {name: int(value, 16) for name, value in told["rights"]} == RIGHTS
    assert not [name for name in told["variables"] if "KEY" in name or name.startswith("METAGPT_LIVE_LLM")]
    assert told["mine"] == [stat.S_IFREG | 0o750, 1]
    assert (tmp_path / "victim").read_text() == "untouched"
    assert _but_reading((tmp_path / "victim").stat()) == _but_reading(made)
    assert sorted(os.listdir(tmp_path)) == before


def _but_reading(found: os.stat_result) -> tuple[int, ...]:
    return found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns, found.st_ctime_ns


async def test_a_program_cannot_take_the_machine(start: Start) -> None:
    """Memory, files and processes of a generated program are limited, and it is ended when it starts too many."""
    with qa_writes(GLUTTON) as server:
        attempt = await start(llm=Llm(config=server.config()), run_tests=True)
        ran = await attempt.until("ACTION_COMPLETE", lambda payload: payload["action"] == "RunCode")
        assert (await attempt.until("ACTION_START"))["action"]  # the run goes on
    out, err = json.loads(ran["output"])
    assert out.split() == ["MemoryError", "EFBIG", "EMFILE"], err
    assert err.endswith("The command was ended: it started more than 64 processes.\n")


# Has git start a program of its own, which tells how long it may compute, and whether it can end the run.
HOOK = """```python
from pathlib import Path

hook = Path(".git/hooks/pre-commit")
hook.parent.mkdir(exist_ok=True)
hook.write_text("#!/bin/sh\\nulimit -t >told; kill -0 $PPID 2>/dev/null && echo yes >>told; true\\n")
hook.chmod(0o755)
```"""


async def test_what_git_starts_is_a_program_too(start: Start, workspace: Path) -> None:
    """A program that a model has put among git's own is held in and limited when git runs it."""
    with qa_writes(HOOK) as server:
        attempt = await start(llm=Llm(config=server.config()), run_tests=True)
        assert await attempt.end() == 0
    told = workspace / attempt.result["project"] / "told"
    assert told.read_text().split() == [str(limits.CPU_TIME)]

"""What a reader that stalls costs in memory, over each transport, with and without TLS."""

import asyncio
import socket
import ssl
import time
from contextlib import ExitStack, aclosing
from pathlib import Path

import psutil

from runner.events import now
from runner.folder import DATABASE
from runner.states import Status
from runner.store import SqliteStore
from server.bounds import PIECE_BYTES
from tests.bench.processes import ROOT, temporary_folder
from tests.bench.serving import Served
from tests.bench.tables import Report
from tests.logs import make_commit, make_task

READERS = 30
WARM_UP = 3  # readers, so that what is made once is not counted
SIZE, COMMIT, COMMITS = 1000, 500, 40  # bytes of an event, events of a commit, commits
RECEIVE_BUFFER = 4096  # bytes; what the kernel holds is not the server's memory
SETTLE = 3.0  # seconds
TLS = ROOT / "tests" / "tls"
MOST = 6 * PIECE_BYTES  # two of them, as they are and encrypted, and what the allocator keeps
PATH = "/api/tasks/long/events"
UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)


def measure(quick: bool) -> Report:
    report = Report(
        name="stalled_memory",
        title="Memory of a stalled reader",
        columns=(f"reads {SIZE * COMMIT * COMMITS / 1e6:g} MB over", "plain, kB each", "TLS, kB each"),
        notes=[f"Growth of the server's resident memory over {READERS} readers that take nothing."],
    )
    for title, path, headers in (("WebSocket", PATH, UPGRADE), ("REST", f"{PATH}?limit=5000", ())):
        plain, encrypted = (_grown(path, headers, secure=secure) for secure in (False, True))
        report.rows.append((title, plain / 1e3, encrypted / 1e3))
        report.raw.append({"transport": title, "plain": plain, "tls": encrypted})
        report.check(f"{title} over TLS", encrypted / 1e3, MOST / 1e3, at_least=False, unit=" kB")
    return report


def _grown(path: str, headers: tuple[str, ...], *, secure: bool) -> float:
    """Bytes for each reader."""
    settings = {"TLS_CERT": TLS / "cert.pem", "TLS_KEY": TLS / "key.pem"} if secure else {}
    with temporary_folder() as folder, ExitStack() as stack:
        (folder / "data").mkdir()
        asyncio.run(_fill(folder / "data" / DATABASE))
        served = stack.enter_context(Served(folder, **settings))
        for _ in range(WARM_UP):
            stack.enter_context(_stalled(served.address, path, headers, secure=secure))
        time.sleep(SETTLE)
        process = psutil.Process(served.process.pid)
        before = process.memory_info().rss
        for _ in range(READERS):
            stack.enter_context(_stalled(served.address, path, headers, secure=secure))
        time.sleep(SETTLE)
        return (process.memory_info().rss - before) / READERS


def _stalled(address: str, path: str, headers: tuple[str, ...], *, secure: bool) -> socket.socket:
    """A client that has asked for something, and reads nothing of it."""
    host, _, port = address.partition(":")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    client.connect((host, int(port)))
    if secure:
        context = ssl.create_default_context(cafile=TLS / "cert.pem")
        client = context.wrap_socket(client, server_hostname="localhost")
    client.sendall("\r\n".join([f"GET {path} HTTP/1.1", f"Host: {address}", *headers, "", ""]).encode())
    return client


async def _fill(path: Path) -> None:
    async with aclosing(await SqliteStore.open(path)) as store:
        task = await store.create_task(make_task("long"), key=None, fingerprint="")
        for _ in range(COMMITS):
            commit = make_commit(task, ["x" * SIZE] * COMMIT, status=Status.SUCCEEDED, completed_at=now())
            await store.append([commit])
            task = commit.task

import asyncio
import socket

from runner.events import EventType
from runner.metagpt.channel import HIGH_WATER, Channel
from runner.redact import Redactor

SIZE = 1000  # characters of each event


async def test_many_small_events_hold_the_team_back() -> None:
    """`drained` waits while nobody reads, however small the events are that have piled up, and then goes on."""
    theirs, ours = socket.socketpair()
    theirs.setblocking(False)
    channel = Channel(ours, Redactor([]), on_command=lambda command: None, on_gone=lambda: None)
    with theirs, ours:
        for _ in range(2 * HIGH_WATER // SIZE):
            channel.emit(EventType.LOG, {"message": "x" * SIZE})
        waiting = asyncio.create_task(channel.drained())
        await asyncio.sleep(0)
        assert not waiting.done()
        while not waiting.done():
            await asyncio.get_running_loop().sock_recv(theirs, 1 << 20)
            await asyncio.sleep(0)
        channel.close()

"""The server's frames, as a client reads them that wants the bytes of each event."""

from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection


class Frame(msgspec.Struct):
    """Any frame of the server. The events are kept as the bytes that came."""

    op: str
    task_id: str = ""
    epoch: str = ""
    event_id: int = 0
    head: int | None = None
    code: str = ""
    status: str = ""
    events: list[msgspec.Raw] = []
    state: dict[str, Any] | None = {}  # null in a `state` frame of a deleted task
    first: int = msgspec.field(name="from", default=0)
    last: int = msgspec.field(name="to", default=0)


async def send(connection: ClientConnection, **frame: Any) -> None:
    await connection.send(msgspec.json.encode(frame).decode())


async def receive_until(connection: ClientConnection, op: str) -> list[Frame]:
    """What comes, up to the next frame of an op."""
    frames = [await receive(connection)]
    while frames[-1].op != op:
        frames.append(await receive(connection))
    return frames


async def receive(connection: ClientConnection) -> Frame:
    return msgspec.json.decode(await connection.recv(), type=Frame)

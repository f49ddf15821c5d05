"""Whether the other side of a connection takes what is sent to it.

Megabytes can lie between a write and who reads it: in our memory, in the kernel, in the buffer of the peer. A peer that
reads slowly moves nothing that is ours for long. But it opens its window as it reads, and Linux tells how far: the byte
up to which a peer has said that it has room grows by what its program reads, and by next to nothing else.
"""

import asyncio
import socket
import struct
import sys

from server.bounds import TAKEN_BYTES

_SIZE = 232  # bytes of the kernel's `struct tcp_info` that are looked at
_BYTES_ACKED = 120  # where they are in it: tcpi_bytes_acked,
_WINDOW = 228  # and tcpi_snd_wnd, since Linux 5.4


class Peer:
    """What of a connection is taken by its peer, since it was made or `has_taken` last said so."""

    __slots__ = ("_taken", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._taken = _taken(transport)

    def has_taken(self) -> bool:
        """Whether the peer has taken more, `TAKEN_BYTES` at least."""
        taken = _taken(self._transport)
        if taken - self._taken < TAKEN_BYTES:
            return False
        self._taken = taken
        return True


def _taken(transport: asyncio.Transport) -> int:
    """A number of bytes that grows as a peer takes more; where the system does not tell, as our own buffer shrinks."""
    if sys.platform != "linux":
        return -transport.get_write_buffer_size()
    info = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SIZE)
    (acknowledged,) = struct.unpack_from("=Q", info, _BYTES_ACKED)
    (window,) = struct.unpack_from("=I", info, _WINDOW) if len(info) == _SIZE else (0,)
    return int(acknowledged) + int(window)

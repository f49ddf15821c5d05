"""What the kernel keeps a process from that gives rights up, where no filter of system calls stands before it."""

import socket
import subprocess
import sys

import pytest

from runner import landlock

ENTER = """
import socket
from runner.landlock import Ruleset

Ruleset(tcp={tcp}).enter()
for family, address in ((socket.AF_INET, ("127.0.0.1", {port})), (socket.AF_UNIX, {name})):
    try:
        socket.socket(family).connect(address)
        print("connected")
    except PermissionError:
        print("refused")
"""


@pytest.mark.skipif(landlock.abi() < landlock.SCOPE_ABI, reason="this kernel cannot do it")
@pytest.mark.parametrize(("tcp", "outcome"), [("none", ["refused", "refused"]), ("tcp", ["connected", "refused"])])
def test_connections(tcp: str, outcome: list[str]) -> None:
    """TCP is free or not, and other programs' sockets without a file never are."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(b"")  # a name that nobody has
        local.listen()
        program = ENTER.format(tcp=tcp == "tcp", port=server.getsockname()[1], name=local.getsockname())
        arguments = [sys.executable, "-c", program]
        done = subprocess.run(arguments, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.split() == outcome

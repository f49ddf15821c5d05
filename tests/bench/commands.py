"""Commands on stdin, for programs that wait in a selector."""

import os
import sys
from collections.abc import Callable


class StdinCommands:
    """Calls `obey` with the words of each line. Ends the process at the end of stdin."""

    def __init__(self, obey: Callable[[list[str]], None]) -> None:
        self._obey = obey
        self._rest = b""

    def read(self) -> None:
        """To be called when stdin is readable."""
        data = os.read(sys.stdin.fileno(), 65536)
        if not data:
            sys.exit(0)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._obey(line.decode().split())

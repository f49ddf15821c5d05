"""From which pages a browser may talk to us.

A browser lets any page in the world send requests and open WebSockets to any address, loopback included, and says only
in the Origin header which page it was. And a page whose own name was made to point here (DNS rebinding) counts as ours
for the browser; it is known by the name in the Host header. What a page can do so little about is its address: an IP
address as host is always what it says.
"""

import ipaddress
import re
from collections.abc import Collection
from functools import lru_cache
from urllib.parse import urlsplit

from server.problems import BadRequest

_LONGEST_HOST = 262  # characters: a domain name (RFC 1035: 255) with a port
_CACHE = 256  # hosts


class Origins:
    """Knows the hosts that are ours: this machine by its addresses and as `localhost`, and those that are allowed.

    allowed: names, with a port where browsers see one other than 80 or 443.
    """

    def __init__(self, allowed: Collection[str] = ()) -> None:
        self._allowed = frozenset(map(str.lower, allowed))
        self._names = frozenset(_hostname(host) for host in self._allowed) | {"localhost"}

    @staticmethod
    def is_host(words: str) -> bool:
        """Whether this can be allowed: a name, and maybe a port."""
        return re.fullmatch(r"[A-Za-z0-9.-]+(:\d+)?", words) is not None

    def check_host(self, host: str) -> None:
        """Raise `BadRequest` unless a request for this host, as its Host header says, is meant for us."""
        name = _hostname(host)
        if name not in self._names and not _is_address(name):
            message = (
                f"This server does not answer for the host {host!r}. If it is meant to, start it with --allow-host."
            )
            raise BadRequest(message, code="host_refused", status=403)

    def check_origin(self, origin: str, *, host: str, secure: bool) -> None:
        """Raise `BadRequest` unless a page of this origin may act here.

        host: to which it has sent the request, and which is ours. secure: whether over TLS.
        """
        scheme, _, place = origin.lower().partition("://")
        if place == host.lower() or place in self._allowed:
            if scheme == "https" or (scheme == "http" and not secure):
                return
        message = f"Pages of the origin {origin!r} may not act here. If they are meant to, see --allow-host."
        raise BadRequest(message, code="origin_refused", status=403)


@lru_cache(maxsize=_CACHE)
def _hostname(host: str) -> str:
    """The name or the address in a Host header, without the port; "" if there is none."""
    if len(host) > _LONGEST_HOST:
        return ""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


@lru_cache(maxsize=_CACHE)
def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

"""What one client may use: connections at the same time, requests a second, and frames a second on each connection.

A client is an IP address; of IPv6 its /64 network, since whoever has one address has all of these.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

BURST = 2.0  # seconds' worth of requests that may come at once; one at the least
_SWEEP = 10_000  # clients whose pace is known, before those are forgotten who are at rest
_CACHE = 4096  # addresses


class Pace:
    """How fast somebody may ask: the generic cell rate algorithm, which is a token bucket in one number.

    rate: per second, over `BURST`; 0 for no limit.
    """

    __slots__ = ("_ahead", "_interval", "_paid_until")

    def __init__(self, rate: float) -> None:
        self._interval = 1 / rate if rate else 0.0
        self._ahead = max(BURST, self._interval)  # seconds: one may always come
        self._paid_until = 0.0

    def wait(self, now: float) -> float:
        """Count something that is asked; how many seconds too early it comes, if it does, and then it is not counted.

        now: by a monotonic clock.
        """
        paid_until = max(self._paid_until, now)
        early = (paid_until - now) + self._interval - self._ahead  # in this order, no rounding is in the way at rest
        if self._interval and early > 0:
            return early
        self._paid_until = paid_until + self._interval
        return 0.0

    def is_at_rest(self, now: float) -> bool:
        """Whether it is as if nothing had been asked."""
        return self._paid_until <= now


class Places:
    """Counts what each client has of something at the same time. limit: how many it may have."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._taken: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Count one more, until `leave`; False if it would be one too many, and is not counted."""
        client = _client(address)
        if self._taken[client] >= self.limit:
            return False
        self._taken[client] += 1
        return True

    def leave(self, address: str) -> None:
        client = _client(address)
        self._taken[client] -= 1
        if not self._taken[client]:
            del self._taken[client]


class Clients:
    """Counts what clients use. connections, rate: what one may, rate per second; a rate of 0 is no limit. It may have
    as many TLS handshakes under way, beside its connections.

    proxies: addresses and networks of proxies, which are not clients. clock: monotonic, in seconds.
    """

    def __init__(
        self,
        *,
        connections: int,
        rate: float,
        proxies: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connections = Places(connections)
        self.handshakes = Places(connections)
        self.rate = rate
        self._proxies = [ip_network(proxy) for proxy in proxies]
        self._clock = clock
        self._paces: dict[str, Pace] = {}
        self._sweep = _SWEEP

    def is_proxy(self, address: str) -> bool:
        """Whether what comes from an address comes from others."""
        found = _parsed(address)
        return found is not None and any(found in proxy for proxy in self._proxies)

    def wait(self, address: str) -> float:
        """Count a request; how many seconds too early it comes, if it does, and then it is not counted."""
        client, now = _client(address), self._clock()
        pace = self._paces.get(client)
        if pace is None:
            pace = self._paces[client] = Pace(self.rate)
            self._forget(now)
        return pace.wait(now)

    def _forget(self, now: float) -> None:
        """Forget those at rest, when there are many more than the last time."""
        if len(self._paces) > self._sweep:
            self._paces = {client: pace for client, pace in self._paces.items() if not pace.is_at_rest(now)}
            self._sweep = max(_SWEEP, 2 * len(self._paces))


@lru_cache(maxsize=_CACHE)
def _client(address: str) -> str:
    found = _parsed(address)
    if not isinstance(found, IPv6Address):
        return address
    return str(found.ipv4_mapped or ip_network((int(found), 64), strict=False))


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(address)
    except ValueError:  # a proxy may call a client what it likes
        return None

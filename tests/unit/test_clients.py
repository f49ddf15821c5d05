"""What one client may use."""

import pytest

from server.clients import BURST, Clients

HERE, THERE = "192.0.2.1", "192.0.2.2"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _clients(clock: Clock, rate: float) -> Clients:
    return Clients(connections=2, rate=rate, clock=clock)


def test_connections() -> None:
    """A client has at most so many connections at a time; another client has its own."""
    clients = _clients(Clock(), 1)
    assert [clients.connections.enter(HERE) for _ in range(3)] == [True, True, False]
    assert clients.connections.enter(THERE)
    clients.connections.leave(HERE)
    assert [clients.connections.enter(HERE) for _ in range(2)] == [True, False]


def test_the_pace() -> None:
    """So many requests may come at once; from then on each waits until it is its time, and what is refused is free."""
    clock = Clock()
    clients = _clients(clock, 8)
    burst = int(8 * BURST)
    assert [clients.wait(HERE) for _ in range(burst)] == [0] * burst
    assert [clients.wait(HERE) for _ in range(3)] == [0.125] * 3
    assert clients.wait(THERE) == 0
    clock.now += 0.125
    assert clients.wait(HERE) == 0
    assert clients.wait(HERE) > 0
    clock.now += 1000
    assert [clients.wait(HERE) > 0 for _ in range(burst + 1)] == [False] * burst + [True]


def test_a_slow_pace() -> None:
    """A rate of less than one in the time of a burst is possible."""
    clock = Clock()
    clients = _clients(clock, 0.125)
    assert [clients.wait(HERE) for _ in range(2)] == [0, 8]
    clock.now += 8
    assert clients.wait(HERE) == 0


def test_whoever_is_at_rest_may_come() -> None:
    """The first request of a client is never too early, whatever the clock shows."""
    clock = Clock()
    for _ in range(1000):
        clock.now += 0.1
        assert _clients(clock, 0.001).wait(HERE) == 0


def test_no_pace() -> None:
    """A rate of 0 is no limit."""
    clients = _clients(Clock(), 0)
    assert not any(clients.wait(HERE) for _ in range(10_000))


def test_clients_at_rest_are_forgotten() -> None:
    """However many clients come, those that are at rest cost no memory."""
    clock = Clock()
    clients = _clients(clock, 1000)
    for number in range(100_000):
        clock.now += 0.001
        clients.wait(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(clients._paces) < 30_000


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", HERE, True),
        (HERE, THERE, False),
        ("unknown", "unknown", True),
        ("_hidden:1", "", False),
    ],
)
def test_who_is_one_client(first: str, second: str, same: bool) -> None:
    """An IPv4 address is a client, however it is written, and so is a network of IPv6 that one has as a whole."""
    clients = Clients(connections=1, rate=0)
    clients.connections.enter(first)
    assert clients.connections.enter(second) is not same


def test_proxies() -> None:
    """Proxies are known by address or network."""
    assert not Clients(connections=1, rate=0, proxies=["10.0.0.0/8"]).is_proxy("")
    clients = Clients(connections=1, rate=0, proxies=["10.0.0.0/8", "::1"])
    assert [clients.is_proxy(address) for address in ("10.1.2.3", "::1", "11.0.0.1", HERE)] == [
        True,
        True,
        False,
        False,
    ]

"""A server for this machine only, into which everybody is let."""

from server.entry import open_gate
from server.gate import Gate
from server.settings import BODY_LIMIT, FRAME_LIMIT, Limits, Network

LOOPBACK = Network(
    host="127.0.0.1", port=0, token_file=None, allow_host=(), forwarded_allow=(), tls_cert=None, tls_key=None
)

LIMITS = Limits(
    body_limit=BODY_LIMIT,
    frame_limit=FRAME_LIMIT,
    prompt_limit=100_000,
    subscription_limit=1000,
    connection_limit=100_000,
    request_rate=0,
    request_timeout=30,
)


def loopback_gate() -> Gate:
    return open_gate(LOOPBACK, LIMITS, is_loopback=True)

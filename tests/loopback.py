"""A server for this machine only, into which everybody is let."""

from server.entry import open_gate
from server.gate import Gate
from server.settings import Network

LOOPBACK = Network(
    host="127.0.0.1", port=0, token_file=None, allow_host=(), forwarded_allow=(), tls_cert=None, tls_key=None
)


def loopback_gate() -> Gate:
    return open_gate(LOOPBACK, is_loopback=True)

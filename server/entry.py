"""What must hold before the server lets anybody in: nobody is served on a network without a token."""

import ipaddress

from server.auth import Auth, OpenAuth, TokenAuth
from server.clients import Clients
from server.gate import Gate
from server.origins import Origins
from server.settings import Limits, Network
from server.tokens import TokenFile

_CREATE = "`metagpt-live token create --role operator --token-file FILE`"


class NotServed(Exception):
    """The server does not start, since it would not be safe; `str()` says why and what to do."""


def open_gate(network: Network, limits: Limits, *, is_loopback: bool) -> Gate:
    """The gate for what is set. is_loopback: whether only this machine can reach the server.

    Raises `NotServed`, `TokensUnusable`.
    """
    for name in network.allow_host:
        if not Origins.is_host(name):
            raise NotServed(f"--allow-host takes a name such as runs.example.org or localhost:3000, not {name!r}.")
    for proxy in network.forwarded_allow:
        if not _is_network(proxy):
            raise NotServed(f"--forwarded-allow takes an address or a network such as 10.0.0.0/8, not {proxy!r}.")
    if (network.tls_cert is None) != (network.tls_key is None):
        raise NotServed("--tls-cert and --tls-key are given together or not at all.")
    auth = _auth(network, is_loopback=is_loopback)
    clients = Clients(connections=limits.connection_limit, rate=limits.request_rate, proxies=network.forwarded_allow)
    return Gate(auth, Origins(network.allow_host), clients, limits)


def _auth(network: Network, *, is_loopback: bool) -> Auth:
    if network.token_file is None:
        if not is_loopback:
            raise NotServed(
                f"Whoever can reach {network.host} could run programs here. Make a token with {_CREATE}, and give "
                "--token-file FILE here too; or listen on 127.0.0.1."
            )
        if network.forwarded_allow:
            raise NotServed(
                f"Behind a proxy others than this machine come in. Make a token with {_CREATE}, and give --token-file "
                "FILE here too."
            )
        return OpenAuth()
    auth = TokenAuth(TokenFile(network.token_file))
    if auth.is_locked:
        raise NotServed(f"No token in {network.token_file} lets anybody in. Make one with {_CREATE}.")
    return auth


def _is_network(words: str) -> bool:
    try:
        ipaddress.ip_network(words)
    except ValueError:
        return False
    return True

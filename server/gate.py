"""The gate, through which every request and every WebSocket comes before anything else looks at it."""

import math

from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server import problems
from server.auth import COOKIE, Auth, NotAuthenticated, Pass
from server.clients import Clients
from server.origins import Origins
from server.problems import BadRequest
from server.settings import Limits

_SAFE = frozenset({"GET", "HEAD"})

# The page itself holds nothing secret, and shows the login. Who logs in has no token in a header yet.
_OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/openapi.json", "/api/login"})
_OPEN_FOLDERS = ("/static/", "/tasks/")
# Read line by line, of which each has its own limit; a whole body may take its time, as long as it comes.
_STREAMED = frozenset({"/api/tasks/import"})
# Health checks come by whatever name.
_ANY_HOST = frozenset({"/healthz", "/readyz"})


def is_open(path: str) -> bool:
    """Whether a path is for everybody, with or without a token."""
    return path in _OPEN_PATHS or path.startswith(_OPEN_FOLDERS)


def is_streamed(path: str) -> bool:
    """Whether a request of this path may be of any length."""
    return path in _STREAMED


class Credentials:
    """The headers of a request that say who it is from."""

    __slots__ = ("authorization", "cookies", "host", "origin")

    def __init__(self, scope: Scope) -> None:
        self.host = ""
        self.origin: str | None = None
        self.authorization: str | None = None
        self.cookies = ""
        for name, value in scope["headers"]:
            match name:
                case b"host":
                    self.host = value.decode("latin-1")
                case b"origin":
                    self.origin = value.decode("latin-1")
                case b"authorization":
                    self.authorization = value.decode("latin-1")
                case b"cookie":
                    self.cookies = value.decode("latin-1")


class Gate:
    """Lets in who may. auth: knows who that is; origins: from which pages; clients: how much one may use."""

    def __init__(self, auth: Auth, origins: Origins, clients: Clients, limits: Limits) -> None:
        self.auth = auth
        self.clients = clients
        self.limits = limits
        self._origins = origins

    def check_request(self, scope: Scope) -> None:
        """Raise `BadRequest` unless an HTTP request may be answered."""
        self._check_pace(scope)
        path, is_safe = scope["path"], scope["method"] in _SAFE
        headers = Credentials(scope)
        if path not in _ANY_HOST:
            self._origins.check_host(headers.host)
        if not is_safe:
            self._check_origin(headers, scope)
        if is_open(path):
            return
        passed = self.recognise(headers)
        if passed is None:
            raise unauthenticated("A token is needed: send it as `Authorization: Bearer TOKEN`, or log in.")
        if not (is_safe or passed.may_act):
            raise forbidden()

    def check_websocket(self, scope: Scope) -> Pass | None:
        """As whom a WebSocket comes in; None if that must be said in its first frame. Raises `BadRequest`."""
        self._check_pace(scope)
        headers = Credentials(scope)
        self._origins.check_host(headers.host)
        self._check_origin(headers, scope)
        return self.recognise(headers)

    def recognise(self, headers: Credentials) -> Pass | None:
        """As whom a request comes; None if it does not say. Raises `BadRequest` if what it says is wrong."""
        cookie = cookie_parser(headers.cookies).get(COOKIE) if COOKIE in headers.cookies else None
        try:
            return self.auth.recognise(authorization=headers.authorization, cookie=cookie)
        except NotAuthenticated as error:
            raise unauthenticated(str(error)) from None

    def _check_pace(self, scope: Scope) -> None:
        if wait := self.clients.wait(address_of(scope)):
            message = f"A client may send {self.limits.request_rate:g} requests a second; send this one again later."
            later = {"Retry-After": str(math.ceil(wait))}
            raise BadRequest(message, code="too_many_requests", status=429, headers=later)

    def _check_origin(self, headers: Credentials, scope: Scope) -> None:
        if headers.origin is not None:  # only browsers send it, and they always do
            secure = scope["scheme"] in ("https", "wss")
            self._origins.check_origin(headers.origin, host=headers.host, secure=secure)


class GatedApp:
    """An ASGI application for HTTP behind a gate."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._gate.check_request(scope)
        except BadRequest as error:
            await problems.refusal(error)(scope, receive, send)
        else:
            unbounded = scope["method"] in _SAFE or is_streamed(scope["path"])
            await self._app(scope, receive if unbounded else self._bounded(receive), send)

    def _bounded(self, receive: Receive) -> Receive:
        """The body of a request; reading on where it has become too large raises `BadRequest`."""
        limit, size = self._gate.limits.body_limit, 0

        async def bounded() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit:
                raise BadRequest(f"The body has at most {limit:,} bytes.", code="body_too_large", status=413)
            return message

        return bounded


def address_of(scope: Scope) -> str:
    """The IP address of a client; what a trusted proxy says it is, if there is one."""
    client = scope.get("client")
    return client[0] if client else ""


def unauthenticated(detail: str) -> BadRequest:
    return BadRequest(detail, code="not_authenticated", status=401, headers={"WWW-Authenticate": "Bearer"})


def forbidden() -> BadRequest:
    return BadRequest("A viewer may only read; this takes an operator's token.", code="operator_needed", status=403)

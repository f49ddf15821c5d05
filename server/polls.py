"""REST polling: how a page of events is answered, and the shortcut for polls that find nothing new.

Most polls of most pollers find nothing new. `Polls` answers these from memory, before routing and validation; every
other request goes on to the endpoint, which answers alike.
"""

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from runner.base import Gap, Page
from server.hub import Hub
from server.topic import Position

_PREFIX, _SUFFIX = "/api/tasks/", "/events"
_CACHE_CONTROL = (b"cache-control", b"no-cache")
_CONTENT_TYPE = (b"content-type", b"application/json")

BEGINNING = b'{"events":['
"""What stands before the events of a page."""


def etag(epoch: str, page: Page, position: Position) -> bytes:
    """The entity tag of a page: it changes when there is more, or less since retention, and when the status does."""
    gone = 0 if page.gap is None else page.gap.last
    return b'"%b-%d-%d-%d-%d-%b"' % (
        epoch.encode(),
        page.head,
        page.cursor,
        page.count,
        gone,
        position.status.encode(),
    )


def content(epoch: str, page: Page, position: Position) -> bytes:
    """The JSON of a page, an `Events` object."""
    cursor = page.cursor if page.first is None else page.first
    rest = end(page.count, cursor, page.head, terminal=is_terminal(page, position), gap=page.gap, epoch=epoch)
    return BEGINNING + page.body + rest


def end(count: int, cursor: int, head: int, *, terminal: bool, gap: Gap | None, epoch: str) -> bytes:
    """What follows on the events of a page, of which there are `count`."""
    return b'],"total":%d,"cursor":%d,"head":%d,"terminal":%b,"gap":%b,"epoch":"%b"}' % (
        count,
        cursor,
        head,
        b"true" if terminal else b"false",
        _gap(gap),
        epoch.encode(),
    )


def is_terminal(page: Page, position: Position) -> bool:
    """Whether nothing follows on a page, unless the task is run again."""
    # A cursor beyond the position means that more was committed, of which the hub is about to hear.
    return position.ended and page.cursor == position.head


def _gap(gap: Gap | None) -> bytes:
    if gap is None:
        return b"null"
    return msgspec.json.encode({"from": gap.first, "to": gap.last, "reason": gap.reason})


class Polls:
    """Answers polls at the head of a log whose position the hub knows; `app` answers everything else."""

    def __init__(self, app: ASGIApp, hub: Hub) -> None:
        self._app = app
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        position = self._position(scope)
        if position is None:
            await self._app(scope, receive, send)
            return
        page = Page(b"", 0, position.head, position.head)
        tag = etag(self._hub.epoch, page, position)
        headers = [(b"etag", tag), _CACHE_CONTROL]
        if (b"if-none-match", tag) in scope["headers"]:
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        body = content(self._hub.epoch, page, position)
        headers += [_CONTENT_TYPE, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _position(self, scope: Scope) -> Position | None:
        """Where the log stands, if the request asks for nothing but what comes after its head."""
        if scope["type"] != "http" or scope["method"] != "GET":
            return None
        path: str = scope["path"]
        if not (path.startswith(_PREFIX) and path.endswith(_SUFFIX)):
            return None
        position = self._hub.known_position(path[len(_PREFIX) : -len(_SUFFIX)])
        if position is None or scope["query_string"] != b"since_event_id=%d" % position.head:
            return None
        return position

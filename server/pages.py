"""Pages of a log over REST. A small one is answered at once, a larger one in pieces, each read when the one before it
was taken: a client that does not read on holds none of what it has asked for.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from runner.base import Filter, Page, Runner
from runner.errors import CursorAhead, DatabaseDamaged, TaskNotFound
from server.bounds import FRAME_BYTES, PAGE_BYTES, PAGE_SCANS, PIECE_BYTES
from server.hub import Hub
from server.polls import BEGINNING, content, end, etag, is_terminal
from server.problems import BadRequest
from server.schemas import EventsQuery
from server.topic import Position


class Pages:
    """The pages of a runner's logs, of which the newest events come from its hub."""

    def __init__(self, runner: Runner, hub: Hub) -> None:
        self._runner = runner
        self._hub = hub

    async def answer(self, request: Request, task_id: str, wanted: EventsQuery) -> Response:
        """The page that is wanted. Raises `BadRequest`, `TaskNotFound`, `CursorAhead`."""
        filter = Filter(frozenset(wanted.types), wanted.agent_role)
        if wanted.before is not None:
            if wanted.since_event_id or wanted.wait:
                message = "before cannot be given together with since_event_id or wait."
                raise BadRequest(message, code="invalid", field="before")
            page = await self._read_before(task_id, wanted.before, wanted.limit, filter)
            position, is_whole = await self._hub.position(task_id), True
        else:
            page, position = await self._await_events(task_id, wanted, filter)
            is_whole = page.count in (0, wanted.limit) or page.cursor == page.head
        tag = etag(self._hub.epoch, page, position).decode()  # what follows on a first piece is no other while it holds
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if tag in [known.strip() for known in request.headers.get("if-none-match", "").split(",")]:
            return Response(status_code=304, headers=headers)
        if is_whole:
            return Response(content(self._hub.epoch, page, position), media_type="application/json", headers=headers)
        pieces = self._pieces(task_id, page, position, wanted.limit, filter, self._hub.deletions)
        return StreamingResponse(pieces, media_type="application/json", headers=headers)

    async def _await_events(self, task_id: str, wanted: EventsQuery, filter: Filter) -> tuple[Page, Position]:
        """The beginning of a page as soon as there is something in it, or no more to wait for."""
        bell = asyncio.Event()
        topic = self._hub.watch(task_id, bell.set)
        patience = asyncio.get_running_loop().time() + wanted.wait
        after, scans = wanted.since_event_id, 0
        try:
            while True:
                bell.clear()
                page = await self._read(task_id, after, wanted.limit, filter)
                position = await self._hub.position(task_id)
                if topic.deleted:  # what has its id now, if it was taken in again, is another log
                    raise TaskNotFound(task_id)
                left = patience - asyncio.get_running_loop().time()
                scans += 1
                if page.count or page.gap or self._hub.closing:
                    return page, position
                after = page.cursor  # of what was read, nothing passes the filter
                if page.cursor < page.head:
                    if scans == PAGE_SCANS:
                        return page, position
                    continue
                if position.ended or left <= 0:
                    return page, position
                scans = 0
                with contextlib.suppress(TimeoutError), self._hub.audience.waiting_poll():
                    async with asyncio.timeout(left):
                        await bell.wait()
        finally:
            self._hub.unwatch(topic, bell.set)

    async def _pieces(
        self, task_id: str, first: Page, position: Position, limit: int, filter: Filter, deletions: int
    ) -> AsyncIterator[bytes]:
        """The JSON of a page of which the first piece was read, as it is taken. deletions: of tasks until then."""
        count, size, scans, gap = first.count, len(first.body), 1, first.gap
        piece, page = BEGINNING + first.body, _reached(first)
        del first  # of what waits to be taken, nothing is held twice
        yield piece
        while count < limit and size < PAGE_BYTES and page.cursor < page.head:
            if filter != Filter() and scans == PAGE_SCANS:
                break
            scans += 1
            try:
                more = await self._read(task_id, page.cursor, limit - count, filter)
            except (TaskNotFound, CursorAhead, DatabaseDamaged):
                break  # deleted meanwhile, and maybe taken in anew, or damaged: the next request is told
            if deletions != self._hub.deletions:  # maybe of this task, and what has its id now is another log
                break
            if more.gap is not None:  # so it is of events that have expired meanwhile
                break
            piece, page = (b"," if count and more.count else b"") + more.body, _reached(more)
            count, size = count + more.count, size + len(more.body)
            del more
            if piece:
                yield piece
        terminal = is_terminal(page, position)
        yield end(count, page.cursor, page.head, terminal=terminal, gap=gap, epoch=self._hub.epoch)

    async def _read(self, task_id: str, after: int, limit: int, filter: Filter) -> Page:
        return await self._hub.read(task_id, after=after, limit=limit, size=PIECE_BYTES, filter=filter)

    async def _read_before(self, task_id: str, before: int, limit: int, filter: Filter) -> Page:
        """Read backwards, a page cannot be sent before all of it is there."""
        scans = 0
        while True:
            page = await self._runner.get_task_events_before(
                task_id, before=before, limit=limit, size=FRAME_BYTES, filter=filter
            )
            scans += 1
            assert page.first is not None
            if page.count or page.gap or page.first == 1 or scans == PAGE_SCANS:
                return page
            before = page.first


def _reached(page: Page) -> Page:
    """A page without its events."""
    return Page(b"", 0, page.cursor, page.head)

"""The timeline of a task in pages, each of which costs what it shows.

A page is read from where the one before it ended, with what was known there: what had not ended, and whose turn it was.
It is read until all that it shows has ended; of what follows only the attempts are of interest.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from runner.base import Filter, Store
from runner.events import Event, EventType
from runner.measures import Span, Timeline
from runner.reading import decoded, pages
from runner.spans import TYPES, Spans
from runner.task import Task

_MOST = 100  # ends of pages that are remembered
_LARGEST = 1000  # attempts, and spans that have not ended, at one of them; a log that was imported can have any number

_Place = tuple[str, str | None, int]  # a task, when it was imported, and the event after which a page begins


class _Start(NamedTuple):
    """What is known where a page begins. first: the first event that there is."""

    spans: Spans
    cursor: int
    first: int


class Timelines:
    """Pages of timelines. How it stood where the last of them ended is remembered; a page that begins elsewhere is read
    from the first event.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._starts: OrderedDict[_Place, _Start] = OrderedDict()

    async def read(self, task_id: str, *, after: int, limit: int) -> Timeline:
        """The spans that began after an event: the first `limit` of them."""
        task = await self._store.get_task(task_id)
        before, cursor, first = self._starts.get(_place(task, after)) or _start()
        page = _Page(before, after, limit)
        async for read in pages(self._store, task_id, Filter(TYPES), after=cursor):
            if read.gap is not None:  # what was known is of events that are there no more
                page, first = _Page(Spans(), after, limit), read.gap.last + 1
            page.take(decoded(read))
            cursor, head = read.cursor, read.head
            if page.complete:
                break
        attempts = page.spans.copy()
        if page.complete:  # or all was read already, and what has come since would fit no span
            async for read in pages(self._store, task_id, Filter(frozenset({EventType.STATUS})), after=cursor):
                for event in decoded(read):
                    attempts.take(event)
                head = read.head
        if page.next is not None and page.end is not None:
            self._remember(_place(task, page.next), _Start(page.end, page.next, first))
        return Timeline(
            task_id=task_id,
            first_event_id=first,
            head=head,
            attempts=attempts.attempts,
            spans=page.found,
            next_since_event_id=page.next,
        )

    def _remember(self, place: _Place, start: _Start) -> None:
        if len(start.spans.attempts) + len(start.spans.open()) > _LARGEST:
            return
        self._starts[place] = start
        if len(self._starts) > _MOST:
            self._starts.popitem(last=False)


class _Page:
    """Takes events in order, and finds the spans that began after one of them: the first `limit`.

    before: what was known before the first event that it takes.
    """

    def __init__(self, before: Spans, after: int, limit: int) -> None:
        self.spans = before.copy(self._begin, self._finish)
        self.end: Spans | None = None
        """As it was when the last span had begun, once that is so."""
        self._after = after
        self._limit = limit
        self._found: dict[int, Span] = {}  # by the event with which they began
        self._unfinished = 0
        self._more = False

    @property
    def found(self) -> list[Span]:
        return list(self._found.values())

    @property
    def complete(self) -> bool:
        """Whether nothing that follows changes what it shows."""
        return self._more and not self._unfinished

    @property
    def next(self) -> int | None:
        """The event after which the next page begins, if there is more."""
        return max(self._found) if self._more else None

    def take(self, events: Iterable[Event]) -> None:
        for event in events:
            self.spans.take(event)
            if self.end is None and len(self._found) == self._limit:
                self.end = self.spans.copy()

    def _begin(self, span: Span) -> None:
        if span.start_event_id <= self._after:
            return
        if len(self._found) < self._limit:
            self._found[span.start_event_id] = span
            self._unfinished += 1
        else:
            self._more = True

    def _finish(self, span: Span) -> None:
        if span.start_event_id in self._found:
            self._found[span.start_event_id] = span
            self._unfinished -= 1


def _start() -> _Start:
    """The beginning of a log."""
    return _Start(Spans(), 0, 1)


def _place(task: Task, after: int) -> _Place:
    return task.id, task.imported_at, after

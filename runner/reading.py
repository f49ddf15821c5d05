"""Reading through a whole log, a page at a time."""

from collections.abc import AsyncIterator

import msgspec

from runner.base import Filter, Page, Store
from runner.events import Event

_PAGE = 1000  # events
_PAGE_BYTES = 4 * 1024 * 1024


async def pages(
    store: Store, task_id: str, wanted: Filter, *, after: int = 0, through: int | None = None
) -> AsyncIterator[Page]:
    """The pages of a log as far as it is when the last of them is read. Raises `TaskNotFound`.

    after: only what follows on this event. through: no page that begins after this event.
    """
    cursor, head = after, after + 1
    while cursor < head and (through is None or cursor < through):
        page = await store.read_events(task_id, after=cursor, limit=_PAGE, size=_PAGE_BYTES, filter=wanted)
        cursor, head = page.cursor, page.head
        yield page


def decoded(page: Page, through: int | None = None) -> list[Event]:
    """The events of a page. through: only those up to this one."""
    events = [msgspec.json.decode(event, type=Event) for event in page.events]
    return events if through is None else [event for event in events if event.event_id <= through]

"""Logs in SQLite: what the store does with events, each within one transaction unless said.

A row holds a batch: events of one commit, their JSON joined by commas, behind an integer key that is made of the task's
and the last event's. A burst so costs a row and not one per event, a lone event lies with others in a page, and a
replay hands the bytes on as they are; only where a page begins or ends within a batch is the batch taken apart.
What is asked for by type is found in indexes that know every event but the tokens: one who is alone in its batch by its
row, which so is all there is to write, and others in a table of their own.

The running hash of a log is the SHA-256 of the hash before (32 zero bytes at first) and the event's encoded JSON. It is
kept at every `DIGEST_STEP`th event and at the end of every gap, from where that of any other event is computed.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from hashlib import sha256
from typing import Literal, NamedTuple

import msgspec

from runner import sql
from runner.base import Digest, Filter, Gap, Page, Placed
from runner.database import Row, Write, write
from runner.errors import CursorAhead, EventsExpired, TaskNotFound
from runner.events import EventType, split

DIGEST_STEP = 1000  # events from one stored running hash to the next
DIGEST_START = bytes(32)  # the running hash of no events

HEAD_LIMIT = 2**31  # events of a log: a batch is found by 32 bits of its head

# A batch is taken apart to read one event of it: the larger it is, the more that costs, and the less it gains.
BATCH_EVENTS = 64
BATCH_BYTES = 64 * 1024  # or a single event

EXPIRED_AT_ONCE = 5000  # events deleted in one transaction, so that appends need not wait long
SCANNED_AT_ONCE = 256  # batches read through in one transaction, so that other reads need not wait long
LOOKED_UP_AT_ONCE = 100_000  # events among whose types, in the index, a role is looked for in one transaction

Direction = Literal["ASC", "DESC"]


class Position(NamedTuple):
    """Where a log is. first: event_id of the first event that is kept; head + 1 if none is."""

    seq: int
    head: int
    first: int


class _Batch(msgspec.Struct, frozen=True):
    """head: event_id of its last event. body: its events' JSON, joined by commas."""

    head: int
    count: int
    body: bytes

    @property
    def before(self) -> int:
        """The event_id before its first."""
        return self.head - self.count


class _Kind(msgspec.Struct, frozen=True):
    """What a filter looks at in an event."""

    event_type: EventType
    agent_role: str | None


_Read = tuple[int, bytes]  # an event_id, and the event

_decode_kinds = msgspec.json.Decoder(list[_Kind]).decode


def position(task_id: str, connection: sqlite3.Connection) -> Position:
    """Raises `TaskNotFound`."""
    row = connection.execute(sql.GET_POSITION, (task_id,)).fetchone()
    if row is None:
        raise TaskNotFound(task_id)
    return Position(*row)


def append(seq: int, events: Sequence[Placed], digest: bytes, connection: sqlite3.Connection) -> bytes:
    """Append what follows on the head, in a transaction of its own. digest: the running hash through it.

    Returns the new one.
    """
    rows, digest = writes(seq, events, digest)
    write(rows, connection)
    return digest


def writes(seq: int, events: Sequence[Placed], digest: bytes) -> tuple[list[Write], bytes]:
    """What there is to write to append what follows on the head, and the new running hash: one row for one event."""
    batches: list[Row] = []
    types: list[Row] = []
    digests: list[Row] = []
    for batch in _batched(events):
        last = batch[-1]
        if len(batch) > 1:
            batches.append((seq, last.event_id, len(batch), b",".join([event.encoded for event in batch]), None, None))
            types += [_kind(seq, event) for event in batch if event.event_type is not EventType.TOKEN]
        elif last.event_type is EventType.TOKEN:
            batches.append((seq, last.event_id, 1, last.encoded, None, None))
        else:
            batches.append((seq, last.event_id, 1, last.encoded, str(last.event_type), last.agent_role))
    for event in events:
        digest = sha256(digest + event.encoded).digest()
        if event.event_id % DIGEST_STEP == 0:
            digests.append((seq, event.event_id, digest))
    tables = (sql.INSERT_BATCH, batches), (sql.INSERT_EVENT_BY_TYPE, types), (sql.INSERT_DIGEST, digests)
    return [(statement, rows) for statement, rows in tables if rows], digest


def read_after(task_id: str, after: int, limit: int, size: int, filter: Filter, connection: sqlite3.Connection) -> Page:
    """As `Store.read_events`."""
    at = position(task_id, connection)
    if after > at.head:
        raise CursorAhead(after, at.head)
    gap = Gap(after + 1, at.first - 1, "retention") if after + 1 < at.first else None
    start = max(after, at.first - 1)
    if filter == Filter():
        body, count, cursor = _join(_batches(at.seq, start + 1, connection), start, limit, size)
        return Page(body, count, cursor, at.head, gap)
    end = at.head
    if _needs_scan(filter):
        row = connection.execute(sql.GET_HEAD_AFTER, (at.seq, start, SCANNED_AT_ONCE - 1)).fetchone()
        end = at.head if row is None else row[0]
    elif filter.agent_role is not None:
        end = min(at.head, start + LOOKED_UP_AT_ONCE)
    found = _matching(at.seq, filter, start, end + 1, limit, "ASC", connection)
    events, last, complete = _take(found, limit, size)
    # Up to its end there is nothing more that passes the filter.
    return Page(b",".join(events), len(events), end if complete else last, at.head, gap)


def read_before(
    task_id: str, before: int, limit: int, size: int, filter: Filter, connection: sqlite3.Connection
) -> Page:
    """As `Store.read_events_before`."""
    at = position(task_id, connection)
    before = min(before, at.head + 1)
    end = at.first
    if filter != Filter() and _needs_scan(filter):
        row = connection.execute(sql.GET_HEAD_BEFORE, (at.seq, before, SCANNED_AT_ONCE)).fetchone()
        end = at.first if row is None else max(at.first, row[0] + 1)
    elif filter.agent_role is not None:
        end = max(at.first, before - LOOKED_UP_AT_ONCE)
    found = _matching(at.seq, filter, end - 1, before, limit, "DESC", connection)
    events, oldest, complete = _take(found, limit, size)
    reached = end if complete else oldest
    gap = Gap(1, at.first - 1, "retention") if at.first > 1 and reached <= at.first else None
    return Page(b",".join(reversed(events)), len(events), before - 1, at.head, gap, max(1, reached))


def digest(task_id: str, through: int, connection: sqlite3.Connection) -> Digest:
    """As `Store.digest`."""
    at = position(task_id, connection)
    if through > at.head:
        raise CursorAhead(through, at.head)
    return Digest(through, digest_at(at, task_id, through, connection).hex())


def digest_at(at: Position, task_id: str, through: int, connection: sqlite3.Connection) -> bytes:
    """The running hash through an event. Raises `EventsExpired` if it would have to be computed from a gap."""
    step = connection.execute(sql.GET_DIGEST_BEFORE, (at.seq, through)).fetchone()
    event_id, digest = step or (0, DIGEST_START)
    if event_id < through and event_id + 1 < at.first:
        raise EventsExpired(task_id, at.first)
    for _, encoded in _scan(at.seq, Filter(), event_id, through + 1, "ASC", connection):
        digest = sha256(digest + encoded).digest()
    return bytes(digest)


def expire(task_id: str, through: int, connection: sqlite3.Connection) -> bool:
    """Delete the oldest events that a log still has through one; whether there are more of these."""
    at = position(task_id, connection)
    first = min(at.first + EXPIRED_AT_ONCE, through + 1)
    if first <= at.first:
        return False
    # The hash of what is left, or is appended later, goes on from it.
    connection.execute(sql.INSERT_DIGEST, (at.seq, first - 1, digest_at(at, task_id, first - 1, connection)))
    parameters = {"seq": at.seq, "first": first}
    for statement in (sql.EXPIRE_BATCHES, sql.EXPIRE_EVENTS_BY_TYPE, sql.EXPIRE_STATE):
        connection.execute(statement, parameters)
    return first <= through


def purge(seq: int, connection: sqlite3.Connection) -> bool:
    """Delete the oldest events of a log that nobody finds any more; whether there may be more of these."""
    oldest = connection.execute(sql.GET_OLDEST_HIDDEN_BATCH, (seq,)).fetchone()
    if oldest is None:
        return False
    parameters = {"seq": seq, "first": oldest[0] + EXPIRED_AT_ONCE}
    for statement in (sql.EXPIRE_BATCHES, sql.EXPIRE_EVENTS_BY_TYPE):
        connection.execute(statement, parameters)
    return True


def _kind(seq: int, event: Placed) -> Row:
    """Its row in events_by_type. A plain string, for which sqlite3 need not look for an adapter."""
    return seq, str(event.event_type), event.event_id, event.agent_role


def _batched(events: Sequence[Placed]) -> list[list[Placed]]:
    """Events as batches within the limits."""
    batches: list[list[Placed]] = []
    room = 0
    for event in events:
        if room < len(event.encoded) or len(batches[-1]) == BATCH_EVENTS:
            batches.append([])
            room = max(BATCH_BYTES, len(event.encoded))
        batches[-1].append(event)
        room -= len(event.encoded)
    return batches


def _batches(seq: int, first: int, connection: sqlite3.Connection) -> Iterator[_Batch]:
    """The batch of an event, and those after it."""
    with closing(connection.execute(sql.READ_BATCHES, {"seq": seq, "from": first})) as rows:
        yield from (_Batch(*row) for row in rows)


def _batches_back(seq: int, last: int, connection: sqlite3.Connection) -> Iterator[_Batch]:
    """The batch of an event, and those before it, backwards."""
    parameters = {"seq": seq, "from": last, "most": BATCH_EVENTS}
    with closing(connection.execute(sql.READ_BATCHES_BACK, parameters)) as rows:
        yield from (_Batch(*row) for row in rows)


def _join(batches: Iterable[_Batch], after: int, limit: int, size: int) -> tuple[bytes, int, int]:
    """Events after one, joined, at most `limit`, and `size` bytes or a single one; how many; the id of the last.

    Batches are taken whole as long as they fit: what fits of the next one only in part is left for the next page.
    """
    bodies: list[bytes] = []
    cursor = after
    for batch in batches:
        if batch.before == cursor and batch.count <= limit and len(batch.body) <= size:
            body, count = batch.body, batch.count
        elif bodies and batch.count <= limit:
            break
        else:
            events = _fitting(split(batch.body)[cursor - batch.before :], limit, size)
            if bodies and len(events[0]) > size:
                break
            body, count = b",".join(events), len(events)
        bodies.append(body)
        cursor += count
        limit -= count
        size -= len(body)
        if cursor < batch.head or limit <= 0:
            break
    return b",".join(bodies), cursor - after, cursor


def _fitting(events: Sequence[bytes], limit: int, size: int) -> list[bytes]:
    """The first events: at most `limit`, and `size` bytes or a single one."""
    fitting: list[bytes] = []
    for event in events[:limit]:
        size -= len(event)
        if fitting and size < 0:
            break
        fitting.append(event)
    return fitting


def _matching(
    seq: int,
    filter: Filter,
    after: int,
    before: int,
    limit: int,
    direction: Direction,
    connection: sqlite3.Connection,
) -> Iterator[_Read]:
    """The events between two that pass a filter, `limit` of them or more."""
    if _needs_scan(filter):
        return _scan(seq, filter, after, before, direction, connection)
    return _look_up(seq, filter, after, before, limit, direction, connection)


def _needs_scan(filter: Filter) -> bool:
    """Whether only reading through the log finds what passes."""
    return not filter.event_types or EventType.TOKEN in filter.event_types


def _scan(
    seq: int, filter: Filter, after: int, before: int, direction: Direction, connection: sqlite3.Connection
) -> Iterator[_Read]:
    """Read through the log."""
    forwards = direction == "ASC"
    batches = _batches(seq, after + 1, connection) if forwards else _batches_back(seq, before - 1, connection)
    for batch in batches:
        if batch.before >= before - 1 or batch.head <= after:
            return
        found = list(_passing(batch, filter))
        for event_id, event in found if forwards else reversed(found):
            if after < event_id < before:
                yield event_id, event


def _passing(batch: _Batch, filter: Filter) -> Iterator[_Read]:
    numbered = enumerate(split(batch.body), batch.before + 1)
    if filter == Filter():
        yield from numbered
        return
    kinds = _decode_kinds(b"[%b]" % batch.body)
    for read, kind in zip(numbered, kinds, strict=True):
        if filter.passes(kind.event_type, kind.agent_role):
            yield read


def _look_up(
    seq: int,
    filter: Filter,
    after: int,
    before: int,
    limit: int,
    direction: Direction,
    connection: sqlite3.Connection,
) -> Iterator[_Read]:
    """Find the events by their types, and read only their batches."""
    types = {f"type_{number}": event_type for number, event_type in enumerate(sorted(filter.event_types))}
    bounds = {"seq": seq, "after": after, "before": before, "limit": limit, "agent_role": filter.agent_role}
    found = connection.execute(sql.event_ids_of_types(len(types), direction), bounds | types).fetchall()
    batch = _Batch(0, 0, b"")
    events: list[bytes] = []
    for (event_id,) in found:
        if not batch.before < event_id <= batch.head:
            batch = next(_batches(seq, event_id, connection))
            events = split(batch.body)
        yield event_id, events[event_id - batch.before - 1]


def _take(found: Iterable[_Read], limit: int, size: int) -> tuple[list[bytes], int, bool]:
    """Events, at most `limit`, and `size` bytes or a single one; the id of the last; whether these are all."""
    events: list[bytes] = []
    last = 0
    for event_id, event in found:
        size -= len(event)
        if len(events) == limit or (events and size < 0):
            return events, last, False
        events.append(event)
        last = event_id
    return events, last, len(events) < limit

"""A run as a file that can be taken elsewhere: JSON lines, first a header, then its events.

An event's line is its JSON byte for byte as every reader gets it, with the task's id in it: whoever takes the file in
keeps the id, so that the events and their running hash stay what they are. The header has that hash as it is before the
first event of the file and after the last, by which a file that was changed or cut short is told from a whole one.

A file comes from anywhere: of each line is looked at all that a reader relies on, and nothing is kept of a file that is
not right to its end.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, NoReturn

import msgspec

from runner.base import Digest, Filter, Placed, Store
from runner.boot import boot_id
from runner.errors import EventsExpired, LogFileError
from runner.events import Event, EventType, now
from runner.folder import DATABASE, hold
from runner.log import DIGEST_START, HEAD_LIMIT
from runner.payloads import PAYLOADS, FinalResult
from runner.states import TERMINAL
from runner.store import SqliteStore
from runner.task import PROMPT_LIMIT, TITLE_LIMIT, Task

LINE_LIMIT = 64 * 1024 * 1024  # bytes; a child cannot write a longer event either
HEADER_LIMIT = 8 * 1024 * 1024  # bytes; most of it are the files of the result, about 40 000

_PAGE = 5000  # events of a chunk
_BATCH = 1000  # events that are checked, and then kept, at once
_BATCH_BYTES = 256 * 1024  # or a single one

_TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z\Z"
_Time = Annotated[str, msgspec.Meta(pattern=_TIME)]
_Name = Annotated[str, msgspec.Meta(max_length=200)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=HEAD_LIMIT)]


class _Task(Task, frozen=True, kw_only=True):
    """A task as its own server could have made it."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z")]
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=TITLE_LIMIT)]
    input_prompt: Annotated[str, msgspec.Meta(min_length=1, max_length=PROMPT_LIMIT)]
    priority: Annotated[int, msgspec.Meta(ge=-5, le=5)]
    created_at: _Time
    attempt: _Count = 0
    head: _Count = 0
    queued_at: _Time | None = None
    started_at: _Time | None = None
    completed_at: _Time | None = None
    progress: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = 0.0


class _Digest(Digest, frozen=True):
    count: _Count
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class _Line(NamedTuple):
    """number: from 1."""

    number: int
    content: bytes


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line. start, end: the running hash of the log before the first event here, and through the last."""

    format: Literal["metagpt-live log"] = "metagpt-live log"
    version: Literal[1] = 1
    task: Task
    start: Digest
    end: Digest


class _ForeignHeader(Header, frozen=True, kw_only=True):
    task: _Task
    start: _Digest
    end: _Digest


class _ForeignEvent(Event, frozen=True, kw_only=True, forbid_unknown_fields=True):
    timestamp: _Time
    agent_role: _Name | None


_decode_header = msgspec.json.Decoder(_ForeignHeader).decode
_decode_event = msgspec.json.Decoder(_ForeignEvent).decode


async def export_log(store: Store, task_id: str, *, size: int) -> AsyncIterator[bytes]:
    """A task as it is now, as a file, in chunks of `size` bytes, or of a single line. Raises `TaskNotFound`; a chunk
    raises `EventsExpired` if retention deletes what would stand in it.
    """
    task = await store.get_task(task_id)
    page = await store.read_events(task_id, after=0, limit=1, size=1, filter=Filter())
    start = await store.digest(task_id, 0 if page.gap is None else page.gap.last)
    end = await store.digest(task_id, task.head)
    header = Header(task=msgspec.structs.replace(task, workspace=None), start=start, end=end)
    return _chunks(store, header, size)


async def _chunks(store: Store, header: Header, size: int) -> AsyncIterator[bytes]:
    yield msgspec.json.encode(header) + b"\n"
    cursor, end = header.start.count, header.end.count
    while cursor < end:
        limit = min(_PAGE, end - cursor)
        page = await store.read_events(header.task.id, after=cursor, limit=limit, size=size, filter=Filter())
        if page.gap is not None:
            raise EventsExpired(header.task.id, page.gap.last + 1)
        chunk, cursor = b"\n".join([*page.events, b""]), page.cursor
        del page  # of what waits to be taken, nothing is held twice
        yield chunk


async def import_log(store: Store, chunks: AsyncIterator[bytes], *, event_limit: int | None = None) -> Task:
    """Keep the run that a file tells of, as a task that cannot be run. All of it, or nothing.

    Raises `LogFileError`, and `TaskExists` if a task with its id is there already.
    """
    lines = _lines(chunks)
    try:
        header = await asyncio.to_thread(_header, await anext(lines))
    except StopAsyncIteration:
        raise LogFileError(1, "The file is empty; it should begin with the header of an exported log.") from None
    if event_limit is not None and header.end.count > event_limit:
        raise LogFileError(1, f"A task may have {event_limit:,} events here; this one has {header.end.count:,}.")
    task = msgspec.convert(msgspec.structs.asdict(header.task) | {"workspace": None, "imported_at": now()}, Task)
    try:
        await store.import_task(task, header.start, _Events(header).read(lines))
    except BaseException:
        await store.purge()
        raise
    return task


async def import_into(data: Path, chunks: AsyncIterator[bytes]) -> Task:
    """As `import_log`, into a data folder that no server uses.

    Raises `DataFolderBusy` and `DatabaseUnusable` as well.
    """
    with hold(data):
        store = await SqliteStore.open(data / DATABASE, boot=boot_id())
        try:
            return await import_log(store, chunks)
        finally:
            await store.aclose()


def _header(line: _Line) -> _ForeignHeader:
    """What the first line says. Raises `LogFileError`."""
    try:
        header = _decode_header(line.content)
        for time in (header.task.created_at, header.task.queued_at, header.task.started_at, header.task.completed_at):
            datetime.fromisoformat(time or header.task.created_at)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        _refuse(line.number, f"This is not the header of an exported log: {error}.")
    task = header.task
    if task.status not in TERMINAL or task.completed_at is None:
        _refuse(
            line.number,
            f"The run had not ended when it was exported, it was {task.status}; export it again when it has.",
        )
    if not header.start.count <= header.end.count == task.head:
        _refuse(line.number, "The counts of start and end do not fit the head of the task.")
    if header.start.count == 0 and bytes.fromhex(header.start.sha256) != DIGEST_START:
        _refuse(line.number, "The running hash before event 1 is 32 zero bytes.")
    if task.final_result is not None:
        try:
            msgspec.convert(task.final_result, FinalResult)
        except msgspec.ValidationError as error:
            _refuse(line.number, f"final_result: {error}.")
    return header


class _Events:
    """The events of a file, looked at one by one."""

    def __init__(self, header: _ForeignHeader) -> None:
        self._line = 1  # the number of the last
        self._header = header
        self._last = header.start.count
        self._digest = bytes.fromhex(header.start.sha256)
        self._status: str | None = None

    async def read(self, lines: AsyncIterator[_Line]) -> AsyncIterator[Sequence[Placed]]:
        """The events in batches. Raises `LogFileError`."""
        batch: list[_Line] = []
        size = 0
        async for line in lines:
            batch.append(line)
            size += len(line.content)
            if size >= _BATCH_BYTES or len(batch) == _BATCH:
                yield await asyncio.to_thread(self._check_all, batch)
                batch, size = [], 0
        if batch:
            yield await asyncio.to_thread(self._check_all, batch)
        self._check_end()

    def _check_all(self, lines: Sequence[_Line]) -> list[Placed]:
        return [self._check(line.number, line.content) for line in lines]

    def _check(self, number: int, line: bytes) -> Placed:
        self._line = number
        event_id = self._last + 1
        if event_id > self._header.end.count:
            self._refuse(f"There are more events than the {self._header.end.count} of which the header tells.")
        # As the recorder writes it: whoever reads only so far finds the same as who reads the whole.
        if not line.startswith(b'{"event_id":%d,"task_id":"%b",' % (event_id, self._header.task.id.encode())):
            self._refuse(f"This is not event {event_id} of task {self._header.task.id}.")
        try:
            event = _decode_event(line)
            payload = msgspec.convert(event.payload, PAYLOADS[event.event_type])
            datetime.fromisoformat(event.timestamp)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
            self._refuse(f"This is not an event: {error}.")
        if (event.event_id, event.task_id) != (event_id, self._header.task.id):
            self._refuse("The event names its id or its task twice.")
        if event.event_type is EventType.STATUS:
            self._status = str(payload.status)  # type: ignore[attr-defined]
        self._last = event_id
        self._digest = sha256(self._digest + line).digest()
        return Placed(event_id, event.event_type, event.agent_role, line)

    def _check_end(self) -> None:
        header = self._header
        if self._last < header.end.count:
            self._refuse(
                f"The file ends after event {self._last}; the header tells of events up to {header.end.count}."
            )
        if self._digest.hex() != header.end.sha256:
            self._refuse("The running hash of these events is not the one in the header: the file was changed.")
        if self._status not in (None, header.task.status):
            self._refuse(
                f"The header says that the task has {header.task.status}, its events that it has {self._status}."
            )

    def _refuse(self, reason: str) -> NoReturn:
        _refuse(self._line, reason)


def _refuse(line: int, reason: str) -> NoReturn:
    raise LogFileError(line, reason)


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[_Line]:
    """The lines of a file that are not empty. Raises `LogFileError`."""
    number, limit = 1, HEADER_LIMIT
    begun = bytearray()
    async for chunk in chunks:
        first, *others = chunk.split(b"\n")
        begun += first
        if len(begun) > limit:
            _refuse(number, f"The line is longer than {limit:,} bytes.")
        for part in others:
            if line := bytes(begun).strip():
                yield _Line(number, line)
                limit = LINE_LIMIT
            number += 1
            begun = bytearray(part)
    if line := bytes(begun).strip():
        yield _Line(number, line)

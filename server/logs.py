"""The log of the server: whatever is logged in this process, by us and by others, goes to standard error.

What is about a task carries its `task_id` and `attempt`: whoever works for an attempt has bound them to its context
(structlog's context variables), and they are merged into every record that is made there.
"""

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

from structlog.contextvars import merge_contextvars
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import EventRenamer, JSONRenderer, TimeStamper, format_exc_info
from structlog.stdlib import ProcessorFormatter, add_log_level, add_logger_name
from structlog.typing import Processor

from runner.redact import Redactor

Level = Literal["info", "warning", "error"]

_MESSAGE = "message"  # the key of the text: an event is something else here

_Fields = MutableMapping[str, Any]


def configure(*, json: bool, level: Level, redactor: Redactor) -> None:
    """Have everything that is logged from now on, at a level or above, be written.

    json: each record is a line of JSON; otherwise it is for people, in colour on a terminal. redactor: of what must
    not be shown.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(level.upper())  # some loggers have a level of their own
    handler.setFormatter(_formatter(_for_programs() if json else _for_people(), redactor))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)


def _formatter(rendering: tuple[Processor, ...], redactor: Redactor) -> logging.Formatter:
    def redact(_: Any, __: str, fields: _Fields) -> _Fields:
        redacted: _Fields = redactor.value(fields)
        return redacted

    return ProcessorFormatter(
        foreign_pre_chain=[merge_contextvars, add_log_level, add_logger_name],
        processors=[
            ProcessorFormatter.remove_processors_meta,
            format_exc_info,
            EventRenamer(_MESSAGE),
            redact,
            *rendering,
        ],
    )


def _for_programs() -> tuple[Processor, ...]:
    return TimeStamper(fmt="iso", utc=True), JSONRenderer(ensure_ascii=False)


def _for_people() -> tuple[Processor, ...]:
    console = ConsoleRenderer(
        colors=sys.stderr.isatty() and "NO_COLOR" not in os.environ,
        event_key=_MESSAGE,
        exception_formatter=plain_traceback,
    )
    return TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False), _without_controls, console


def _without_controls(_: Any, __: str, fields: _Fields) -> _Fields:
    """What an LLM or its code wrote must not drive the terminal."""
    return {name: _printable(value) if isinstance(value, str) else value for name, value in fields.items()}


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)

"""What a run, and all tasks together, may take."""

import msgspec


class RunLimits(msgspec.Struct, frozen=True, kw_only=True):
    """grace: seconds that a stopped process has to end by itself before it is killed. silence: seconds without a sign
    of life after which a process is killed. tasks: in all. events: of a task, of all its attempts. event_size: bytes of
    an event, beyond which the log has an excerpt. workspace: bytes that a task's files take on the disk, all versions
    included.
    """

    grace: float = 1.5
    silence: float = 60.0  # MetaGPT blocks its loop for seconds; more than a minute is a loop that will not turn again
    tasks: int = 100_000
    events: int = 1_000_000
    event_size: int = 256 * 1024
    workspace: int = 2 * 1024**3

"""What the stream may hold in memory, whatever the length of a log and however many are slow.

A reader that stalls costs one frame and one WRITE_BUFFER, beside what the kernel holds for its socket. All that readers
share is bounded by RINGS_BYTES, PAGE_CACHE_BYTES and POSITION_CACHE.
"""

FRAME_EVENTS = 2048  # events of one `events` frame
FRAME_BYTES = 512 * 1024  # bytes of one `events` frame, or a single event
WRITE_BUFFER = 64 * 1024  # bytes that a connection may hold unsent before it counts as slow

RING_BYTES = 4 * 1024 * 1024  # of encoded events, per watched task
RINGS_BYTES = 64 * 1024 * 1024  # of encoded events, of all watched tasks
PAGE_CACHE_BYTES = 8 * 1024 * 1024  # of framed pages that lagging subscriptions may want again, in all
POSITION_CACHE = 10_000  # tasks of which it is known how far they have come

"""What the server may hold in memory for those who read, whatever the length of a log and however many are slow.

A reader that stalls costs little: the kernel holds UNSENT_BYTES for it, beside what its side has room for. Over
WebSocket there is one frame more, which whoever was at the head shares; over REST two PIECEs of a log or a file, and
not even that once it has taken nothing for STALL_TIMEOUT. Over TLS each has two frames or PIECEs, encrypted for it
alone: one waits for the socket, and the next one for that. So frames are smaller there, TLS_FRAME_BYTES. A page
backwards is sent whole: a client that does not read it costs FRAME_BYTES, or a single event, and twice that over TLS.
All that readers share is bounded by RINGS_BYTES, PAGE_CACHE_BYTES, POSITION_CACHE and HELD_CHANGES; of a task that has
changed in the list since the slowest reader read it, the id is kept beside.
"""

FRAME_EVENTS = 2048  # events of one `events` frame
FRAME_BYTES = 512 * 1024  # bytes of one `events` frame, or a single event
QUIET_EVENTS = 10_000  # that a filter may hold back before a reader at the head is told again how far it has come
WRITE_BUFFER = 64 * 1024  # bytes that a connection may hold unsent before it counts as slow; of a plain WebSocket, none
UNSENT_BYTES = FRAME_BYTES  # of a connection that the kernel may hold, about, beside what the peer has room for
REPLIES = 100  # replies that wait to be sent; above it no more of a WebSocket's frames are read
ASKS = 100  # answers and messages of a WebSocket that wait until the team's process listens again

PAGE_BYTES = 4 * 1024 * 1024  # of events in one answer over REST, about
PAGE_SCANS = 16  # reads of an answer over REST that only a part of what is read passes: of some thousand events each
TLS_FRAME_BYTES = 2 * WRITE_BUFFER  # of one `events` frame over TLS, where each reader has its own, or a single event
PIECE_BYTES = 2 * WRITE_BUFFER  # of an answer, or of the first frame of a replay, or a single event
EXPORTED_FILE_BYTES = 1024 * 1024  # of a file that is taken along in an exported page
HEAD_BYTES = 64 * 1024  # of a request's line and headers, about

RING_BYTES = 4 * 1024 * 1024  # of encoded events, per watched task
RINGS_BYTES = 64 * 1024 * 1024  # of encoded events, of all watched tasks
PAGE_CACHE_BYTES = 8 * 1024 * 1024  # of framed pages that lagging subscriptions may want again, in all
PAGE_COST = 512  # bytes that each of these takes beside its frames: filtered, one may be of a single short event
POSITION_CACHE = 10_000  # tasks of which it is known how far they have come
HELD_CHANGES = 2000  # states of tasks that have changed, for who follows the list

STALL_TIMEOUT = 60.0  # seconds in which a REST client must take TAKEN_BYTES of what waits for it
TAKEN_BYTES = 4096  # that are a sign of life: a peer's window grows by less without anything being read

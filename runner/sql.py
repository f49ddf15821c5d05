"""All SQL, named. A migration is a list of statements; it is never changed once released, a new one is added."""

from collections.abc import Sequence
from typing import Literal

MIGRATIONS = (
    (
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        "INSERT INTO meta VALUES ('epoch', lower(hex(randomblob(8))))",
        """
        CREATE TABLE tasks (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            title TEXT NOT NULL,
            input_prompt TEXT NOT NULL,
            priority INTEGER NOT NULL,
            options TEXT NOT NULL,
            created_at TEXT NOT NULL
        )
        """,
        """
        -- Apart from tasks because it is written with every batch of events, and a prompt may be long.
        CREATE TABLE task_states (
            task_seq INTEGER PRIMARY KEY REFERENCES tasks (seq) ON DELETE CASCADE,
            status TEXT NOT NULL,
            attempt INTEGER NOT NULL,
            head INTEGER NOT NULL,
            first INTEGER NOT NULL,      -- event_id of the first event that is kept; head + 1 if none is
            completed_at TEXT,
            digest BLOB NOT NULL,        -- the running hash through the head
            details TEXT NOT NULL,       -- the rest of what changes, as JSON
            final_result TEXT NOT NULL   -- JSON
        )
        """,
        "CREATE INDEX task_states_by_status ON task_states (status, task_seq)",
        "CREATE INDEX task_states_by_end ON task_states (completed_at)",
        """
        CREATE TABLE events (
            task_seq INTEGER NOT NULL REFERENCES tasks (seq) ON DELETE CASCADE,
            event_id INTEGER NOT NULL,
            event_type TEXT NOT NULL,
            agent_role TEXT,
            until INTEGER NOT NULL,      -- bytes of the log up to and with this event: to cut pages by size
            tail TEXT NOT NULL,          -- the event's JSON from "timestamp" on; what stands before it is in the key
            PRIMARY KEY (task_seq, event_id)
        ) WITHOUT ROWID
        """,
        # Tokens are most of a log, and hardly ever asked for alone.
        "CREATE INDEX events_by_type ON events (task_seq, event_type, event_id, agent_role) "
        "WHERE event_type <> 'TOKEN'",
        """
        -- The running hash at some events, from where that of any other is computed.
        CREATE TABLE digests (
            task_seq INTEGER NOT NULL REFERENCES tasks (seq) ON DELETE CASCADE,
            event_id INTEGER NOT NULL,
            digest BLOB NOT NULL,
            PRIMARY KEY (task_seq, event_id)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE idempotency_keys (
            key TEXT PRIMARY KEY,
            fingerprint TEXT NOT NULL,
            task_seq INTEGER NOT NULL REFERENCES tasks (seq) ON DELETE CASCADE
        ) WITHOUT ROWID
        """,
        "CREATE INDEX idempotency_keys_by_task ON idempotency_keys (task_seq)",
    ),
)

# "mgpl" in ASCII: tells our database files from others (PRAGMA application_id).
APPLICATION_ID = 0x6D67706C

GET_EPOCH = "SELECT value FROM meta WHERE name = 'epoch'"

INSERT_TASK = """
    INSERT INTO tasks (id, title, input_prompt, priority, options, created_at)
    VALUES (:id, :title, :input_prompt, :priority, :options, :created_at)
"""

INSERT_STATE = """
    INSERT INTO task_states (task_seq, status, attempt, head, first, digest, details, final_result)
    SELECT seq, :status, :attempt, :head, 1, :digest, :details, :final_result FROM tasks WHERE id = :id
"""

INSERT_KEY = "INSERT INTO idempotency_keys SELECT :key, :fingerprint, seq FROM tasks WHERE id = :id"

GET_KEY = """
    SELECT k.fingerprint, t.id FROM idempotency_keys k JOIN tasks t ON t.seq = k.task_seq WHERE k.key = ?
"""

GET_TASK = """
    SELECT t.id, t.title, t.input_prompt, t.priority, t.options, t.created_at,
           s.status, s.attempt, s.head, s.completed_at, s.details, s.final_result
    FROM tasks t JOIN task_states s ON s.task_seq = t.seq WHERE t.id = ?
"""

GET_POSITION = """
    SELECT t.seq, s.head, s.first FROM tasks t JOIN task_states s ON s.task_seq = t.seq WHERE t.id = ?
"""

# The prompt is left out: a list of long prompts is not a list.
LIST_TASKS = """
    SELECT t.seq, t.id, t.title, '' AS input_prompt, t.priority, t.options, t.created_at,
           s.status, s.attempt, s.head, s.completed_at, s.details, 'null' AS final_result
    FROM tasks t JOIN task_states s ON s.task_seq = t.seq
    WHERE t.seq < :cursor AND (t.title LIKE :pattern ESCAPE '\\' OR t.input_prompt LIKE :pattern ESCAPE '\\')
    ORDER BY t.seq DESC LIMIT :limit
"""

LIST_TASKS_OF_STATUS = """
    SELECT t.seq, t.id, t.title, '' AS input_prompt, t.priority, t.options, t.created_at,
           s.status, s.attempt, s.head, s.completed_at, s.details, 'null' AS final_result
    FROM task_states s JOIN tasks t ON t.seq = s.task_seq
    WHERE s.status IN (SELECT value FROM json_each(:statuses)) AND s.task_seq < :cursor
      AND (t.title LIKE :pattern ESCAPE '\\' OR t.input_prompt LIKE :pattern ESCAPE '\\')
    ORDER BY s.task_seq DESC LIMIT :limit
"""

DELETE_TASK = "DELETE FROM tasks WHERE id = ?"

# Fencing and the order of the log are one condition: the row is taken only as the writer believes it to be.
ADVANCE_TASK = """
    UPDATE task_states SET status = :status, attempt = :attempt, head = :new_head, details = :details,
                           final_result = :final_result, completed_at = :completed_at, digest = :digest
    WHERE task_seq = (SELECT seq FROM tasks WHERE id = :id) AND head = :head AND attempt <= :attempt
    RETURNING task_seq
"""

# One statement for many rows: between two statements the interpreter lock changes hands, which costs more than a row.
# By how many rows each inserts, the largest first.
INSERT_EVENTS = {
    count: "INSERT INTO events (task_seq, event_id, event_type, agent_role, until, tail) VALUES "
    + ", ".join(["(?, ?, ?, ?, ?, ?)"] * count)
    for count in (256, 64, 16, 4, 1)
}

GET_UNTIL = "SELECT until FROM events WHERE task_seq = ? AND event_id = ?"

INSERT_DIGEST = "INSERT INTO digests (task_seq, event_id, digest) VALUES (?, ?, ?)"

GET_DIGEST = """
    SELECT t.seq, s.head, s.first, s.digest FROM tasks t JOIN task_states s ON s.task_seq = t.seq WHERE t.id = ?
"""

GET_DIGEST_BEFORE = """
    SELECT event_id, digest FROM digests WHERE task_seq = ? AND event_id <= ? ORDER BY event_id DESC LIMIT 1
"""

GET_EXPIRED = """
    SELECT t.seq, t.id, s.first, s.head FROM task_states s JOIN tasks t ON t.seq = s.task_seq
    WHERE s.completed_at < :before AND s.first <= s.head AND s.status IN ('SUCCEEDED', 'FAILED', 'CANCELLED')
"""

EXPIRE_EVENTS = "DELETE FROM events WHERE task_seq = :seq AND event_id < :first"

EXPIRE_STATE = "UPDATE task_states SET first = :first WHERE task_seq = :seq AND first < :first"

# Whole pages are joined by SQLite, where no interpreter lock is held: at least one event, and no more than :size bytes.
READ_PAGE = """
    SELECT count(*), max(event_id), CAST(group_concat('{"event_id":' || event_id || :middle || tail, ',') AS BLOB)
    FROM (
        SELECT event_id, until, tail FROM events
        WHERE task_seq = :seq AND event_id > :after
        ORDER BY event_id LIMIT :limit
    )
    WHERE until <= :start + :size OR event_id = :first
"""

READ_EVENTS = """
    SELECT event_id, CAST('{"event_id":' || event_id || :middle || tail AS BLOB) FROM events
    WHERE task_seq = :seq AND event_id > :after
    ORDER BY event_id LIMIT :limit
"""

# An empty list of types, and a null role, let everything pass.
_READ_FILTERED_EVENTS = """
    SELECT event_id, CAST('{"event_id":' || event_id || :middle || tail AS BLOB) FROM events
    WHERE task_seq = :seq AND event_id > :after AND event_id < :before
      AND (:event_types = '[]' OR event_type IN (SELECT value FROM json_each(:event_types)))
      AND (:agent_role IS NULL OR agent_role = :agent_role)
    ORDER BY event_id {order} LIMIT :limit
"""

_EVENT_IDS_OF_TYPE = """
    SELECT event_id FROM (
        SELECT event_id FROM events INDEXED BY events_by_type
        WHERE task_seq = :seq AND event_type = :type_{number} AND event_type <> 'TOKEN'
          AND event_id > :after AND event_id < :before
          AND (:agent_role IS NULL OR agent_role = :agent_role)
        ORDER BY event_id {order} LIMIT :limit
    )
"""

_EVENTS_WITH_IDS = """
    SELECT event_id, CAST('{{"event_id":' || event_id || :middle || tail AS BLOB) FROM events
    WHERE task_seq = :seq AND event_id IN (SELECT event_id FROM ({ids}) ORDER BY event_id {order} LIMIT :limit)
    ORDER BY event_id {order}
"""


def read_filtered_events(types: Sequence[str], order: Literal["ASC", "DESC"]) -> str:
    """Events of some types (of all, if none are named) and of a role, each type from its own part of the index.

    The types themselves are parameters: `type_0`, `type_1`, and so on. With TOKEN among them the log itself is read.
    """
    if not types or "TOKEN" in types:
        return _READ_FILTERED_EVENTS.replace("{order}", order)
    ids = " UNION ALL ".join(_EVENT_IDS_OF_TYPE.format(number=number, order=order) for number in range(len(types)))
    return _EVENTS_WITH_IDS.format(ids=ids, order=order)

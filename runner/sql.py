"""All SQL, named. A migration is a list of statements; it is never changed once released, a new one is added."""

from typing import Literal

_EVENTS_VIEW = """
    -- For people with an SQL prompt: one row per event.
    CREATE VIEW events AS
        SELECT json_extract(event, '$.task_id') AS task_id, json_extract(event, '$.event_id') AS event_id,
               json_extract(event, '$.timestamp') AS timestamp, json_extract(event, '$.agent_role') AS agent_role,
               json_extract(event, '$.event_type') AS event_type, json_extract(event, '$.payload') AS payload
        FROM (
            SELECT e.value AS event FROM batches b, json_each('[' || CAST(b.body AS TEXT) || ']') e
            ORDER BY b.task_seq, b.head, e.key
        )
"""

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
        -- Apart from tasks because it is written with many batches of events, and a prompt may be long.
        CREATE TABLE task_states (
            task_seq INTEGER PRIMARY KEY REFERENCES tasks (seq) ON DELETE CASCADE,
            status TEXT NOT NULL,
            attempt INTEGER NOT NULL,
            head INTEGER NOT NULL,       -- event_id of the event that this is as of; later ones changed nothing
            first INTEGER NOT NULL,      -- event_id of the first event that is kept; head + 1 if none is
            completed_at TEXT,
            details TEXT NOT NULL,       -- the rest of what changes, as JSON
            final_result TEXT NOT NULL   -- JSON
        )
        """,
        "CREATE INDEX task_states_by_status ON task_states (status, task_seq)",
        "CREATE INDEX task_states_by_end ON task_states (completed_at)",
        """
        -- Events that were committed together, at most BATCH_EVENTS of them.
        CREATE TABLE batches (
            task_seq INTEGER NOT NULL REFERENCES tasks (seq) ON DELETE CASCADE,
            head INTEGER NOT NULL,       -- event_id of the last of them
            count INTEGER NOT NULL,
            body BLOB NOT NULL,          -- their JSON, joined by commas
            PRIMARY KEY (task_seq, head)
        ) WITHOUT ROWID
        """,
        """
        -- Without those of type TOKEN, which are most of a log, and hardly ever asked for alone.
        CREATE TABLE events_by_type (
            task_seq INTEGER NOT NULL REFERENCES tasks (seq) ON DELETE CASCADE,
            event_type TEXT NOT NULL,
            event_id INTEGER NOT NULL,
            agent_role TEXT,
            PRIMARY KEY (task_seq, event_type, event_id)
        ) WITHOUT ROWID
        """,
        _EVENTS_VIEW,
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
        """
        -- For search; a row is that of the task whose seq it has.
        CREATE VIRTUAL TABLE task_texts USING fts5
            (title, prompt, result, columnsize = 0, tokenize = 'unicode61 remove_diacritics 2')
        """,
    ),
    (
        "DROP VIEW events",
        "ALTER TABLE batches RENAME TO batches_by_key",
        """
        -- Without a rowid, a batch of 1 to 4 kB would take a page of its own beside the one in which it begins.
        CREATE TABLE batches (
            place INTEGER PRIMARY KEY,   -- seq of the task, and in the lower 32 bits head: event_id of the last of them
            task_seq INTEGER NOT NULL AS (place >> 32),
            head INTEGER NOT NULL AS (place & 0xFFFFFFFF),
            count INTEGER NOT NULL,
            body BLOB NOT NULL           -- their JSON, joined by commas
        )
        """,
        "INSERT INTO batches (place, count, body) SELECT task_seq << 32 | head, count, body FROM batches_by_key",
        "DROP TABLE batches_by_key",
        _EVENTS_VIEW,
    ),
    (
        # Of an event that is alone in its batch, and no token; NULL of all others.
        "ALTER TABLE batches ADD COLUMN event_type TEXT",
        "ALTER TABLE batches ADD COLUMN agent_role TEXT",
        "CREATE INDEX batches_by_type ON batches (event_type, place, agent_role) WHERE event_type IS NOT NULL",
    ),
)

# "mgpl" in ASCII: tells our database files from others (PRAGMA application_id).
APPLICATION_ID = 0x6D67706C


def _within(seq: str, first: str = "0", last: str = "0xFFFFFFFF") -> str:
    """The condition on the batches of a task whose heads lie between two event_ids, inclusive. All are expressions."""
    return f"place BETWEEN {seq} << 32 | {first} AND {seq} << 32 | {last}"


GET_EPOCH = "SELECT value FROM meta WHERE name = 'epoch'"

RENEW_EPOCH = "UPDATE meta SET value = lower(hex(randomblob(8))) WHERE name = 'epoch'"

# The boot of the machine in which there may be commits that are not on the disk; no row if all are.
GET_UNSYNCED = "SELECT value FROM meta WHERE name = 'unsynced'"

SET_UNSYNCED = "REPLACE INTO meta VALUES ('unsynced', ?)"

UNSET_UNSYNCED = "DELETE FROM meta WHERE name = 'unsynced'"

# Something else each time: what is there already would not be written.
TRY_WRITING = "REPLACE INTO meta VALUES ('tried', hex(randomblob(8)))"

INSERT_TASK = """
    INSERT INTO tasks (id, title, input_prompt, priority, options, created_at)
    VALUES (:id, :title, :input_prompt, :priority, :options, :created_at)
"""

INSERT_STATE = """
    INSERT INTO task_states (task_seq, status, attempt, head, first, completed_at, details, final_result)
    SELECT seq, :status, :attempt, :head, :first, :completed_at, :details, :final_result FROM tasks WHERE id = :id
"""

INSERT_KEY = "INSERT INTO idempotency_keys SELECT :key, :fingerprint, seq FROM tasks WHERE id = :id"

GET_KEY = """
    SELECT k.fingerprint, t.id FROM idempotency_keys k JOIN tasks t ON t.seq = k.task_seq WHERE k.key = ?
"""

# A subquery, not an aggregate: it looks at one row.
_LAST_HEAD = f"SELECT head FROM batches WHERE {_within('s.task_seq')} ORDER BY place DESC LIMIT 1"
_HEAD = f"max(s.head, ifnull(({_LAST_HEAD}), 0))"

GET_TASK = f"""
    SELECT t.id, t.title, t.input_prompt, t.priority, t.options, t.created_at,
           s.status, s.attempt, {_HEAD}, s.completed_at, s.details, s.final_result
    FROM tasks t JOIN task_states s ON s.task_seq = t.seq WHERE t.id = ?
"""

GET_POSITION = f"""
    SELECT t.seq, {_HEAD}, s.first FROM tasks t JOIN task_states s ON s.task_seq = t.seq WHERE t.id = ?
"""

# The prompt is left out: a list of long prompts is not a list.
_LISTED = f"""
    t.seq, t.id, t.title, '' AS input_prompt, t.priority, t.options, t.created_at,
    s.status, s.attempt, {_HEAD}, s.completed_at, s.details, 'null' AS final_result
"""

LIST_TASKS = f"""
    SELECT {_LISTED}, NULL AS snippet
    FROM tasks t JOIN task_states s ON s.task_seq = t.seq
    WHERE t.seq < :cursor
    ORDER BY t.seq DESC LIMIT :limit
"""

LIST_TASKS_OF_STATUS = f"""
    SELECT {_LISTED}, NULL AS snippet
    FROM task_states s JOIN tasks t ON t.seq = s.task_seq
    WHERE s.status IN (SELECT value FROM json_each(:statuses)) AND s.task_seq < :cursor
    ORDER BY s.task_seq DESC LIMIT :limit
"""

SEARCH_TASKS = f"""
    SELECT {_LISTED}, snippet(task_texts, -1, :begin, :end, '…', 24)
    FROM task_texts f JOIN tasks t ON t.seq = f.rowid JOIN task_states s ON s.task_seq = t.seq
    WHERE task_texts MATCH :match AND f.rowid < :cursor
      AND (:statuses = '[]' OR s.status IN (SELECT value FROM json_each(:statuses)))
    ORDER BY f.rowid DESC LIMIT :limit
"""

INDEX_TASK = "INSERT INTO task_texts (title, prompt, result, rowid) SELECT ?, ?, ?, seq FROM tasks WHERE id = ?"

INDEX_RESULT = "UPDATE task_texts SET result = ? WHERE rowid = ?"

UNINDEX_TASK = "DELETE FROM task_texts WHERE rowid = ?"

COUNT_TASKS = "SELECT status, count(*) FROM task_states GROUP BY status"

COUNT_FOUND_TASKS = """
    SELECT s.status, count(*) FROM task_texts f JOIN task_states s ON s.task_seq = f.rowid
    WHERE task_texts MATCH ? GROUP BY s.status
"""

GET_SEQ = "SELECT t.seq FROM tasks t JOIN task_states s ON s.task_seq = t.seq WHERE t.id = ?"

# Without its state a task is found by nobody. The rest of it takes longer to delete; another may have its id meanwhile,
# so that a deleted one has it behind another word.
HIDE_TASK = (
    "DELETE FROM task_states WHERE task_seq = ?",
    "DELETE FROM idempotency_keys WHERE task_seq = ?",
    "UPDATE tasks SET id = 'deleted-' || seq || '-' || id WHERE seq = ?",
)

# Of an import that was given up, and that nobody has purged yet.
FREE_ID = """
    UPDATE tasks SET id = 'deleted-' || seq || '-' || id
    WHERE id = ? AND seq NOT IN (SELECT task_seq FROM task_states)
"""

LIST_HIDDEN_TASKS = "SELECT seq, id FROM tasks WHERE seq NOT IN (SELECT task_seq FROM task_states)"

LIST_DELETED_IDS = """
    SELECT substr(id, length('deleted-' || seq || '-') + 1) FROM tasks
    WHERE seq NOT IN (SELECT task_seq FROM task_states) AND id LIKE 'deleted-' || seq || '-%'
"""

# Of a task that is hidden still.
GET_OLDEST_HIDDEN_BATCH = f"""
    SELECT head FROM batches
    WHERE {_within("?1")} AND NOT EXISTS (SELECT 1 FROM task_states WHERE task_seq = ?1)
    ORDER BY place LIMIT 1
"""

DELETE_HIDDEN_TASK = "DELETE FROM tasks WHERE seq = ? AND seq NOT IN (SELECT task_seq FROM task_states)"

UPDATE_STATE = """
    UPDATE task_states SET status = :status, attempt = :attempt, head = :head, details = :details,
                           final_result = :final_result, completed_at = :completed_at
    WHERE task_seq = :seq
"""

INSERT_BATCH = "INSERT INTO batches (place, count, body, event_type, agent_role) VALUES (? << 32 | ?, ?, ?, ?, ?)"

INSERT_EVENT_BY_TYPE = "INSERT INTO events_by_type (task_seq, event_type, event_id, agent_role) VALUES (?, ?, ?, ?)"

INSERT_DIGEST = "INSERT OR IGNORE INTO digests (task_seq, event_id, digest) VALUES (?, ?, ?)"

GET_DIGEST_BEFORE = """
    SELECT event_id, digest FROM digests WHERE task_seq = ? AND event_id <= ? ORDER BY event_id DESC LIMIT 1
"""

# An imported run may have ended long ago, and be here since a moment.
GET_EXPIRED = """
    SELECT t.id, s.head FROM task_states s JOIN tasks t ON t.seq = s.task_seq
    WHERE s.completed_at < :before AND ifnull(json_extract(s.details, '$.imported_at') < :before, TRUE)
      AND s.first <= s.head AND s.status IN ('SUCCEEDED', 'FAILED', 'CANCELLED')
"""

EXPIRE_BATCHES = f"DELETE FROM batches WHERE {_within(':seq', last='(:first - 1)')}"

EXPIRE_EVENTS_BY_TYPE = "DELETE FROM events_by_type WHERE task_seq = :seq AND event_id < :first"

EXPIRE_STATE = "UPDATE task_states SET first = :first WHERE task_seq = :seq AND first < :first"

# The head of the batch that is so many after the one that follows on an event.
GET_HEAD_AFTER = f"SELECT head FROM batches WHERE {_within('?1', first='(?2 + 1)')} ORDER BY place LIMIT 1 OFFSET ?3"

# The head of the batch that is so many before the one that ends before an event.
GET_HEAD_BEFORE = f"""
    SELECT head FROM batches WHERE {_within("?1", last="(?2 - 1)")} ORDER BY place DESC LIMIT 1 OFFSET ?3
"""

# The batch of an event, and those after it.
READ_BATCHES = f"SELECT head, count, body FROM batches WHERE {_within(':seq', first=':from')} ORDER BY place"

# The batch of an event, and those before it. most: BATCH_EVENTS, so that none of later events is read.
READ_BATCHES_BACK = f"""
    SELECT head, count, body FROM batches
    WHERE {_within(":seq", last="(:from + :most - 1)")} AND head - count < :from
    ORDER BY place DESC
"""

_EVENT_IDS_OF_TYPE = f"""
    SELECT event_id FROM (
        SELECT event_id FROM events_by_type
        WHERE task_seq = :seq AND event_type = :type_{{number}} AND event_id > :after AND event_id < :before
          AND (:agent_role IS NULL OR agent_role = :agent_role)
        ORDER BY event_id {{order}} LIMIT :limit
    )
    UNION ALL
    SELECT head FROM (
        SELECT place & 0xFFFFFFFF AS head FROM batches
        WHERE event_type = :type_{{number}} AND {_within(":seq", "(:after + 1)", "(:before - 1)")}
          AND (:agent_role IS NULL OR agent_role = :agent_role)
        ORDER BY place {{order}} LIMIT :limit
    )
"""


def event_ids_of_types(count: int, order: Literal["ASC", "DESC"]) -> str:
    """The ids of events of some types, each from its own part of an index. The types are parameters: `type_0`, ..."""
    ids = " UNION ALL ".join(_EVENT_IDS_OF_TYPE.format(number=number, order=order) for number in range(count))
    return f"SELECT event_id FROM ({ids}) ORDER BY event_id {order} LIMIT :limit"


# The index of a task's events, in a database of its own. More segments are searched than by default: it is written more
# than it is read.
MAKE_INDEX = (
    """
    CREATE VIRTUAL TABLE events USING fts5
        (text, event_type UNINDEXED, agent_role UNINDEXED, timestamp UNINDEXED,
         columnsize = 0, tokenize = 'unicode61 remove_diacritics 2')
    """,
    "INSERT INTO events (events, rank) VALUES ('automerge', 16)",
    "CREATE TABLE indexed (through INTEGER NOT NULL, epoch TEXT NOT NULL)",
)

BEGIN_INDEXED = "INSERT INTO indexed VALUES (0, ?)"

GET_INDEXED_EPOCH = "SELECT epoch FROM indexed"

GET_INDEXED = "SELECT through FROM indexed"

SET_INDEXED = "UPDATE indexed SET through = ?"

INDEX_EVENT = "INSERT INTO events (rowid, text, event_type, agent_role, timestamp) VALUES (?, ?, ?, ?, ?)"

SEARCH_EVENTS = """
    SELECT rowid, event_type, agent_role, timestamp, snippet(events, 0, :begin, :end, '…', 24)
    FROM events WHERE events MATCH :match AND rowid < :before ORDER BY rowid DESC LIMIT :limit
"""

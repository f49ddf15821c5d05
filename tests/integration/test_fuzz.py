"""Whatever is sent, over REST and over WebSocket, there is an answer, it is one that is described, and no server error.

The requests are made from the server's own OpenAPI document: of values that fit it, mixed with such that do not. They
are made by hypothesis alone. schemathesis, which is built on it, does the same with some twenty packages and ten times
the requests: `make fuzz` asks it (tests/fuzz.py).
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from server.protocol import CloseCode
from tests.support import DEADLINE, Description, Json, Server

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)
# What fits in a header, and what does not fit in any parameter.
HEADER = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=300)
ODD_TEXT = st.text() | st.sampled_from(
    ["-1", "NaN", "inf", "1e999", "0x10", str(2**64), "\0", "../..", "%2e%2e", " 1", "٣"]
)
SHORT_WAIT = st.sampled_from(["0", "0.01", "-0.0", "1e-9", "NaN", "31", ""])

OPS = {"hello", "events", "caught_up", "gap", "state", "end", "pong", "accepted", "error"}
CLOSE_CODES = {CloseCode.BAD_FRAME, CloseCode.FRAME_TOO_LARGE, CloseCode.NO_SUCH_TASK}
ENDED = {1000}  # of the subscription to a task that has ended

patient = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


class Call(NamedTuple):
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes | None


class Calls:
    """Calls of an API, by its OpenAPI document."""

    def __init__(self, document: Json, task_id: str) -> None:
        self._document = document
        self._task_id = task_id

    def any(self) -> st.SearchStrategy[Call]:
        calls: list[st.SearchStrategy[Call]] = [
            self._of(method, path, operation)
            for path, operations in self._document["paths"].items()
            for method, operation in operations.items()
        ]
        return st.one_of(calls)

    def _of(self, method: str, path: str, operation: Json) -> st.SearchStrategy[Call]:
        parameters = [self._resolved(parameter) for parameter in operation.get("parameters", [])]
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        return st.builds(
            Call,
            st.just(method.upper()),
            self._path(path),
            st.lists(st.one_of([self._parameter(p) for p in parameters if p["in"] == "query"] or [st.nothing()])),
            st.dictionaries(st.sampled_from(["Idempotency-Key", "If-None-Match", "Content-Type", "Accept"]), HEADER),
            st.none() if body is None else self._body(body),
        )

    def _path(self, path: str) -> st.SearchStrategy[str]:
        parts = [self._segment(part) if part.startswith("{") else st.just(part) for part in path.split("/")]
        return st.tuples(*parts).map("/".join)

    def _segment(self, name: str) -> st.SearchStrategy[str]:
        known = self._task_id if name == "{task_id}" else "hangman/main.py"
        return st.just(known) | ODD_TEXT.filter(lambda text: text not in {"", ".", ".."}).map(_quoted)

    def _parameter(self, parameter: Json) -> st.SearchStrategy[tuple[str, str]]:
        name = parameter["name"]
        fitting = SHORT_WAIT if name == "wait" else self._fitting(parameter["schema"]).map(str) | ODD_TEXT
        return st.tuples(st.just(name), fitting)

    def _body(self, schema: Json) -> st.SearchStrategy[bytes]:
        return (self._fitting(schema) | JSON).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40)

    def _fitting(self, schema: Json) -> st.SearchStrategy[Any]:
        """Values that fit a schema in most respects, and some parts of them in none."""
        schema = self._resolved(schema)
        if "anyOf" in schema:
            return st.one_of([self._fitting(option) for option in schema["anyOf"]])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        match schema.get("type"):
            case "object":
                fields = {name: self._fitting(field) | JSON for name, field in schema.get("properties", {}).items()}
                required = {name: fields.pop(name) for name in schema.get("required", []) if name in fields}
                return st.fixed_dictionaries(required, optional=fields)
            case "array":
                return st.lists(self._fitting(schema.get("items", {})), max_size=4)
            case "string":
                return st.text(min_size=schema.get("minLength", 0), max_size=200)
            case "integer":
                return st.integers(schema.get("minimum"), schema.get("maximum"))
            case "number":
                return st.floats(schema.get("minimum"), schema.get("maximum"), allow_nan=False, allow_infinity=False)
            case "boolean":
                return st.booleans()
            case _:
                return JSON

    def _resolved(self, schema: Json) -> Json:
        while "$ref" in schema:
            *_, kind, name = schema["$ref"].split("/")
            schema = self._document["components"][kind][name]
        return schema


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=DEADLINE, trust_env=False) as http:
        yield http


@pytest.fixture(scope="module")
def task_id(http: httpx.Client) -> str:
    return str(http.post("/api/tasks", json={"input_prompt": "hangman"}).json()["id"])


@pytest.fixture(scope="module")
def description(http: httpx.Client) -> Description:
    return Description(http.get("/openapi.json").json())


@patient
@given(data=st.data())
def test_any_call(http: httpx.Client, description: Description, task_id: str, data: st.DataObject) -> None:
    """Every answer is one that the document describes, and no server error."""
    call = data.draw(Calls(description.document, task_id).any())
    query = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in call.query)
    headers = {"Content-Type": "application/json"} | call.headers
    answer = http.request(call.method, f"{call.path}?{query}", headers=headers, content=call.body)
    assert answer.status_code < 500 or call.path == "/readyz"  # it says 503 of a server that drains
    description.check(answer)


def frames(task_id: str) -> st.SearchStrategy[str | bytes | list[str]]:
    """Frames of a client: fitting ones, almost fitting ones, text of any kind, bytes, and text in fragments."""
    words = st.sampled_from(["subscribe", "unsubscribe", "subscribe_tasks", "auth", "ping", "input", "message"])
    fields = {
        "task_id": st.just(task_id) | JSON,
        "since_event_id": st.integers() | JSON,
        "types": st.lists(st.sampled_from(["STATUS", "TOKEN", ""])) | JSON,
        "agent_role": st.none() | st.text(),
        "answer": st.text() | JSON,
        "request_id": st.text(),
        "content": st.text(),
        "x": JSON,
    }
    almost = st.fixed_dictionaries({"op": words | st.text()}, optional=fields).map(json.dumps)
    text = st.text(st.characters(exclude_categories=["Cs"]))
    return almost | text | st.binary() | st.lists(text, min_size=1)


@patient
@given(data=st.data())
def test_any_frames(server: Server, task_id: str, data: st.DataObject) -> None:
    """A connection answers each frame with known ones, or is closed with a code that says why."""
    sent = data.draw(st.lists(frames(task_id), max_size=8))
    path, ended = data.draw(st.sampled_from([("/ws", set()), (f"/api/tasks/{task_id}/events", ENDED)]))
    with connect(f"{server.url.replace('http', 'ws', 1)}{path}", proxy=None) as socket:
        try:
            for frame in [*sent, '{"op":"ping"}']:
                socket.send(frame)
            while (op := json.loads(socket.recv(DEADLINE))["op"]) != "pong":
                assert op in OPS
        except ConnectionClosed as closed:
            assert closed.rcvd is not None and closed.rcvd.code in CLOSE_CODES | ended

"""An OpenAI-compatible endpoint for tests: streams the demo model's answers, and misbehaves when told to.

with OpenAiServer() as server:
    config = server.config()          # fields of MetaGPT's LLMConfig
    server.script += [Refuse(429)]    # the next request is refused, the one after it answered
    ...
    server.requests                   # what was asked
"""

import json
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from runner.metagpt.demo.answers import answer as demo_answer

API_KEY = "sk-test-0123456789abcdef"
MODEL = "gpt-4o"  # one with a price in MetaGPT's table
CHUNK_CHARS = 200


@dataclass(frozen=True)
class Refuse:
    """An HTTP error. code: as in OpenAI's error object."""

    status: int
    message: str = "refused by the script"
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Hang:
    """No answer, until the server is closed."""


@dataclass(frozen=True)
class Break:
    """A connection that ends in the middle of the answer."""


@dataclass(frozen=True)
class Answered:
    """What the model answers, before the next outcome of the script."""


@dataclass(frozen=True)
class Stall:
    """An answer that begins, and does not go on until the server is closed."""


@dataclass(frozen=True)
class Reply:
    """These words, in place of the demo model's."""

    text: str


Outcome = Refuse | Hang | Break | Answered | Stall | Reply
Answer = Callable[[str, str], str]  # prompt, system prompt


@dataclass(frozen=True)
class Request:
    body: dict[str, Any]
    authorization: str

    @property
    def prompt(self) -> str:
        return next(str(m["content"]) for m in reversed(self.body["messages"]) if m["role"] == "user")

    @property
    def system(self) -> str:
        return "\n".join(str(m["content"]) for m in self.body["messages"] if m["role"] == "system")


class OpenAiServer:
    """Listens on a free port of 127.0.0.1 while its `with` block runs.

    script: outcomes of the next requests; once it is empty, every request is answered. answer: the model. usage:
    whether usage is sent when it is asked for. refuses: parameters of a request that are met with 400.
    """

    def __init__(
        self,
        script: Iterable[Outcome] = (),
        *,
        answer: Answer = demo_answer,
        usage: bool = True,
        refuses: Iterable[str] = (),
    ) -> None:
        self.script = list(script)
        self.answer = answer
        self.usage = usage
        self.refuses = tuple(refuses)
        self.requests: list[Request] = []
        self.asked = threading.Event()
        """Set once a request has come."""
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.endpoint = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), name="OpenAiServer")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def config(self, **fields: Any) -> dict[str, Any]:
        """Fields of MetaGPT's LLMConfig for this endpoint."""
        return {"api_type": "openai", "base_url": self.url, "api_key": API_KEY, "model": MODEL} | fields

    def take(self, request: Request) -> Outcome:
        """The outcome of a request."""
        with self._lock:
            self.requests.append(request)
            self.asked.set()
            for parameter in self.refuses:
                if parameter in request.body:
                    return Refuse(400, f"Unsupported parameter: {parameter!r}")
            outcome = self.script.pop(0) if self.script else Answered()
            if isinstance(outcome, Answered):
                return Reply(self.answer(request.prompt, request.system))
            return outcome

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def unused_url() -> str:
    """A URL at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1"


class _Server(ThreadingHTTPServer):
    endpoint: OpenAiServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in mid-answer is part of what is tested."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        endpoint = self.server.endpoint
        self.close_connection = True
        match endpoint.take(Request(body, self.headers.get("Authorization", ""))):
            case Refuse() as refusal:
                error = {"message": refusal.message, "type": "scripted", "code": refusal.code}
                self._json(refusal.status, {"error": error}, refusal.headers)
            case Hang():
                endpoint.closing.wait()
            case Break():
                self._stream(["half of an answ"], body, whole=False)
            case Stall():
                self._stream(["half of an answ"], body, whole=False)
                endpoint.closing.wait()
            case Reply(text) if body.get("stream"):
                self._stream([text[i : i + CHUNK_CHARS] for i in range(0, len(text), CHUNK_CHARS)], body, whole=True)
            case Reply(text):
                message = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
                self._json(200, self._object(body, "chat.completion", [message]) | {"usage": _usage(body, text)}, {})

    def _stream(self, pieces: list[str], body: dict[str, Any], *, whole: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            self._event(body, [{"index": 0, "delta": {"content": piece}, "finish_reason": None}])
        if not whole:
            return
        self._event(body, [{"index": 0, "delta": {}, "finish_reason": "stop"}])
        if self.server.endpoint.usage and (body.get("stream_options") or {}).get("include_usage"):
            self._event(body, [], usage=_usage(body, "".join(pieces)))
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _event(self, body: dict[str, Any], choices: list[dict[str, Any]], **more: Any) -> None:
        self._chunk(
            b"data: " + json.dumps(self._object(body, "chat.completion.chunk", choices) | more).encode() + b"\n\n"
        )

    def _chunk(self, data: bytes) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _json(self, status: int, content: Any, headers: Mapping[str, str]) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(data)

    def _object(self, body: dict[str, Any], kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": "chatcmpl-1", "object": kind, "created": 0, "model": body["model"], "choices": choices}

    def end_headers(self) -> None:
        self.send_header("Connection", "close")  # or the client may send its next request into the closing connection
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Tests read `requests` instead."""


def _usage(body: dict[str, Any], text: str) -> dict[str, int]:
    """Counts that no estimate would come to: a token per word."""
    prompt = sum(len(str(message["content"]).split()) for message in body["messages"])
    completion = len(text.split())
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

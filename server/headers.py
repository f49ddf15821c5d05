"""Security headers: those of every answer, and those that say what a page may do."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# uvicorn puts them on every answer: its own, such as to what is no HTTP, among them.
SECURITY_HEADERS = (
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
)

# What LLMs write is shown as text only; should markup ever slip in, nothing of it may load or run. Trusted types
# have the browser refuse every attempt to parse a string as HTML.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "font-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)

# Mermaid parses HTML and writes styles, so it has a frame of its own, without an origin, that reaches nothing: what
# would go wrong there stays there.
FRAME_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox allow-scripts"
)

Headers = tuple[tuple[bytes, bytes], ...]


def _policy(policy: str, *, readers: str) -> Headers:
    """readers: of which origins may load what is answered."""
    return (
        (b"content-security-policy", policy.encode()),
        (b"cross-origin-resource-policy", readers.encode()),
    )


_OF_PAGES = _policy(CONTENT_SECURITY_POLICY, readers="same-origin")

# To a frame without an origin every origin is another one, also that of its scripts.
_OPEN = _policy(CONTENT_SECURITY_POLICY, readers="cross-origin")
_OF_FRAME: dict[str, Headers] = {
    "/static/diagram-frame.html": _policy(FRAME_POLICY, readers="same-origin"),
    "/static/diagram-frame.js": _OPEN,
    "/static/vendor/mermaid/mermaid.tiny.js": _OPEN,
}


class Policies:
    """Puts on every answer of an application what its page may load and run, and who may read it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _OF_FRAME.get(scope["path"], _OF_PAGES)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        await self._app(scope, receive, send_with_headers)

"""The dashboard as one file that shows a run without a server, opened from a disk.

Its modules are in an import map, each as a data: URL under its path in the folder of the dashboard. A policy in the
page lets only scripts run that carry a number which is made up for this one file, after the log was written: whatever
the log holds cannot know it. The log and the files are in blocks of JSON, in which no tag can end or begin.
"""

import base64
import gzip
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from runner.events import Event
from server import modules

# Nothing is loaded from anywhere, and nothing is sent. The frame in which diagrams are drawn has the same policy, and
# writes styles.
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)
_ENTRY = "offline.js"  # the module with which the page begins
_OF_DIAGRAMS = ("vendor/mermaid/mermaid.tiny.js", "diagram-frame.js")  # run in a frame of their own, in this order

_ICON = re.compile(r'(?<=<link rel="icon" href=")/static/([^"]+)')
_PLACEHOLDER = re.compile(r"\$\{[^}]*\}")


class Page(msgspec.Struct, frozen=True):
    """The page before the blocks of data in its body, and after them."""

    head: bytes
    tail: bytes


def page(folder: Path) -> Page:
    """A page from the dashboard in a folder."""
    nonce = secrets.token_urlsafe(18)
    html = (folder / "index.html").read_text()
    html = html.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n    {_policy(nonce)}', 1)
    html = modules.STYLESHEET.sub(lambda found: f"<style>\n{(folder / found[1]).read_text()}</style>", html)
    html = _ICON.sub(lambda found: _data_url("image/svg+xml", (folder / found[1]).read_bytes()), html)
    html = html.replace(modules.ENTRY, _import_map(_modules(folder), nonce))
    head, end, tail = html.partition("</body>")
    entry = f'<script type="module" nonce="{nonce}">import "{_ENTRY}";</script>\n  '
    return Page(head.encode() + block("diagrams", _packed(folder)), f"{entry}{end}{tail}".encode())


def block(kind: str, json: bytes, last: int = 0) -> bytes:
    """A block of data for the page. kind: by which the page finds it. last: event_id of the last event in it."""
    # In JSON this character is always in a string.
    safe = json.replace(b"<", b"\\u003c")
    return b'<script type="application/json" data-kind="%b" data-last="%d">%b</script>\n' % (kind.encode(), last, safe)


def events(encoded: Sequence[bytes]) -> bytes:
    """A block of events."""
    last = msgspec.json.decode(encoded[-1], type=Event).event_id
    return block("events", b"[%b]" % b",".join(encoded), last)


def _packed(folder: Path) -> bytes:
    """What draws diagrams, compressed, as JSON."""
    script = b"\n".join((folder / name).read_bytes() for name in _OF_DIAGRAMS)
    return msgspec.json.encode(base64.b64encode(gzip.compress(script, mtime=0)).decode())


def _policy(nonce: str) -> str:
    return f'<meta http-equiv="Content-Security-Policy" content="{_POLICY.format(nonce=nonce)}">'


def _import_map(sources: Mapping[str, str], nonce: str) -> str:
    urls = {name: _data_url("text/javascript", source.encode()) for name, source in sources.items()}
    return f'<script type="importmap" nonce="{nonce}">{msgspec.json.encode({"imports": urls}).decode()}</script>'


def _data_url(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _modules(folder: Path) -> dict[str, str]:
    """All modules that the entry leads to, by name, importing each other by name: data: URLs have no paths."""
    found: dict[str, str] = {}
    wanted = [_ENTRY]
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        source = (folder / name).read_text()
        for _, _, specifier in modules.IMPORT.findall(source):
            pattern = _PLACEHOLDER.sub("*", modules.name(specifier, name))
            wanted += [str(path.relative_to(folder)) for path in folder.glob(pattern)]
        found[name] = modules.IMPORT.sub(lambda i, of=name: f"{i[1]}{i[2]}{modules.name(i[3], of)}{i[2]}", source)  # type: ignore[misc]
    return found

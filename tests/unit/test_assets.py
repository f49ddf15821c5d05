"""The dashboard's files as a browser gets them."""

import re
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from server.assets import Assets

TEXT = "export const answer = 42;\n" * 100
PACKED = {"Accept-Encoding": "gzip, br"}
PLAIN = {"Accept-Encoding": "identity"}


STATIC = Path(__file__).parents[2] / "static"


def serve(folder: Path) -> httpx.AsyncClient:
    """The page at / and at /tasks/x, and its files below /static, as the server has them."""
    assets = Assets(folder)

    async def page(request: Request) -> Response:
        return await assets.page(request.scope, "task" if "task_id" in request.path_params else "home")

    routes = [Route("/", page), Route("/tasks/{task_id}", page), Mount("/static", assets)]
    return httpx.AsyncClient(transport=httpx.ASGITransport(Starlette(routes=routes)), base_url="http://test")


@pytest.fixture
def client(tmp_path: Path) -> httpx.AsyncClient:
    (tmp_path / "index.html").write_text(
        '<link rel="stylesheet" href="/static/a.css">\n<link rel="stylesheet" href="/static/b.css">\n'
        '<script type="module" src="/static/app.js"></script>'
    )
    for name in ("a", "b"):
        (tmp_path / f"{name}.css").write_text(f".{name} {{ color: red }}")
    (tmp_path / "app.js").write_text(
        'import { answer } from "./parts/page.js";\nconst more = () => import("./task.js");'
    )
    (tmp_path / "task.js").write_text('import { answer } from "./parts/page.js";\n')
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "page.js").write_text(TEXT)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    return serve(tmp_path)


def addresses(page: str) -> list[str]:
    return re.findall(r'(?:href|src)="([^"]+)"', page)


async def test_files_are_compressed_for_whoever_takes_it(client: httpx.AsyncClient) -> None:
    """Text comes as gzip where that is understood, what is compressed already and parts of files as they are."""
    packed = await client.get("/static/parts/page.js", headers=PACKED)
    assert packed.text == TEXT
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(TEXT) / 4
    for path, headers in (
        ("parts/page.js", PLAIN),
        ("picture.png", PACKED),
        ("parts/page.js", PACKED | {"Range": "bytes=0-5"}),
    ):
        answer = await client.get(f"/static/{path}", headers=headers)
        assert "content-encoding" not in answer.headers
    assert answer.text == TEXT[:6]


async def test_a_browser_keeps_what_the_page_names(client: httpx.AsyncClient, tmp_path: Path) -> None:
    """The page is asked for each time, and nothing else twice: its files have another address when one has changed."""
    first = await client.get("/")
    assert first.headers["cache-control"] == "no-cache"
    for address in addresses(first.text):
        answer = await client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert (await client.get("/")).text == first.text
    (tmp_path / "parts" / "page.js").write_text("export const answer = 43;\n")
    second = await client.get("/")
    assert not set(addresses(first.text)) & set(addresses(second.text))
    old = await client.get(addresses(first.text)[0])
    assert old.status_code == 200 and old.headers["cache-control"] == "no-cache"


async def test_the_page_names_all_that_it_loads(client: httpx.AsyncClient) -> None:
    """One stylesheet with all of them, and every module, those for a task where one is shown."""
    home, task = [addresses((await client.get(path, headers=PACKED)).text) for path in ("/", "/tasks/x")]
    names = [[address.split("/", 3)[3] for address in page] for page in (home, task)]
    assert names[0] == ["styles.css", "parts/page.js", "app.js"]
    assert names[1] == ["styles.css", "task.js", "parts/page.js", "app.js"]
    assert (await client.get(home[0])).text == ".a { color: red }\n.b { color: red }"


async def test_every_module_of_the_dashboard_is_named(tmp_path: Path) -> None:
    """What a module imports without need is found in every one of ours: they all write it in one way."""
    page = (await serve(STATIC).get("/tasks/x")).text
    named = {STATIC / address.split("/", 3)[3] for address in addresses(page) if address.startswith("/static/")}
    for module in (path for path in named if path.suffix == ".js"):
        imports = re.findall(r"""^(?:import|export)\b[^;]*?["'](\./[^"']+)["']""", module.read_text(), re.MULTILINE)
        assert {module.parent / name for name in imports} <= named, module


async def test_a_changed_file_is_seen_at_once(client: httpx.AsyncClient, tmp_path: Path) -> None:
    """What a browser has is confirmed while it is the same, and never used unasked."""
    first = await client.get("/static/parts/page.js", headers=PACKED)
    assert first.headers["cache-control"] == "no-cache"
    asked = PACKED | {"If-None-Match": first.headers["etag"]}
    assert (await client.get("/static/parts/page.js", headers=asked)).status_code == 304
    (tmp_path / "parts" / "page.js").write_text("export const answer = 43;\n")
    assert (await client.get("/static/parts/page.js", headers=asked)).text == "export const answer = 43;\n"


@pytest.mark.parametrize("start", ["", "0123456789abcdef/"], ids=["as it is", "in a version"])
@pytest.mark.parametrize(
    "way", ["%2e%2e/secret", "..%2fsecret", "parts/%2e%2e/%2e%2e/secret", "%2f{folder}%2fsecret", "link"]
)
async def test_what_lies_beside_the_files(client: httpx.AsyncClient, tmp_path: Path, start: str, way: str) -> None:
    """No address leads out of the folder, whichever way; what is in it is there."""
    secret = tmp_path.parent / "secret"
    secret.write_text("secret")
    (tmp_path / "link").symlink_to(secret)
    found, other = [
        await client.get(f"/static/{start}{name}") for name in ("app.js", way.format(folder=str(tmp_path.parent)[1:]))
    ]
    assert (found.status_code, other.status_code) == (200, 404)

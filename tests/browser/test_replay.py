"""A run as it was at any of its moments: scrubbed, played, and left again for now."""

import re

from playwright.async_api import Page, expect

from tests.browser.conftest import NewPage
from tests.browser.pages import TASK_ID, MadeUpTask, busy_log, event, expect_status, start
from tests.support import Server, client

# Seeks to and fro over a log of 3 500 events, each compared with the fold of exactly the events up to there.
_SEEK = """async (kinds) => {
  const { Playback } = await import("/static/playback.js");
  const { TaskModel } = await import("/static/model.js");
  const events = Array.from({ length: 3500 }, (_, index) => {
    const event = structuredClone(kinds[index % kinds.length]);
    if ("call" in event.payload) event.payload.call = `call ${Math.floor(index / kinds.length)}`;
    return { ...event, event_id: index + 1 };
  });
  const after = async (eventId) => events.slice(eventId, eventId + 300);
  const newModel = () => new TaskModel("made-up").describe({ options: {} });
  const playback = new Playback({ recording: { after }, newModel });
  const plain = (_, value) => (value instanceof Map ? [...value] : value);
  const written = (model) => JSON.stringify({ ...model, asOf: 0 }, plain);
  const wrong = [];
  for (const cursor of [3499, 1204, 1205, 2001, 1000, 17, 3500, 2999]) {
    await playback.seek(cursor);
    const model = newModel();
    for (const event of events.slice(0, cursor)) model.fold(event);
    if (written(playback.model) !== written(model)) wrong.push(cursor);
  }
  return wrong;
}"""


# At events throughout a log: what the server tells of the events up to there, and the fold of those after it, is what
# the fold of all comes to.
_GO_ON = """async (id) => {
  const { Past } = await import("/static/past.js");
  const { TaskModel } = await import("/static/model.js");
  const task = await (await fetch(`/api/tasks/${id}`)).json();
  const { events } = await (await fetch(`/api/tasks/${id}/events?limit=5000`)).json();
  const newModel = () => new TaskModel(id).describe(task);
  const written = ({ agents, traffic, artifacts }) => JSON.stringify([
    [...agents.values()].map(({ role, state, action, file, summary, turns }) =>
      [role, state, action, file, summary, turns]),
    [...traffic.edges.values()].map(({ from, to, count }) => [from, to, count]).sort(),
    [...artifacts.values()].map(({ path, version, size, current }) => [path, version, size, current]).sort(),
  ]);
  const found = [];
  for (let share = 0.1; share <= 1; share += 0.15) {
    const cursor = Math.floor(events.length * share);
    const [whole, end] = [newModel(), Math.min(events.length, cursor + 40)];
    const model = newModel();
    const past = new Past(task, model);
    const told = past.look(cursor);
    for (const event of events.slice(cursor, end)) {
      model.fold(event);
      past.follow([event]);
    }
    await told;
    for (const event of events.slice(0, end)) whole.fold(event);
    if (model.past !== "known") found.push(model.past);
    if (written(model) !== written(whole)) found.push([cursor, written(model), written(whole)]);
  }
  return found;
}"""


async def scrub(page: Page, share: float) -> None:
    """Put the cursor at a share of the run."""
    await page.get_by_label("Moment of the run").evaluate(
        """(range, share) => {
          range.value = String(Math.round(Number(range.max) * share));
          range.dispatchEvent(new Event("input"));
        }""",
        share,
    )


async def test_every_moment_is_what_was_folded_up_to_it(demo_server: Server, new_page: NewPage) -> None:
    """Forth and back, from pictures taken on the way: the model is that of the events up to the cursor."""
    page = await new_page()
    await page.goto(demo_server.url)
    role = "Engineer"
    kinds = [
        event(0, "AGENT_START", role),
        event(0, "ACTION_START", role, action="WriteCode", file="a.py"),
        event(0, "TOKEN", role, call="", delta="pass\n"),
        event(0, "ARTIFACT", role, path="a.py", version=1, size=5),
        event(0, "TOKEN", role, call="", delta="pass\n"),
        event(0, "LLM_CALL", role, call="", model="m", prompt_tokens=3, completion_tokens=2, cost_usd=0.25),
        event(0, "ACTION_COMPLETE", role, action="WriteCode", file="a.py", duration_ms=1),
        event(0, "MESSAGE", role, content="done", cause_by="WriteCode", sent_from=role, send_to=["<all>"]),
        event(0, "INPUT_REQUEST", role, request_id="1", question="?", choices=[]),
        event(0, "INPUT_RESPONSE", request_id="1", answer="yes"),
        event(0, "RESOURCE", cpu_percent=5.0, rss_bytes=1_000),
    ]
    assert await page.evaluate(_SEEK, kinds) == []


async def test_what_a_run_had_cost_before_its_first_call(demo_server: Server, new_page: NewPage) -> None:
    """Nothing, which is not unknown."""
    page = await new_page()
    await MadeUpTask(busy_log(1, 100)).attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    await scrub(page, 0.5)
    await expect(page.locator(".task")).to_have_attribute("data-replaying", "")
    await expect(page.locator("[data-figure=cost] dd")).to_have_text("$0.00")


async def test_a_run_is_replayed(demo_server: Server, new_page: NewPage) -> None:
    """Everything shows the moment of the cursor, what acts on the task is away, and the end of it all is now."""
    page = await new_page()
    await page.goto(demo_server.url)
    await start(page, "A snake game for the terminal")
    await expect_status(page, "SUCCEEDED")
    files = page.locator(".panel", has=page.get_by_role("heading", name="Files")).locator(".file")
    written = await files.count()
    follow_up = page.get_by_label("What the team should change or add")
    await expect(follow_up).to_be_visible()

    await scrub(page, 0.4)
    await expect_status(page, "RUNNING")
    await expect(page.locator(".agent[data-role=Engineer]")).to_have_attribute("data-state", "idle")
    await expect(page.locator(".agent[data-role=ProductManager]")).to_have_attribute("data-state", "done")
    await expect(page.locator(".card[data-role=Engineer]")).to_have_count(0)
    await expect(page.locator(".playhead")).to_be_visible()
    await expect(follow_up).to_be_hidden()
    assert await files.count() < written

    await page.get_by_role("button", name="One event back").click()
    where = page.locator(".replay-where")
    before = int(re.search(r"([\d,]+) of", await where.inner_text())[1])  # type: ignore[index]
    await page.get_by_role("button", name="One event on").click()
    await expect(where).to_contain_text(f"{before + 1} of")

    await page.get_by_label("Speed").select_option("50")
    await page.get_by_role("button", name="Play", exact=True).click()
    await expect_status(page, "SUCCEEDED")
    await expect(page.locator(".task")).not_to_have_attribute("data-replaying", "")
    await expect(files).to_have_count(written)
    await expect(follow_up).to_be_visible()

    await scrub(page, 0.1)
    await expect_status(page, "RUNNING")
    await page.get_by_role("button", name="The end").click()
    await expect_status(page, "SUCCEEDED")


async def test_a_moment_that_cannot_be_loaded_says_why(demo_server: Server, new_page: NewPage) -> None:
    """The words stay while the run goes on, until another moment is wanted."""
    task = MadeUpTask(busy_log(1, 20))
    page = await new_page(cuts=True)
    await task.attach(page)
    await page.route("**/events?*", lambda route: route.abort())
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    await page.get_by_role("button", name="Play").click()
    where = page.locator(".replay-where")
    await expect(where).to_contain_text("The server cannot be reached.")
    task.push(*busy_log(21, 30))
    await expect(page.locator("[data-figure=events] dd")).to_have_text("30")
    await expect(where).to_contain_text("The server cannot be reached.")
    await page.keyboard.press("l")
    await expect(where).to_have_text("30 of 30 events")


async def test_what_is_not_read_is_told_by_the_server(demo_server: Server, new_page: NewPage) -> None:
    """Anywhere in a run of two attempts, what the server tells and the events from there on come to what all events
    come to: the team, its messages, its files.
    """
    async with client(demo_server) as api:
        task_id = await api.started("A snake game", options={"review": ["Architect"]})
        await api.until_event(task_id, "INPUT_REQUEST")
        await api.stop(task_id)
        await api.run(task_id)
        asked = await api.until_status(task_id, "WAITING")
        answer = {"request_id": asked["waiting"]["request_id"], "answer": "approve"}
        await api.http.post(f"/api/tasks/{task_id}/input", json=answer)
        await api.until_succeeded(task_id)
    page = await new_page()
    await page.goto(demo_server.url)
    assert await page.evaluate(_GO_ON, task_id) == []


async def test_a_run_goes_on_after_retention(demo_server: Server, new_page: NewPage) -> None:
    """Where the first attempt's events were deleted, the second is replayed from its first event to its last, with the
    files that there were before it; what was used before is not counted, and it says so.
    """
    task = MadeUpTask(
        [
            event(41, "STATUS", status="QUEUED", attempt=2),
            event(42, "STATUS", status="RUNNING", attempt=2),
            event(43, "ACTION_START", "Engineer", action="WriteCode", file="a.py"),
            event(44, "ARTIFACT", "Engineer", path="a.py", version=1, size=5, sha256=""),
            event(45, "STATUS", status="CANCELLED", attempt=2),
        ],
        head=45,
        status="CANCELLED",
        attempt=2,
    )
    task.expired = 40
    task.files = [{"path": "before.py", "version": 1, "size": 12, "current": False, "versions": []}]
    page = await new_page()
    await task.attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    await expect(page.locator("button.file")).to_have_count(2)
    await expect(page.locator(".feed")).to_contain_text("Events 1 to 40 were deleted by retention.")
    await expect(page.locator(".lanes")).to_contain_text("The events of earlier time were deleted by retention.")
    await scrub(page, 0)
    await expect(page.locator(".replay-where")).to_contain_text("41 of")
    await expect_status(page, "QUEUED")
    await expect(page.locator("button.file")).to_have_text([re.compile("before.py")])
    await expect(page.locator(".charts")).to_contain_text("Without what was used before")
    await expect(page.locator(".figures")).to_contain_text("Tokens≥ 0")
    await page.get_by_role("button", name="Play", exact=True).click()
    await expect(page.locator(".task")).not_to_have_attribute("data-replaying", "")
    await expect_status(page, "CANCELLED")

"""What each role did when: bars, marks and waits over time, by mouse and keyboard, tied to the feed and the address."""

import re

from playwright.async_api import expect

from tests.browser.conftest import NewPage
from tests.browser.pages import TASK_ID, Json, MadeUpTask, event, expect_status, start
from tests.support import Server

ROLES = ("ProductManager", "Architect", "ProjectManager", "Engineer")
DAY_S = 86_400
LONG = 4_500
ITEMS_MAX = 1_500

# Of a run that the engineer is asked about for a day: the lanes' own fold and scale, without a page to draw them.
_FOLD = """async (events) => {
  const { Timeline } = await import("/static/timeline.js");
  const { Timescale } = await import("/static/timescale.js");
  const timeline = new Timeline();
  for (const role of ["ProductManager", "Engineer"]) timeline.lane(role);
  for (const event of events) timeline.fold(event);
  const { start, end } = timeline;
  const scale = new Timescale({ start, end, pauses: timeline.pauses(), width: 1000 });
  const engineer = timeline.lane("Engineer");
  return {
    waits: engineer.waits.map(({ waitsFor, from, to }) => [waitsFor, (from - start) / 1000, (to - start) / 1000]),
    actions: engineer.actions.map(({ action, state, tokens }) => [action, state, tokens]),
    pauseWidth: scale.x(engineer.waits[1].to) - scale.x(engineer.waits[1].from),
    backAgain: scale.time(scale.x(end - 1000)) - (end - 1000),
    isCrowded: scale.ticks(84).some(({ x }) => scale.breaks.some((pause) => Math.abs(pause.x - x) < 84)),
    eventAtEnd: timeline.eventAt(end),
  };
}"""

# Of a run of which these events are known: who waited for whom, from when to when.
_WAITS = """async (events) => {
  const { Timeline } = await import("/static/timeline.js");
  const timeline = new Timeline();
  for (const role of ["ProductManager", "Architect", "Engineer"]) timeline.lane(role);
  for (const event of events) timeline.fold(event);
  const second = (time) => time && (time - timeline.start) / 1000;
  return [...timeline.lanes.values()].flatMap((lane) =>
    [...lane.waits, ...timeline.openWait(lane)].map(({ role, waitsFor, from, to }) =>
      [role, waitsFor, second(from), second(to)]));
}"""


def at(seconds: float, made: Json) -> Json:
    minutes, rest = divmod(seconds, 60)
    day, minutes = divmod(int(minutes), 1440)
    made["timestamp"] = f"2026-01-{1 + day:02}T{minutes // 60:02}:{minutes % 60:02}:{rest:09.6f}Z"
    return made


def told(number: int, sender: str, to: str) -> Json:
    return event(number, "MESSAGE", sender, content="x", cause_by="", sent_from=sender, send_to=[to])


async def test_a_wait_is_for_whom_it_ended_with(demo_server: Server, new_page: NewPage) -> None:
    """A role waited, since the team was there, for the sender of what it then began with, or for a person; a day of
    that is drawn short, with no time beside its length.
    """
    page = await new_page()
    await page.goto(demo_server.url)
    folded = await page.evaluate(
        _FOLD,
        [
            at(0, event(1, "STATUS", status="RUNNING", attempt=1)),
            at(4, event(2, "AGENT_START", "ProductManager")),
            at(9, told(3, "ProductManager", "<all>")),
            at(10, event(4, "AGENT_START", "Engineer")),
            at(10, event(5, "ACTION_START", "Engineer", action="WriteCode", file="a.py")),
            at(11, event(6, "INPUT_REQUEST", "Engineer", request_id="1", question="?")),
            at(11, event(7, "STATUS", status="WAITING", attempt=1)),
            at(DAY_S, event(8, "INPUT_RESPONSE", request_id="1", answer="yes")),
            at(DAY_S, event(9, "STATUS", status="RUNNING", attempt=1)),
            at(DAY_S + 1, event(10, "LLM_CALL", "Engineer", call="1", prompt_tokens=5, completion_tokens=2)),
            at(DAY_S + 2, event(11, "ACTION_COMPLETE", "Engineer", action="WriteCode", file="a.py", failed=False)),
            at(DAY_S + 3, event(12, "ACTION_START", "Engineer", action="WriteCode", file="b.py")),
            at(DAY_S + 5, event(13, "ACTION_START", "Engineer", action="WriteTest", file="b.py")),
            at(DAY_S + 7, event(14, "ACTION_COMPLETE", "Engineer", action="WriteTest", failed=True, cancelled=True)),
            at(DAY_S + 9, event(15, "STATUS", status="CANCELLED", attempt=1)),
        ],
    )
    assert folded["waits"] == [["ProductManager", 4, 10], ["Human", 11, DAY_S]]
    assert not folded["isCrowded"]
    assert folded["actions"] == [
        ["WriteCode", "done", 7],
        ["WriteCode", "interrupted", 0],
        ["WriteTest", "interrupted", 0],
    ]
    assert 20 < folded["pauseWidth"] < 60
    assert abs(folded["backAgain"]) < 1
    assert folded["eventAtEnd"] == 15


async def test_who_has_not_begun_waits_for_who_is_at_work(demo_server: Server, new_page: NewPage) -> None:
    """Who has not had a turn waits for the one who is at work, or asks a person, also in a run that ends before it is
    done; who has had one waits for nobody, but for the person who is asked. Nobody waits for themselves.
    """
    events = [
        at(0, event(1, "STATUS", status="RUNNING", attempt=1)),
        at(1, event(2, "AGENT_START", "ProductManager")),
        at(3, event(3, "AGENT_COMPLETE", "ProductManager")),
        at(3, event(4, "INPUT_REQUEST", "ProductManager", request_id="1", question="?")),
        at(3, event(5, "STATUS", status="WAITING", attempt=1)),
        at(9, event(6, "INPUT_RESPONSE", request_id="1", answer="yes")),
        at(9, told(7, "ProductManager", "<all>")),
        at(9, event(8, "AGENT_START", "Architect")),
        at(10, event(9, "AGENT_COMPLETE", "Architect")),
        at(10, told(10, "Architect", "Architect")),
        at(11, event(11, "AGENT_START", "Architect")),
        at(12, event(12, "STATUS", status="FAILED", attempt=1)),
    ]
    page = await new_page()
    await page.goto(demo_server.url)
    asked = ["ProductManager", "Human", 3]
    assert await page.evaluate(_WAITS, events[:5]) == [
        [*asked, None],
        ["Architect", "ProductManager", 1, None],
        ["Engineer", "ProductManager", 1, None],
    ]
    assert await page.evaluate(_WAITS, events) == [
        [*asked, 9],
        ["Architect", "ProductManager", 1, 9],
        ["Architect", None, 10, 11],
        ["Engineer", "Architect", 1, 12],
    ]


async def test_a_log_without_its_beginning_is_of_a_team_at_work(demo_server: Server, new_page: NewPage) -> None:
    """Where the first events are not read, the team was at work, and what it began then goes on after an answer."""
    page = await new_page()
    await page.goto(demo_server.url)
    events = [
        at(1, event(51, "ACTION_START", "Engineer", action="WriteCode", file="a.py")),
        at(2, event(52, "INPUT_REQUEST", "Engineer", request_id="1", question="?")),
        at(2, event(53, "STATUS", status="WAITING", attempt=3)),
        at(3, event(54, "INPUT_RESPONSE", request_id="1", answer="yes")),
        at(3, event(55, "STATUS", status="RUNNING", attempt=3)),
        at(4, event(56, "ACTION_COMPLETE", "Engineer", action="WriteCode", file="a.py")),
    ]
    found = await page.evaluate(
        """async (events) => {
          const { Timeline } = await import("/static/timeline.js");
          const timeline = new Timeline();
          for (const event of events) timeline.fold(event);
          return [timeline.task.bands.map(({ status }) => status), timeline.lane("Engineer").actions[0].state];
        }""",
        events,
    )
    assert found == [["RUNNING", "WAITING", "RUNNING"], "done"]


async def test_ends_between_attempts_and_half_seconds_can_be_read(demo_server: Server, new_page: NewPage) -> None:
    """The name of the status in which an attempt ended stands out from its bar, and two ticks in a second differ."""
    page = await new_page()
    task = MadeUpTask(
        [
            at(0, event(1, "STATUS", status="QUEUED", attempt=1)),
            at(0, event(2, "STATUS", status="RUNNING", attempt=1)),
            at(1, event(3, "STATUS", status="CANCELLED", attempt=1)),
            at(500, event(4, "STATUS", status="QUEUED", attempt=2)),
            at(500, event(5, "STATUS", status="RUNNING", attempt=2)),
            at(502, event(6, "STATUS", status="SUCCEEDED", attempt=2)),
        ],
        status="SUCCEEDED",
        attempt=2,
    )
    await task.attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    ended = page.locator(".item.status[data-status=CANCELLED]")
    await expect(ended).to_be_attached()
    color, background = await ended.evaluate(
        "(node) => [getComputedStyle(node).color, getComputedStyle(node).backgroundColor]"
    )
    assert color != background
    ticks = await page.locator(".tick:not(.pause)").all_text_contents()
    assert len(ticks) == len(set(ticks)) and any(re.fullmatch(r"8:2\d\.\d+", tick) for tick in ticks)


async def test_a_run_is_seen_in_lanes(demo_server: Server, new_page: NewPage) -> None:
    """A chosen bar marks its card and gives its address, by mouse and by keyboard; the address marks it again."""
    page = await new_page()
    await page.goto(demo_server.url)
    task_id = await start(page, "A snake game for the terminal")
    await expect_status(page, "SUCCEEDED")
    for role in ROLES:
        await expect(page.locator(f".lane[data-role={role}] .action").first).to_be_attached()
    await expect(page.locator(".lane[data-role=Engineer] .wait").first).to_have_text("waits for Project manager")
    bar = page.locator(".lane[data-role=Architect] .action").first
    await bar.hover()
    await expect(page.locator(".tip")).to_contain_text("Architect: WriteDesign")
    await bar.click()
    card = page.locator(".card[aria-current]")
    await expect(card).to_have_attribute("data-role", "Architect")
    await expect(card).to_be_in_viewport()
    chosen = await bar.get_attribute("data-key")
    assert page.url.endswith(f"#/tasks/{task_id}/events/{chosen}")

    await page.reload()
    await expect(bar).to_have_attribute("aria-current", "true")
    await expect(card).to_have_attribute("data-role", "Architect")
    await expect(card).to_be_in_viewport()

    await bar.focus()
    await page.keyboard.press("ArrowUp")
    await expect(page.locator(".tip")).to_contain_text("product manager tells")
    await page.keyboard.press("End")
    await page.keyboard.press("Enter")
    await expect(card).to_have_attribute("data-role", "ProductManager")
    await expect(card).to_have_class(re.compile("message"))
    assert await page.locator(".lanes .item[tabindex='0']").count() == 1


async def test_lanes_of_thousands_are_bounded(demo_server: Server, new_page: NewPage) -> None:
    """Bars too small to be told apart are one, that says how many it stands for; zooming in tells them apart."""
    kinds = ("ACTION_START", "ACTION_COMPLETE", "ERROR")
    events = [
        at(number, event(number, kinds[number % 3], "Engineer", action="WriteCode", file=None, message="no"))
        for number in range(1, LONG + 1)
    ]
    page = await new_page()
    await MadeUpTask(events, status="SUCCEEDED").attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    joined = page.locator(".lane[data-role=Engineer] .action[data-state=many]")
    await expect(joined.first).to_have_attribute("aria-label", re.compile(r"[\d,]+ actions"))
    assert await page.locator(".lanes .item").count() < ITEMS_MAX
    for _ in range(10):
        await page.get_by_role("button", name="Zoom in", exact=True).click()
    await expect(page.locator(".lane[data-role=Engineer] .action[data-state=done]").first).to_be_attached()
    await expect(joined).to_have_count(0)
    assert await page.locator(".lanes .item").count() < ITEMS_MAX


async def test_time_without_its_beginning_is_that_of_the_day(demo_server: Server, new_page: NewPage) -> None:
    """Where the first events were deleted nobody knows when the run began, so that no time is counted from there."""
    kinds = ("ACTION_START", "ACTION_COMPLETE")
    kept = range(11, 31)
    log = [at(30 + number, event(number, kinds[number % 2], "Engineer", action="WriteCode")) for number in kept]
    task = MadeUpTask(log, status="SUCCEEDED", head=30)
    task.expired = 10
    page = await new_page()
    await task.attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    await expect(page.locator(".lanes .count")).to_have_text("last 0:19")
    ticks = await page.locator(".tick").all_text_contents()
    assert ticks and all(re.fullmatch(r"\d\d:\d\d:\d\d", tick) for tick in ticks)


async def test_the_wheel_zooms_about_the_pointer(demo_server: Server, new_page: NewPage) -> None:
    """What the pointer is at stays there while the wheel zooms: much when it turns much, and little with a pinch."""
    log = [
        at(0, event(1, "STATUS", status="RUNNING", attempt=1)),
        at(30, event(2, "ACTION_START", "Engineer", action="WriteCode", file="a.py")),
        at(40, event(3, "ACTION_COMPLETE", "Engineer", action="WriteCode", file="a.py")),
        at(100, event(4, "STATUS", status="SUCCEEDED", attempt=1)),
    ]
    page = await new_page()
    await MadeUpTask(log, status="SUCCEEDED").attach(page)
    await page.goto(f"{demo_server.url}/tasks/{TASK_ID}")
    bar = page.locator(".action")
    await expect(page.locator(".task")).to_have_attribute("aria-busy", "false")
    await bar.hover(position={"x": 1, "y": 4})  # once it stands still
    before = await bar.bounding_box()
    assert before
    await page.keyboard.down("Control")
    for turn, factor in ((-10, 2**0.1), (-90, 2)):
        await page.mouse.wheel(0, turn)
        await page.wait_for_function(
            "(width) => Math.abs(document.querySelector('.action').offsetWidth - width) < 2",
            arg=before["width"] * factor,
        )
        zoomed = await bar.bounding_box()
        assert zoomed and abs(zoomed["x"] - before["x"]) < 3

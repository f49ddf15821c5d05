import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.base import Filter
from runner.events import EventType
from server import protocol
from server.protocol import BadFrame, CloseCode, Input, Message, Subscribe
from server.schemas import CONTENT_LIMIT
from server.settings import FRAME_LIMIT

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)
almost_frames = st.dictionaries(
    st.sampled_from(["op", "task_id", "since_event_id", "types", "agent_role", "token", "x", "answer"]),
    st.sampled_from(["subscribe", "unsubscribe", "auth", "ping", "input", "message", "STATUS"]) | json_values,
)


@given(st.text() | (json_values | almost_frames).map(json.dumps))
def test_any_text(frame: str) -> None:
    """Whatever text comes, decoding it gives a frame, or raises BadFrame and nothing else."""
    with contextlib.suppress(BadFrame):
        assert isinstance(protocol.decode(frame), protocol.ClientFrame)


@given(st.text(alphabet=st.characters(categories=["Cs", "L"])))
def test_half_characters(text: str) -> None:
    """Halves of surrogate pairs raise BadFrame too."""
    with contextlib.suppress(BadFrame):
        protocol.decode(f'{{"op":"unsubscribe","task_id":"{text}"}}')


@pytest.mark.parametrize(
    "frame", ["[" * 60_000, '{"a":' * 10_000, '{"op":"ping","x":' + "[" * 60_000, '{"x":' + "[" * 60_000]
)
def test_deep_nesting(frame: str) -> None:
    """A frame that is nested to exhaust the stack raises BadFrame."""
    with pytest.raises(BadFrame):
        protocol.decode(frame)


@pytest.mark.parametrize("frame", ["", "{", "nonsense", '{"op":"ping"}x', "\x00"])
def test_what_is_not_json(frame: str) -> None:
    """What is not JSON is fatal."""
    with pytest.raises(BadFrame) as refusal:
        protocol.decode(frame)
    assert refusal.value.fatal


@pytest.mark.parametrize("frame", ["[]", "null", "{}", '{"op":"fly"}', '{"op":"ping","x":1}', '{"op":"subscribe"}'])
def test_what_is_no_known_frame(frame: str) -> None:
    """JSON that is no known frame is not fatal, and the message names the ops."""
    with pytest.raises(BadFrame) as refusal:
        protocol.decode(frame)
    assert not refusal.value.fatal
    assert "subscribe_tasks" in str(refusal.value)


def test_a_subscription() -> None:
    """A subscribe frame is what it says, with a filter from its types and role."""
    frame = protocol.decode(
        '{"op":"subscribe","task_id":"t","since_event_id":7,"types":["LOG"],"agent_role":"Engineer"}'
    )
    assert isinstance(frame, Subscribe)
    assert (frame.task_id, frame.since_event_id) == ("t", 7)
    assert frame.filter == Filter(frozenset({EventType.LOG}), "Engineer")


def test_defaults_of_a_subscription() -> None:
    """Without a cursor it begins at the beginning, without a filter it lets everything pass."""
    frame = protocol.decode('{"op":"subscribe","task_id":"t"}')
    assert frame == Subscribe(task_id="t")
    assert frame.since_event_id == 0 and frame.filter == Filter()


def test_an_answer() -> None:
    """An input frame is what it says."""
    frame = protocol.decode('{"op":"input","task_id":"t","request_id":"r","answer":"approve"}')
    assert frame == Input(task_id="t", request_id="r", answer="approve")


def test_a_message() -> None:
    """A message frame is what it says, and for all where it names nobody."""
    assert protocol.decode('{"op":"message","task_id":"t","content":"hi"}') == Message(task_id="t", content="hi")
    named = protocol.decode('{"op":"message","task_id":"t","content":"hi","send_to":"Engineer"}')
    assert named == Message(task_id="t", content="hi", send_to="Engineer")


def test_the_longest_message_fits_a_frame() -> None:
    """However its characters are escaped, content of the longest length is no longer than a frame may be."""
    frame = json.dumps({"op": "message", "task_id": "t" * 200, "content": "😀" * CONTENT_LIMIT})
    assert len(frame) < FRAME_LIMIT
    assert isinstance(protocol.decode(frame), Message)


def test_the_close_codes() -> None:
    """The numbers are a contract."""
    assert {code.name: code.value for code in CloseCode} == {
        "NORMAL": 1000,
        "RESTARTING": 1012,
        "TRY_AGAIN_LATER": 1013,
        "BAD_FRAME": 4400,
        "NOT_AUTHENTICATED": 4401,
        "ORIGIN_REFUSED": 4403,
        "NO_SUCH_TASK": 4404,
        "TIMED_OUT": 4408,
        "FRAME_TOO_LARGE": 4413,
    }

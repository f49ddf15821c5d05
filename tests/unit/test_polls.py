"""What a poll is answered, by its page."""

import pytest

from runner.base import Gap, Page
from runner.states import Status
from server.polls import etag
from server.topic import Position

PAGE = Page(b"{}", 1, cursor=9, head=9)
POSITION = Position(Status.SUCCEEDED, 9)


@pytest.mark.parametrize(
    ("page", "position"),
    [
        (Page(b"{}", 1, cursor=9, head=10), POSITION),
        (Page(b"{}", 1, cursor=8, head=9), POSITION),
        (Page(b"", 0, cursor=9, head=9), POSITION),
        (Page(b"{}", 1, cursor=9, head=9, gap=Gap(1, 8, "retention")), POSITION),
        (PAGE, Position(Status.CANCELLED, 9)),
    ],
    ids=["more was appended", "less fits", "fewer events pass", "the first have expired", "another status"],
)
def test_the_tag_of_another_page(page: Page, position: Position) -> None:
    """Pages that differ have different entity tags."""
    assert etag("epoch", page, position) != etag("epoch", PAGE, POSITION)

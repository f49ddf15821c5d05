"""How hard the property-based tests of the stream try, and limits so tiny that a few dozen events cross every seam.

EXACTNESS_EXAMPLES=1000 tries so many schedules, and others each time.
"""

import contextlib
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings

EXAMPLES = int(os.environ.get("EXACTNESS_EXAMPLES", "0"))
exhaustively = settings(
    max_examples=EXAMPLES or 30,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    phases=[Phase.explicit, Phase.generate],  # what depends on threads does not shrink
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@contextlib.contextmanager
def tiny_limits() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "server.topic.RING_BYTES": 4000,
            "server.topic.STEP": 1,
            "server.feed.STEP": 1,
            "server.pump.TURN_WEIGHT": 1,
            "server.topic.FRAME_EVENTS": 4,
            "server.hub.FRAME_EVENTS": 4,
            "server.stream.FRAME_BYTES": 1000,
            "server.subscription.PIECE_BYTES": 300,
            "server.topic.QUIET_EVENTS": 5,
            "server.subscription.QUIET_EVENTS": 5,
            "server.hub.PAGE_CACHE_BYTES": 4000,
            "runner.log.BATCH_EVENTS": 3,
            "runner.log.DIGEST_STEP": 7,
            "runner.log.EXPIRED_AT_ONCE": 5,
            "runner.log.SCANNED_AT_ONCE": 2,
            "runner.log.LOOKED_UP_AT_ONCE": 3,
            "server.pages.PAGE_SCANS": 2,
        }.items():
            patch.setattr(name, value)
        yield

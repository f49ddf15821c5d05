"""The clocks of an attempt."""

import asyncio
import time

import pytest

from runner.clocks import SilenceClock, WorkClock


async def test_work_has_a_limit() -> None:
    """The block is ended by `TimeoutError` once its time is over."""
    with pytest.raises(TimeoutError):
        async with WorkClock(0.01, used=0.0):
            await asyncio.Event().wait()


async def test_work_without_a_limit() -> None:
    """Without a limit, pausing and resuming change nothing."""
    async with WorkClock(None, used=0.0) as clock:
        clock.pause()
        clock.resume()


async def test_a_pause_takes_no_time() -> None:
    """What is left of the time is the same after a pause; a second `pause` or `resume` changes nothing."""
    async with WorkClock(0.05, used=0.0) as clock:
        clock.pause()
        clock.pause()
        await asyncio.sleep(0.1)
        clock.resume()
        clock.resume()
    with pytest.raises(TimeoutError):
        async with WorkClock(0.05, used=0.0) as clock:
            clock.pause()
            clock.resume()
            await asyncio.Event().wait()


async def test_work_that_goes_on() -> None:
    """What was used before counts, and what is used here is told; a pause is not."""
    with pytest.raises(TimeoutError):
        async with WorkClock(100.0, used=100.0):
            await asyncio.Event().wait()
    clock = WorkClock(None, used=5.0)
    async with clock:
        await asyncio.sleep(0.01)
        clock.pause()
        used = clock.used
        assert 5.01 <= used
        await asyncio.sleep(0.01)
        assert clock.used == used
        clock.resume()
        await asyncio.sleep(0.01)
    assert clock.used >= used + 0.01
    assert clock.used == clock.used


async def test_whose_timeout_it_is() -> None:
    """A timeout within the block is not taken for the end of the time to work."""
    for clock in (WorkClock(100.0, used=0.0), WorkClock(None, used=0.0)):
        with pytest.raises(TimeoutError):
            async with clock:
                raise TimeoutError
        assert not clock.ran_out
    clock = WorkClock(0.01, used=0.0)
    with pytest.raises(TimeoutError):
        async with clock:
            await asyncio.Event().wait()
    assert clock.ran_out


async def test_a_silence() -> None:
    """A silence lasts until something is heard, and then begins anew."""
    clock = SilenceClock(0.2)
    ran_out = asyncio.create_task(clock.ran_out())
    for _ in range(20):
        clock.begin()
        await asyncio.sleep(0.02)
        clock.end()
    assert not ran_out.done()
    clock.begin()
    await ran_out


async def test_nobody_listens() -> None:
    """While we do not listen, because something else is to be done first, nobody is silent."""
    clock = SilenceClock(0.05)
    ran_out = asyncio.create_task(clock.ran_out())
    clock.begin()
    clock.end()
    await asyncio.sleep(0.2)
    assert not ran_out.done()
    clock.begin()
    await ran_out


async def test_a_server_that_stood_still() -> None:
    """Time in which our own loop did not turn is nobody's silence."""
    clock = SilenceClock(0.05)
    clock.begin()
    ran_out = asyncio.create_task(clock.ran_out())
    await asyncio.sleep(0)
    time.sleep(0.2)  # noqa: ASYNC251, the loop stands still on purpose
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not ran_out.done()
    await ran_out

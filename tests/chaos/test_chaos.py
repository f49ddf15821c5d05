"""Everything at once, at random: kills, stops, answers, messages, cuts and restarts, over concurrent tasks."""

import os
import secrets
from pathlib import Path

from tests.chaos.chaos import Chaos

SECONDS = float(os.environ.get("CHAOS_SECONDS", "20"))
SEED = int(os.environ.get("CHAOS_SEED") or secrets.randbelow(2**32))


async def test_chaos(tmp_path: Path) -> None:
    """Whatever dies, and whenever: what was shown or acknowledged is kept, and the log keeps every promise."""
    print(f"CHAOS_SEED={SEED} CHAOS_SECONDS={SECONDS:g}", flush=True)
    chaos = Chaos(tmp_path / "data", SEED)
    people = await chaos.rage(SECONDS)
    people.prove(chaos.database)
    print(f"acts: {dict(people.acts)}; kills: {dict(chaos.kills)}; told: {dict(chaos.story())}")
    assert chaos.kills and people.acts

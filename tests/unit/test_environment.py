"""Which variables are handed on."""

from pathlib import Path

import pytest

from runner import environment

SECRETS = ("METAGPT_LIVE_LLM_API_KEY", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "GIT_DIR", "SSH_AUTH_SOCK")


def test_only_what_is_known_is_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs get no variable that may hold a key; their programs neither the proxy, whose URL may hold a password."""
    for name in (*SECRETS, "HTTPS_PROXY"):
        monkeypatch.setenv(name, "s3cret")
    runs, programs = environment.for_runs(), environment.for_programs(tmp_path)
    assert not set(SECRETS) & {*runs, *programs}
    assert ("HTTPS_PROXY" in runs, "HTTPS_PROXY" in programs) == (True, False)
    assert runs["PATH"] == programs["PATH"]

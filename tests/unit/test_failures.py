"""How a failure is told."""

import pytest

from runner.metagpt.failures import RoleFailed, error_payload
from runner.redact import Redactor

SECRET = "correct-horse-battery"


@pytest.mark.parametrize("length", range(len(SECRET)))
def test_a_secret_where_a_traceback_is_cut(length: int) -> None:
    """Of a text that is longer than what is kept of it, no part of a secret is kept, wherever the cuts fall."""
    error = RoleFailed("Engineer", None, None, ValueError("x" * length + SECRET * 200))
    told = error_payload(error, Redactor([SECRET]), fatal=True)
    assert (told["error_type"], len(told["traceback"])) == ("ValueError", 2000)
    assert not [word for word in ("correct", "horse", "battery") if word in told["traceback"] + told["message"]]

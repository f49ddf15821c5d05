"""What counts as a secret."""

import pytest

from runner.redact import SECRET_FIELDS, Redactor

SECRET = "correct-horse"


@pytest.mark.parametrize("field", SECRET_FIELDS)
def test_secrets_of_the_configuration(field: str) -> None:
    """Every field of a model's configuration that holds one is looked at."""
    assert Redactor.of_config({field: SECRET}).text(f"it is {SECRET}.") == "it is [redacted]."


NAMES = ("HTTPS_PROXY", "all_proxy", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_PROXY")


@pytest.mark.parametrize("name", NAMES)
def test_passwords_in_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords in the addresses of proxies, and of where pip finds its packages, are secrets."""
    monkeypatch.setenv(name, f"http://me:{SECRET}@example.org/")
    assert Redactor.of_config(None).text(f"it is {SECRET}.") == "it is [redacted]."


@pytest.mark.parametrize(
    "address",
    [
        f"http://me:{SECRET}@example.org/v1",
        f"http://{SECRET}@example.org/v1",
        f"http://me:another@example.org/ http://me:{SECRET}@example.org/",
        "http://me:correct%2Dhorse@example.org/",
    ],
)
@pytest.mark.parametrize("field", ["base_url", "proxy"])
def test_passwords_in_addresses(field: str, address: str) -> None:
    """A password is one wherever it stands in addresses, and however; a token that stands for one is one, too."""
    assert Redactor.of_config({field: address}).text(f"it is {SECRET}.") == "it is [redacted]."

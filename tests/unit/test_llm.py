from pathlib import Path
from typing import Any

import pytest

from server.llm import LlmSettingsError, choose
from server.settings import Settings, masked

KEY = "sk-0123456789abcdef"


def _settings(**fields: Any) -> Settings:
    given: dict[str, Any] = dict.fromkeys(Settings.__struct_fields__) | {"data": Path("data"), "demo_pace": 0.5}
    return Settings(**given | fields)


def _config(home: Path, text: str) -> None:
    (home / ".metagpt").mkdir()
    (home / ".metagpt" / "config2.yaml").write_text(text)


FILLED_IN = f"llm:\n  api_type: openai\n  model: from-file\n  api_key: {KEY}\n  base_url: http://file/v1\n"


def test_nothing_configured(tmp_path: Path) -> None:
    """Without any settings it is the demo model, at the pace that was set, and the words say so."""
    choice = choose(_settings(), tmp_path)
    assert choice.llm.demo and choice.llm.demo_pace == 0.5
    assert "demo model" in choice.source and "METAGPT_LIVE_LLM_MODEL" in choice.source


def test_our_own_settings(tmp_path: Path) -> None:
    """Our own settings win over MetaGPT's file."""
    _config(tmp_path, FILLED_IN)
    choice = choose(_settings(llm_model="gpt-4o", llm_api_key=KEY, llm_base_url="http://ours/v1"), tmp_path)
    assert choice.llm.config == {
        "api_type": "openai", "base_url": "http://ours/v1", "api_key": KEY, "model": "gpt-4o",
    }  # fmt: skip


def test_metagpts_file(tmp_path: Path) -> None:
    """Without settings of ours, the file counts, with all that stands in it; the words name it."""
    _config(tmp_path, FILLED_IN + "  temperature: 0.1\n")
    choice = choose(_settings(), tmp_path)
    assert choice.llm.config is not None
    assert (choice.llm.model, choice.llm.config["temperature"]) == ("from-file", 0.1)
    assert "config2.yaml" in choice.source


def test_the_demo_model_on_request(tmp_path: Path) -> None:
    """`demo` as the model is the demo model, whatever else is configured."""
    _config(tmp_path, FILLED_IN)
    assert choose(_settings(llm_model="demo", llm_api_key=KEY), tmp_path).llm.demo


@pytest.mark.parametrize(
    "text", ["", "llm:\n", "llm: []\n", "llm:\n  api_key: YOUR_API_KEY\n", "search:\n  x: 1\n", "- a\n", "text\n"]
)
def test_a_file_that_was_never_filled_in(tmp_path: Path, text: str) -> None:
    """What `metagpt --init-config` leaves is no configuration."""
    _config(tmp_path, text)
    assert choose(_settings(), tmp_path).llm.demo


@pytest.mark.parametrize("text", ["llm: {\n", "llm:\n\tx: 1\n", "\x00"])
def test_a_file_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    """A broken file is an error that names it, not a silent demo run."""
    _config(tmp_path, text)
    with pytest.raises(LlmSettingsError, match=r"config2\.yaml"):
        choose(_settings(), tmp_path)


def test_a_file_without_a_model(tmp_path: Path) -> None:
    """A file with a key but no model is an error that says what is missing."""
    _config(tmp_path, f"llm:\n  api_key: {KEY}\n")
    with pytest.raises(LlmSettingsError, match="model"):
        choose(_settings(), tmp_path)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"llm_api_key": KEY}, "METAGPT_LIVE_LLM_MODEL"),
        ({"llm_base_url": "http://x/v1"}, "METAGPT_LIVE_LLM_MODEL"),
        ({"llm_model": "m"}, "METAGPT_LIVE_LLM_API_KEY"),
        ({"llm_model": "m", "llm_base_url": "localhost:11434"}, "METAGPT_LIVE_LLM_BASE_URL"),
    ],
)
def test_half_of_the_settings(tmp_path: Path, fields: dict[str, str], named: str) -> None:
    """What is missing or wrong is named in one line, without the key."""
    with pytest.raises(LlmSettingsError, match=named) as refusal:
        choose(_settings(**fields), tmp_path)
    assert "\n" not in str(refusal.value) and KEY not in str(refusal.value)


def test_a_local_endpoint_needs_no_key(tmp_path: Path) -> None:
    """With an address of its own, a key is not asked for."""
    choice = choose(_settings(llm_model="m", llm_base_url="http://localhost:11434/v1"), tmp_path)
    assert choice.llm.config is not None and choice.llm.config["api_key"]


def test_no_key_in_what_is_shown(tmp_path: Path) -> None:
    """Neither the words nor the representations hold the key, also where it stands in the address."""
    settings = _settings(llm_model="m", llm_api_key=KEY, llm_base_url=f"https://me:{KEY}@host/v1")
    choice = choose(settings, tmp_path)
    assert KEY not in f"{choice.source} {choice!r} {choice.llm!r} {settings!r}"
    assert "host/v1" in choice.source


@pytest.mark.parametrize("value", ["x", "secret", "12345678901", "sk-0123456789abcdef", "é" * 100])
def test_masking(value: str) -> None:
    """A masked secret shows at most five characters, and none of a short one."""
    shown = masked(value).replace("…", "")
    assert len(shown) <= (5 if len(value) >= 12 else 0)
    assert masked(value) != value

from pathlib import Path

import pytest

from server.llm import LlmSettingsError, choose
from server.settings import Settings


def _settings() -> Settings:
    given = dict.fromkeys(Settings.__struct_fields__) | {"data": Path("data"), "demo_pace": 0}
    return Settings(**given)  # type: ignore[arg-type]


def _config(home: Path, text: str) -> None:
    (home / ".metagpt").mkdir()
    (home / ".metagpt" / "config2.yaml").write_text(text)


def test_an_endpoint_without_a_key(tmp_path: Path) -> None:
    """A file for an endpoint that needs no key, such as Ollama's, is used, with a key that MetaGPT accepts."""
    _config(tmp_path, "llm:\n  api_type: ollama\n  model: llama3\n  base_url: http://localhost:11434/api\n")
    choice = choose(_settings(), tmp_path)
    assert choice.llm.config is not None and choice.llm.config["api_key"]
    assert choice.llm.config["base_url"] == "http://localhost:11434/api"
    assert "llama3" in choice.source


@pytest.mark.parametrize(("text", "line"), [("llm:\n  model: [a\nb: c\n", 3), ("llm:\n  model: x\n\tapi_key: y\n", 3)])
def test_broken_yaml(tmp_path: Path, text: str, line: int) -> None:
    """A file that is no YAML is told in one line, with the number of the line that breaks it."""
    _config(tmp_path, text)
    with pytest.raises(LlmSettingsError) as refusal:
        choose(_settings(), tmp_path)
    assert "\n" not in str(refusal.value)
    assert f"(line {line})" in str(refusal.value)

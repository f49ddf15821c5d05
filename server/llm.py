"""Which model the runs use: our own settings, then MetaGPT's config file, then the demo model."""

from pathlib import Path

import msgspec
import yaml

from runner.attempt import Llm
from server.prices import read_prices
from server.settings import Settings, without_credentials

OPENAI = "https://api.openai.com/v1"
DEMO = "demo"

# What `metagpt --init-config` leaves for the user to fill in.
_PLACEHOLDERS = ("YOUR_API_KEY", "sk-xxx", "", None)


class LlmSettingsError(Exception):
    """The settings of the LLM do not make sense; `str()` says which and what would."""


class Choice(msgspec.Struct, frozen=True):
    """The model, and where it was configured, for people."""

    llm: Llm
    source: str


def choose(settings: Settings, home: Path) -> Choice:
    """The model for all runs. home: the user's, where MetaGPT keeps its config.

    Raises `LlmSettingsError` and `PricesError`.
    """
    choice = _choose(settings, home)
    prices = {} if settings.prices is None else read_prices(settings.prices)
    return Choice(msgspec.structs.replace(choice.llm, prices=prices), choice.source)


def _choose(settings: Settings, home: Path) -> Choice:
    if settings.llm_model == DEMO:
        return Choice(Llm(demo_pace=settings.demo_pace), "the demo model, as METAGPT_LIVE_LLM_MODEL=demo asks")
    if settings.llm_model or settings.llm_base_url or settings.llm_api_key:
        return _from_settings(settings)
    file = home / ".metagpt" / "config2.yaml"
    if file.exists():
        config = _read(file)
        if config is not None:
            return Choice(Llm(config=config), f"{config.get('model')}, from {file}")
    return Choice(
        Llm(demo_pace=settings.demo_pace),
        "the demo model, since no LLM is configured; set METAGPT_LIVE_LLM_MODEL and _API_KEY for a real one",
    )


def _from_settings(settings: Settings) -> Choice:
    if not settings.llm_model:
        raise LlmSettingsError("METAGPT_LIVE_LLM_MODEL is missing: name the model to use, or `demo`.")
    if not settings.llm_api_key and not settings.llm_base_url:
        raise LlmSettingsError(
            "METAGPT_LIVE_LLM_API_KEY is missing (or METAGPT_LIVE_LLM_BASE_URL, for a local endpoint)."
        )
    base_url = settings.llm_base_url or OPENAI
    if not base_url.startswith(("http://", "https://")):
        raise LlmSettingsError(
            f"METAGPT_LIVE_LLM_BASE_URL must begin with http:// or https://, not {without_credentials(base_url)!r}."
        )
    config = {
        "api_type": "openai",
        "base_url": base_url,
        "api_key": settings.llm_api_key or "not-needed",  # MetaGPT refuses an empty one
        "model": settings.llm_model,
    }
    return Choice(Llm(config=config), f"{settings.llm_model} at {without_credentials(base_url)}")


def _read(file: Path) -> dict[str, object] | None:
    """The `llm` section of MetaGPT's config; None if it was never filled in."""
    try:
        content = yaml.safe_load(file.read_text())
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f" (line {error.problem_mark.line + 1})"
        raise LlmSettingsError(f"MetaGPT's config {file} is not YAML: {error.problem}{line}.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise LlmSettingsError(f"MetaGPT's config {file} cannot be read: {error}") from error
    section = content.get("llm") if isinstance(content, dict) else None
    if not isinstance(section, dict) or section.get("api_key", "none needed") in _PLACEHOLDERS:
        return None
    if not section.get("model"):
        raise LlmSettingsError(f"MetaGPT's config {file} names no model: add `model` to its `llm` section.")
    # Some endpoints need no key, but MetaGPT refuses an empty one.
    return {"api_key": "not-needed"} | {str(name): value for name, value in section.items()}

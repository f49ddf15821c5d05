"""What an exception of a model's client means: in words a person can act on, and whether trying again may help.

Providers use different clients, so this goes by what they share: an HTTP status somewhere in the chain of causes, an
OSError, or the name of the exception's class. It imports none of them.
"""

import errno
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from runner.events import short

KEY_VARIABLE = "METAGPT_LIVE_LLM_API_KEY"
MODEL_VARIABLE = "METAGPT_LIVE_LLM_MODEL"
URL_VARIABLE = "METAGPT_LIVE_LLM_BASE_URL"

DETAIL_LIMIT = 300  # characters of the endpoint's own words
MAX_RETRY_AFTER = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Fault:
    """message: a sentence or two. retry: whether it may pass. retry_after: seconds that the endpoint asked to wait."""

    message: str
    retry: bool = False
    retry_after: float | None = None


def explain(error: BaseException, *, url: str, model: str, limit: float) -> Fault:
    """The fault behind `error`, which a call to `model` at `url` raised. limit: seconds that the call was given."""
    chain = list(_causes(error))
    for cause in chain:
        status = _status(cause)
        if status is not None:
            return _http_fault(status, cause, url, model)
    for cause in chain:
        fault = _connection_fault(cause, url)
        if fault is not None:
            return fault
    names = {base.__name__ for cause in chain for base in type(cause).__mro__}
    if names & {"TimeoutError", "TimeoutException", "APITimeoutError"}:
        return Fault(f"The LLM endpoint {url} did not answer within {limit:g} s.", retry=True)
    if names & {"ConnectionError", "TransportError", "APIConnectionError", "ClientConnectionError"}:
        return Fault(f"The connection to {url} broke: {_detail(chain[-1])}", retry=True)
    if "APIError" in names:  # an error that came in the stream, after a good status
        return Fault(f"The LLM endpoint {url} failed: {_detail(error)}", retry=True)
    return Fault(f"The call to the model {model} failed: {type(error).__name__}: {_detail(error)}")


def _http_fault(status: int, error: BaseException, url: str, model: str) -> Fault:
    detail = _detail(error)
    if status == 401:
        return Fault(f"The LLM endpoint {url} refused the API key (401). Check {KEY_VARIABLE}.")
    if status == 403:
        return Fault(f"The LLM endpoint {url} does not allow this API key to use {model} (403): {detail}")
    if status == 404:
        return Fault(
            f"The LLM endpoint {url} does not know the model {model} (404). Check {MODEL_VARIABLE} and {URL_VARIABLE}."
        )
    if status == 429 and _code(error) == "insufficient_quota":
        return Fault(f"The account at {url} has no quota left (429): {detail}")
    if status == 429:
        return Fault(f"The LLM endpoint {url} is limiting requests (429): {detail}", True, _retry_after(error))
    if status in (408, 409) or status >= 500:
        return Fault(f"The LLM endpoint {url} failed ({status}): {detail}", True, _retry_after(error))
    return Fault(f"The LLM endpoint {url} rejected the request ({status}): {detail}")


def _connection_fault(cause: BaseException, url: str) -> Fault | None:
    if isinstance(cause, ssl.SSLError):
        return Fault(f"No secure connection to {url}: {_detail(cause)}", retry=True)
    if isinstance(cause, socket.gaierror):
        return Fault(f"There is no host {urlsplit(url).hostname}. Check {URL_VARIABLE}.", retry=True)
    if isinstance(cause, ConnectionRefusedError):
        return Fault(f"Nothing answers at {url} (connection refused).", retry=True)
    if isinstance(cause, OSError) and cause.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return Fault(f"Nothing answers at {url} (no route to it).", retry=True)
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        if isinstance(cause, BaseExceptionGroup):
            yield from cause.exceptions
        cause = cause.__cause__ or cause.__context__


def _status(error: BaseException) -> int | None:
    for holder in (error, getattr(error, "response", None)):
        for name in ("status_code", "status"):
            status = getattr(holder, name, None)
            if isinstance(status, int) and status >= 400:
                return status
    return None


def _retry_after(error: BaseException) -> float | None:
    headers: Any = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        return min(max(float(headers.get("retry-after")), 0.0), MAX_RETRY_AFTER)
    except (TypeError, ValueError):  # absent, or a date
        return None


def _code(error: BaseException) -> str | None:
    code = getattr(error, "code", None)
    return code if isinstance(code, str) else None


def _detail(error: BaseException) -> str:
    """The endpoint's own words as the end of a sentence, without the wrapping that clients put around them."""
    body = getattr(error, "body", None)
    message = body.get("message") if isinstance(body, dict) else None
    words = short(str(message or error).strip() or type(error).__name__, DETAIL_LIMIT)
    return words if words.endswith((".", "!", "?", "…")) else f"{words}."

"""The OpenAPI 3.1 description, made from the same table as the routes."""

import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from server.auth import COOKIE
from server.gate import is_open
from server.operations import Operation
from server.problems import MEDIA_TYPE
from server.schemas import Problem
from server.settings import VERSION

_REFERENCE = "#/components/schemas/{name}"

_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A repeated request with the same key answers with the task made at first.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}

_RETRY_AFTER = {
    "description": "Seconds after which it is worth to try again.",
    "schema": {"type": "integer", "minimum": 1},
}


_SECURITY_SCHEMES = {
    "token": {"type": "http", "scheme": "bearer"},
    "login": {"type": "apiKey", "in": "cookie", "name": COOKIE},
}


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """The OpenAPI document of these endpoints."""
    kinds = _kinds(operations)
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
    schema_of = dict(zip(kinds, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schema_of, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "metagpt-live",
            "version": VERSION,
            "description": "Run MetaGPT teams as tasks and watch every event live. The same events come over WebSocket "
            "at /ws and at /api/tasks/{task_id}/events. A viewer's token is good for GET, an operator's for all. "
            "On loopback none is needed, unless the server was given a token file.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SECURITY_SCHEMES},
        "security": [{name: []} for name in _SECURITY_SCHEMES],
    }


def _kinds(operations: Sequence[Operation]) -> list[type[Any]]:
    kinds: dict[type[Any], None] = {Problem: None}
    for operation in operations:
        for kind in (operation.query, operation.body, *operation.answers.values()):
            if kind is not None:
                kinds[kind] = None
    return list(kinds)


def _operation(
    operation: Operation, schema_of: dict[type[Any], dict[str, Any]], components: dict[str, Any]
) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": getattr(operation.handler, "__name__", operation.path),
        "summary": operation.summary,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"{(\w+)}", operation.path)
        ],
        "responses": {},
    }
    if is_open(operation.path):
        described["security"] = []
    query = components[schema_of[operation.query]["$ref"].rpartition("/")[2]]
    for name, schema in query["properties"].items():
        described["parameters"].append(
            {"name": name, "in": "query", "required": False, "schema": schema, "style": "form", "explode": False}
        )
    if operation.path == "/api/tasks" and operation.method == "POST":
        described["parameters"].append(_IDEMPOTENCY_KEY)
    if operation.body is not None:
        required = bool(components[schema_of[operation.body]["$ref"].rpartition("/")[2]].get("required"))
        content = {"application/json": {"schema": schema_of[operation.body]}}
        described["requestBody"] = {"required": required, "content": content}
    if operation.upload is not None:
        content = {operation.upload: {"schema": {"type": "string", "format": "binary"}}}
        described["requestBody"] = {"required": True, "content": content}
    for status, answer in operation.answers.items():
        described["responses"][str(status)] = _response(status, answer and schema_of[answer], operation.media_type)
    for status in sorted({*operation.problems, *_problems_at_gate(operation)}):
        described["responses"][str(status)] = _response(status, schema_of[Problem], MEDIA_TYPE)
        if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            described["responses"][str(status)]["headers"] = {"Retry-After": _RETRY_AFTER}
    return described


def _problems_at_gate(operation: Operation) -> Iterator[int]:
    """The statuses of what the gate refuses."""
    yield from (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)
    if not is_open(operation.path):
        yield HTTPStatus.UNAUTHORIZED


def _response(status: int, schema: Any, media_type: str) -> dict[str, Any]:
    response: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if schema is not None:
        response["content"] = {media_type: {"schema": schema}}
    return response

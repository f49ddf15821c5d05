"""Turning requests into typed values, with errors that name the field and say what is allowed."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request

from server.problems import BadRequest

_T = TypeVar("_T")

_AT = re.compile(r" - at `\$(?P<path>.*)`$")
_UNKNOWN = re.compile(r"unknown field `(?P<field>[^`]*)`")
_MISSING = re.compile(r"missing required field `(?P<field>[^`]*)`")


async def body(request: Request, kind: type[_T]) -> _T:
    """The JSON body of a request; where none is sent, an empty object. Raises `BadRequest`."""
    data = await request.body()
    if not data:
        return parse({}, kind)
    require_type(request, "application/json")
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"The body is not JSON: {error}.", code="bad_json", status=400) from None
    except RecursionError:
        raise BadRequest("The body is nested too deeply.", code="bad_json", status=400) from None
    return parse(value, kind)


def require_type(request: Request, wanted: str) -> None:
    """Raise `BadRequest` unless the body is of this media type."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != wanted:
        raise BadRequest(
            f"The body must be {wanted}, not {media_type or 'of no stated type'}.",
            code="wrong_content_type",
            status=415,
        )


def query(request: Request, kind: type[_T], *, lists: frozenset[str] = frozenset()) -> _T:
    """The query of a request. lists: the parameters that hold several values, separated by commas."""
    values: dict[str, Any] = dict(request.query_params)
    for name in lists & values.keys():
        values[name] = [value for value in values[name].split(",") if value]
    return parse(values, kind, strict=False)


def parse(value: Any, kind: type[_T], *, strict: bool = True) -> _T:
    """A value as `kind`. Raises `BadRequest` naming the field at fault and what is allowed in it."""
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        field, message = explain(error, kind)
        raise BadRequest(message, code="invalid", field=field) from None


def explain(error: msgspec.ValidationError, kind: Any) -> tuple[str | None, str]:
    """The field at fault, and what is wrong with it in words."""
    text = str(error)
    at = _AT.search(text)
    path = at["path"].lstrip(".") if at else ""
    schema = _schema_at(kind, path)
    if unknown := _UNKNOWN.search(text):
        field = _join(path, unknown["field"])
        allowed = ", ".join(schema.get("properties", {})) or "none"
        return field, f"{field} is not a known field; known are: {allowed}."
    if missing := _MISSING.search(text):
        field = _join(path, missing["field"])
        return field, f"{field} is missing; it must be {describe(_schema_at(kind, field))}."
    if not path:
        return None, f"The request must be {describe(schema)}."
    return path, f"{path} must be {describe(schema)}."


def describe(schema: Mapping[str, Any]) -> str:
    """What a JSON schema allows, in words."""
    if "anyOf" in schema:
        return " or ".join(describe(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return "one of " + ", ".join(str(value) for value in schema["enum"])
    match schema.get("type"):
        case "string":
            return "text" + _between(schema, "minLength", "maxLength", " characters")
        case "integer":
            return "a whole number" + _between(schema, "minimum", "maximum", "")
        case "number":
            lowest = f" above {schema['exclusiveMinimum']}" if "exclusiveMinimum" in schema else ""
            return "a number" + lowest + _between(schema, "minimum", "maximum", "")
        case "boolean":
            return "true or false"
        case "null":
            return "null"
        case "array":
            return f"a list{_between(schema, 'minItems', 'maxItems', ' entries')} of {describe(schema['items'])}"
    return "an object"


def _between(schema: Mapping[str, Any], low: str, high: str, unit: str) -> str:
    bounds = [f"from {schema[low]:,}"] if low in schema else []
    bounds += [f"to {schema[high]:,}"] if high in schema else []
    return " " + " ".join(bounds) + unit if bounds else ""


def _schema_at(kind: Any, path: str) -> Mapping[str, Any]:
    """The JSON schema of what stands at a path such as `options.review[0]`, with its references resolved."""
    (root,), components = msgspec.json.schema_components([kind], ref_template="{name}")
    schema: Mapping[str, Any] = root

    def resolve(found: Mapping[str, Any]) -> Mapping[str, Any]:
        return components[found["$ref"]] if "$ref" in found else found

    for step in re.findall(r"[^.\[\]]+|\[[^]]*\]", path):
        schema = resolve(schema)
        for choice in schema.get("anyOf", ()):
            if choice.get("type") != "null":
                schema = resolve(choice)
        schema = schema.get("items", {}) if step.startswith("[") else schema.get("properties", {}).get(step, {})
    return resolve(schema)


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field

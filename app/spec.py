"""Operations as forms: what the generated spec says about parameters, in the words of a form."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["text", "integer", "number", "boolean", "choice", "list", "mapping", "path"]

IMPLICIT = ("dry_run", "rev", "cursor")
"""Parameters a form leaves out: trying is a key of its own, the revision is the screen's business, pages are turned by reading on."""


@dataclass(frozen=True)
class Field:
    """One parameter. `items` is what a list holds."""

    name: str
    kind: Kind
    required: bool
    help: str
    default: Any
    choices: tuple[str, ...] = ()
    items: Kind = "text"


def fields(op: dict[str, Any]) -> list[Field]:
    """The fields of an operation's form, those that must be given first."""
    schema = op["parameters"]
    required = set(schema.get("required", ()))
    found = [_field(name, _resolved(given, schema), name in required) for name, given in schema.get("properties", {}).items() if name not in IMPLICIT]
    return sorted(found, key=lambda field: not field.required)


def can_try(op: dict[str, Any]) -> bool:
    """Whether the operation can say what it would do without doing it."""
    return "dry_run" in op["parameters"].get("properties", {})


def value(field: Field, text: str) -> Any:
    """What a field's text stands for; None when it was left empty.

    Raises:
        ValueError: says what the field takes.
    """
    text = text.strip()
    if not text:
        return None
    if field.kind == "list":
        if field.items == "mapping":
            return json.loads(text)
        return [_single(field.items, part.strip(), field) for part in text.split(",") if part.strip()]
    if field.kind == "mapping":
        pairs = [part.partition("=") for part in text.split(",")]
        if not all(equals for _, equals, _ in pairs):
            raise ValueError("write name=value, with commas between them")
        return {name.strip(): given.strip() for name, _, given in pairs}
    return _single(field.kind, text, field)


def _single(kind: Kind, text: str, field: Field) -> Any:
    if kind == "integer":
        try:
            return int(text)
        except ValueError as error:
            raise ValueError("needs a whole number") from error
    if kind == "number":
        try:
            return float(text)
        except ValueError as error:
            raise ValueError("needs a number") from error
    if kind == "boolean":
        if text.lower() not in ("yes", "no", "true", "false"):
            raise ValueError("write yes or no")
        return text.lower() in ("yes", "true")
    if kind == "choice" and text not in field.choices:
        raise ValueError(f"is one of {', '.join(field.choices)}")
    return text


def shown(given: Any) -> str:
    """A value as the text of its field."""
    if given is None:
        return ""
    if isinstance(given, bool):
        return "yes" if given else "no"
    if isinstance(given, dict):
        return ", ".join(f"{name}={inner}" for name, inner in given.items())
    if isinstance(given, list):
        return json.dumps(given) if any(isinstance(inner, dict) for inner in given) else ", ".join(map(str, given))
    return str(given)


def _resolved(given: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter's schema with references looked up and the null of an optional one left out."""
    if "$ref" in given:
        given = {**schema["$defs"][given["$ref"].split("/")[-1]], **{key: inner for key, inner in given.items() if key != "$ref"}}
    options = [option for option in given.get("anyOf", ()) if option.get("type") != "null"]
    if not options:
        return given
    outer = {key: inner for key, inner in given.items() if key != "anyOf"}
    return {**_resolved(options[0], schema), **outer}


def _kind(schema: dict[str, Any]) -> Kind:
    if "enum" in schema:
        return "choice"
    if schema.get("format") == "path":
        return "path"
    kinds: dict[str, Kind] = {"integer": "integer", "number": "number", "boolean": "boolean", "array": "list", "object": "mapping"}
    return kinds.get(str(schema.get("type")), "text")


def _field(name: str, schema: dict[str, Any], required: bool) -> Field:
    items = schema.get("items") or {}
    return Field(
        name=name,
        kind=_kind(schema),
        required=required,
        help=str(schema.get("description", "")),
        default=schema.get("default"),
        choices=tuple(map(str, schema.get("enum", ()))),
        items=_kind(items) if items else "text",
    )

"""The command line made from the operations' spec: noun, verb, and a flag or position for each parameter."""

from __future__ import annotations

import argparse
import os
from typing import Any

from engine.errors import BadInput

Schema = dict[str, Any]


def _kind(schema: Schema) -> Schema:
    """The schema of a value that may also be null."""
    for option in schema.get("anyOf", []):
        if option.get("type") != "null":
            return {**option, **{key: schema[key] for key in ("description", "default") if key in schema}}
    return schema


def _add(parser: argparse.ArgumentParser, name: str, schema: Schema, required: bool) -> None:
    kind = _kind(schema)
    many = kind.get("type") == "array"
    text = str(schema.get("description") or kind.get("description") or "").replace("%", "%%")
    options: dict[str, Any] = {"help": text}
    kind = _kind(kind.get("items", {})) if many else kind
    match kind.get("type"):
        case "integer":
            options["type"] = int
        case "number":
            options["type"] = float
        case "object":
            parser.add_argument("--set", dest=name, action="append", metavar="NAME=VALUE", default=None, help=text)
            return
        case "boolean":
            parser.add_argument(f"--{name.replace('_', '-')}", action=argparse.BooleanOptionalAction, default=None, help=text)
            return
    if "enum" in kind:
        options["choices"] = kind["enum"]
    elif kind.get("format") == "path":
        options["type"] = os.path.abspath
        options["metavar"] = name.upper()
    else:
        options["metavar"] = name.upper()
    if many:
        options["nargs"] = "+" if required or not schema.get("positional") else "*"
    if schema.get("positional"):
        parser.add_argument(name, default=None, **{"nargs": None if required else "?", **options})
    else:
        parser.add_argument(f"--{name.replace('_', '-')}", required=required, default=None, **options)


def add_parameters(parser: argparse.ArgumentParser, op: dict[str, Any]) -> None:
    """One argument for each parameter of an operation."""
    schema = op["parameters"]
    definitions = schema.get("$defs", {})
    required = set(schema.get("required", ()))
    for name, given in schema.get("properties", {}).items():
        resolved = {**definitions[given["$ref"].split("/")[-1]], **given} if "$ref" in given else given
        _add(parser, name, resolved, name in required)


def parameters(arguments: argparse.Namespace, op: dict[str, Any]) -> dict[str, Any]:
    """The parameters given on the command line, ready to be sent."""
    found = {}
    for name, schema in op["parameters"].get("properties", {}).items():
        value = getattr(arguments, name)
        if value is not None and value != []:
            found[name] = settings(value) if _kind(schema).get("type") == "object" else value
    return found


def settings(pairs: list[str]) -> dict[str, str]:
    """`--set section.key=value` flags as a mapping.

    Raises:
        BadInput: one of them has no `=`.
    """
    split = [pair.partition("=") for pair in pairs]
    for name, equals, _ in split:
        if not equals:
            raise BadInput(f"--set {name} has no value.", "Write --set section.key=value.")
    return {name.strip(): value.strip() for name, _, value in split}


def add_operations(nouns: Any, operations: dict[str, dict[str, Any]]) -> None:
    """A sub-command for each operation: `track_list` is `track list`."""
    verbs: dict[str, Any] = {}
    for name, op in operations.items():
        noun, verb = name.split("_", 1)
        if noun not in verbs:
            of_noun = sorted(other.split("_", 1)[1] for other in operations if other.startswith(noun + "_"))
            parser = nouns.add_parser(noun, help=", ".join(of_noun))
            verbs[noun] = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
        parser = verbs[noun].add_parser(verb, help=op["doc"], description=op["doc"])
        parser.set_defaults(operation=name)
        add_parameters(parser, op)
        parser.add_argument("--json", action="store_true", help="Print JSON.")

"""Tool definitions made from the operations' spec, small enough to be read by a model on every turn."""

from __future__ import annotations

from typing import Any

from mcp.types import Tool, ToolAnnotations

from tools.mcp.pictures import ARGUMENTS, SHOWN

LIMIT = 20
MOST = 200
DEFAULTS = {"limit": LIMIT, "timeout_s": 50}
"""What is sent when an agent leaves a parameter out, where a model's context or a client's patience is shorter than a script's."""

FORCING = ("cluster_merge", "facebank_add")
"""Operations in which `force` is for agents too; elsewhere it is for people alone, and not offered."""

LEFT_OUT = {"track_split": ("detections",)}
"""Parameters that need what tools do not show; times say the same."""

_NOISE = ("positional", "title", "format")


def tool(op: dict[str, Any]) -> Tool:
    """One operation as a tool, all four annotations spelt out: what a client is not told it takes for the worst."""
    writes, parameters = op["effect"] != "read", schema(op["parameters"])
    for name in (*LEFT_OUT.get(op["name"], ()), *(() if op["name"] in FORCING else ("force",))):
        parameters["properties"].pop(name, None)
    if op["name"] in SHOWN:
        parameters["properties"].update(ARGUMENTS)
    return Tool(
        name=op["name"],
        description=op["doc"],
        input_schema=parameters,
        annotations=ToolAnnotations(
            read_only_hint=not writes,
            destructive_hint=op["effect"] == "destroy",
            idempotent_hint=bool(op["idempotent"]),
            open_world_hint=False,
        ),
    )


def schema(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters as a model needs them: references resolved, `or null` dropped (leaving it out says the same), our defaults for pages."""
    definitions = parameters.get("$defs", {})
    properties = {name: _smaller(name, value, definitions) for name, value in parameters.get("properties", {}).items()}
    shrunk: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required := parameters.get("required"):
        shrunk["required"] = required
    return shrunk


def _smaller(name: str, value: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_smaller("", item, definitions) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        value = {**definitions[value["$ref"].split("/")[-1]], **{key: item for key, item in value.items() if key != "$ref"}}
    options = [option for option in value.get("anyOf", ()) if option.get("type") != "null"]
    if len(options) == 1:
        value = {**options[0], **{key: item for key, item in value.items() if key != "anyOf"}}
        return _smaller(name, value, definitions)
    kept = {key: _smaller("", item, definitions) for key, item in value.items() if key not in _NOISE and not (key == "default" and item is None)}
    if name in DEFAULTS and "default" in kept:
        kept["default"] = DEFAULTS[name]
    if name == "limit" and "maximum" in kept:
        kept["maximum"] = MOST
    return kept


def with_defaults(definition: Tool, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments an operation is called with."""
    ours = {name: value for name, value in DEFAULTS.items() if "default" in definition.input_schema["properties"].get(name, {})}
    return {**ours, **arguments}

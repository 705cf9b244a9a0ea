"""Errors as an agent can act on them: the same sentences, with commands and flags spelt as the tools and parameters they are."""

from __future__ import annotations

import re
from typing import Any

from engine.errors import RollcallError

_COMMAND = re.compile(r"`(?:rollcall )?([a-z]+) ([a-z]+)((?: [^`]+)?)`")
_FLAG = re.compile(r"(?<![\w`-])--([a-z][a-z-]+)(?: ([A-Z]+\b))?")


def spoken(error: RollcallError, spec: dict[str, dict[str, Any]]) -> str:
    """The error's sentence, and its next step: `track list --episode 3` as `track_list(episode=3)`, --at-s SECONDS as `at_s`."""

    def tool(match: re.Match[str]) -> str:
        name = f"{match[1]}_{match[2]}"
        return f"`{name}{_arguments(match[3], spec[name])}`" if name in spec else match[0]

    # What is at fault may quote anything; only the next step is ours.
    hint = _FLAG.sub(lambda match: f"`{match[1].replace('-', '_')}`", _COMMAND.sub(tool, error.hint))
    return f"{error.message} {hint}".strip()


def _arguments(rest: str, op: dict[str, Any]) -> str:
    """What follows a command, as a call's arguments."""
    positions = [name for name, schema in op["parameters"]["properties"].items() if schema.get("positional")]
    given, words = dict[str, str](), rest.split()
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            given[positions.pop(0) if positions else "..."] = word
        else:
            given[word[2:].replace("-", "_")] = words.pop(0) if words and not words[0].startswith("--") else "true"
    return f"({', '.join(f'{name}={value}' for name, value in given.items())})" if given else ""

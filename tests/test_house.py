"""The house rules that a machine can hold: which way imports run, how long files get, that generated things are current."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from engine import config
from engine.operations import everything, registry, spec

ROOT = Path(__file__).parent.parent
PACKAGES = ("app", "engine", "store", "tools")
LIGHT = {"engine.wire", "engine.errors", "engine.platform", "engine.version"}
"""What surfaces may use of the engine: the client and what it needs, standard library only."""


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imports(path: Path) -> set[str]:
    """Our own modules a file imports anywhere, by full name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from engine import wire` names a module, `from engine.wire import Client` a thing in one.
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if (ROOT / Path(*inner.split("."))).with_suffix(".py").exists() else node.module)
    return {name for name in found if name.split(".")[0] in PACKAGES}


def test_store_knows_nothing_of_models_screens_or_agents() -> None:
    for path in modules("store"):
        assert {name for name in imports(path) if not name.startswith("store")} == set(), path


def test_engine_knows_no_surface() -> None:
    for path in modules("engine"):
        assert {name for name in imports(path) if name.split(".")[0] in ("app", "tools")} == set(), path


@pytest.mark.parametrize("package", ["app", "tools"])
def test_surfaces_reach_the_engine_through_its_wire_alone(package: str) -> None:
    for path in modules(package):
        if name_of(path) == "tools.serve":
            continue
        reached = {name for name in imports(path) if name.split(".")[0] in ("engine", "store")}
        allowed = LIGHT | ({"store.atomic"} if name_of(path).startswith("tools.demo") else set())
        assert reached <= allowed, path


def test_files_stay_one_idea() -> None:
    for package in PACKAGES:
        for path in modules(package):
            assert len(path.read_text().splitlines()) <= 500, path


def test_package_files_are_empty() -> None:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("__init__.py"):
            assert path.read_text() == "", path


def test_spec_is_current() -> None:
    assert spec.PATH.read_text() == spec.build(), "run `just spec`"


def test_operations_are_described_for_every_surface() -> None:
    everything.load()
    for op in registry.OPERATIONS.values():
        noun, _, verb = op.name.partition("_")
        assert noun and verb and op.doc[0].isupper() and op.doc.endswith(".")
        assert op.effect in ("read", "write", "destroy")


def test_readme_lists_every_operation_and_every_setting() -> None:
    everything.load()
    readme = (ROOT / "README.md").read_text()
    for name in registry.OPERATIONS:
        assert f"\n| `{name.replace('_', ' ', 1)}` | {registry.OPERATIONS[name].doc} |\n" in readme, name
    for name in config.names():
        assert f"`{name}`" in readme, name


def test_every_setting_is_read_by_some_code() -> None:
    """A setting nobody reads is a bug; the name must be used as an attribute outside the settings tree itself."""
    used = set()
    for path in [*modules("engine"), ROOT / "tools" / "serve.py"]:
        if path.name != "config.py":
            used |= {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
    unread = [name for name in config.names() if name.split(".")[1] not in used]
    assert unread == []

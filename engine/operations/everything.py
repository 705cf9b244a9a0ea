"""Imports every module that registers operations."""

from __future__ import annotations

from importlib import import_module

MODULES = (
    "shows",
    "episodes",
    "people",
    "forget",
    "jobs",
    "tracks",
    "review",
    "clusters",
    "decisions",
    "queue",
    "analyses",
    "totals",
    "exports",
    "models",
    "health",
)


def load() -> None:
    """Register all operations."""
    for module in MODULES:
        import_module(f"engine.operations.{module}")

"""Imports every module that registers operations."""

from __future__ import annotations

from importlib import import_module

MODULES = (
    "shows",
    "episodes",
    "importing",
    "people",
    "forget",
    "jobs",
    "tracks",
    "moments",
    "frames",
    "pictures",
    "review",
    "clusters",
    "decisions",
    "facebank",
    "corrections",
    "proposals",
    "totals",
    "exports",
    "clips",
    "query",
    "hooks",
    "queue",
    "analyses",
    "models",
    "health",
    "upkeep",
    "backups",
)


def load() -> None:
    """Register all operations."""
    for module in MODULES:
        import_module(f"engine.operations.{module}")

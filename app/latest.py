"""Work of which only the latest counts: what the cursor is on now, not what it was on before."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from textual.dom import DOMNode


def latest(node: DOMNode, group: str, work: Callable[..., Coroutine[Any, Any, Any]], /, *given: Any, **named: Any) -> None:
    """Do it in place of what the group still does. It is handed over uncalled: work that is stopped before it began leaves nothing behind."""
    call: Any = partial(work, *given, **named)
    node.run_worker(call, group=group, exclusive=True, exit_on_error=False)

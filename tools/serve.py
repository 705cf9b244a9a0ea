"""Runs the engine process, and beside its own socket the MCP server on loopback."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import RollcallError
from tools.mcp.selection import Selection

if TYPE_CHECKING:
    from engine.daemon import Daemon


def serve(home: Path) -> int:
    """Own the workspace and serve it until stopped; returns the exit status. Why it could not start is left in `engine.error.json`."""
    from engine.daemon import run

    reason = home / "engine.error.json"
    reason.unlink(missing_ok=True)
    try:
        run(home, _agents)
    except RollcallError as error:
        with contextlib.suppress(OSError):  # a full disk has no room for why
            reason.write_text(json.dumps(error.as_dict()))
        sys.stderr.write(f"{error}\n")
        return error.exit_status
    return 0


def _agents(daemon: Daemon) -> Callable[[], Coroutine[Any, Any, None]] | None:
    """The MCP server on loopback, where the settings give it a port."""
    settings = daemon.engine.config.settings.agents
    if not settings.port:
        return None
    # Half a second of imports, and most engines serve no agents over HTTP.
    import anyio
    import uvicorn

    from engine.daemon import Server
    from tools.mcp import http

    async def call(actor: str, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
        return await daemon.perform(name, parameters, actor=actor)

    app = http.app(daemon.engine.home, call, Selection.parse(settings.toolsets, None, settings.read_only))
    listener = http.bind(settings.port)

    async def serve() -> None:
        server = Server(uvicorn.Config(app, log_config=None, lifespan="on", access_log=False, timeout_graceful_shutdown=1))

        async def serving() -> None:
            with anyio.CancelScope(shield=True):
                await server.serve(sockets=[listener])

        async with anyio.create_task_group() as group:
            group.start_soon(serving)
            try:
                await anyio.sleep_forever()
            finally:
                # Told rather than cancelled, it answers what is under way and ends its sessions in order.
                server.should_exit = True

    return serve


def main() -> None:
    """`python -m tools.serve --home FOLDER`."""
    parser = argparse.ArgumentParser(prog="rollcall engine run")
    parser.add_argument("--home", type=Path, required=True)
    sys.exit(serve(parser.parse_args().home))


if __name__ == "__main__":
    main()

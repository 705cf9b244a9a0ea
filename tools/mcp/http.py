"""`/mcp` on loopback: the same server over streamable HTTP, sessions of 2025 and requests of 2026 alike, behind a token."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio.to_thread
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend
from mcp.server.auth.provider import AccessToken
from starlette.applications import Starlette
from starlette.middleware.authentication import AuthenticationMiddleware

from engine import wire
from engine.errors import EngineUnavailable
from tools.mcp import tokens
from tools.mcp.selection import Selection
from tools.mcp.server import build

MOST_BYTES = 1 << 20
"""Of a request's body."""


class Verifier:
    """Knows the agents by their tokens."""

    def __init__(self, home: Path) -> None:
        self._home = home

    async def verify_token(self, token: str) -> AccessToken | None:
        """Who a token was given to."""
        name = await anyio.to_thread.run_sync(tokens.holder, self._home, token)
        return AccessToken(token=token, client_id=name, scopes=[]) if name else None


def app(home: Path, perform: Callable[[str, str, dict[str, Any]], Awaitable[dict[str, Any]]], selection: Selection) -> Starlette:
    """The application. Host and Origin are checked by the SDK, which lets only loopback's own names pass.

    Args:
        perform: (actor, operation, parameters) -> result.
    """

    async def call(context: Any, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
        return await perform(f"agent:{context.request.user.access_token.client_id}", name, parameters)

    verifier = Verifier(home)
    # Answers stay streams: as plain JSON they would lose the progress that goes before them.
    made = build(call, wire.operations(), selection).streamable_http_app(token_verifier=verifier, max_request_body_size=MOST_BYTES)
    made.add_middleware(AuthContextMiddleware)
    made.add_middleware(AuthenticationMiddleware, backend=BearerAuthBackend(verifier))
    return made


def bind(port: int) -> socket.socket:
    """A listening socket on loopback.

    Raises:
        EngineUnavailable: the port is taken.
    """
    # With the protocol spelt out asyncio turns Nagle's algorithm off; without it every answer waits for an acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise EngineUnavailable(f"Port {port} of 127.0.0.1 cannot be had ({error.strerror}).", "Set agents.port to another one.") from error
    listener.listen(128)
    return listener

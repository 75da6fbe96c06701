"""What one client may take of the web process: connections, time for a request, bytes of a body.

uvicorn waits for ever for the end of a request, lets one address hold every connection, keeps a body in memory as far
as a route reads it, and logs in its own words. The classes here keep its parser and its life of a connection.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.web.problems import problem

MAXIMUM_BODY_BYTES = 64 * 1024
REQUEST_SECONDS = 10.0
"""From the first byte of a request, or from the connection, to its last byte."""
CONNECTIONS_PER_ADDRESS = 64
CONNECTIONS = 256
VERSIONS = ("1.0", "1.1")
_SAME_SECONDS = 60.0
_log = structlog.get_logger()
_quiet = logging.getLogger("uvicorn.error.connection")
_quiet.setLevel(logging.ERROR)  # what a client does wrong is an event of ours

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class RepeatedEvents:
    """Events of one kind: the first is logged at once, the next ones once a minute with their count."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._logged: dict[str, float] = {}

    def note(self, reason: str, address: str) -> None:
        """One more; nothing that the client sent is repeated."""
        self._counts[reason] = self._counts.get(reason, 0) + 1
        now = time.monotonic()
        if now - self._logged.get(reason, -_SAME_SECONDS) >= _SAME_SECONDS:
            _log.warning("web.connection_refused", reason=reason, address=address, count=self._counts.pop(reason))
            self._logged[reason] = now


_refused = RepeatedEvents()


class BoundedConnection(H11Protocol):
    """One connection, which must bring each request whole within a time, and shares a number with its address."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.logger = _quiet
        self.opened = self.loop.time()
        self._deadline: asyncio.TimerHandle | None = None
        self._head = b""

    @property
    def address(self) -> str:
        return str(self.client[0]) if self.client else ""

    @property
    def is_open(self) -> bool:
        return not self.transport.is_closing()

    @property
    def is_waiting(self) -> bool:
        """Whether no whole request has come that is still being answered."""
        return self._deadline is not None or self.timeout_keep_alive_task is not None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Take the connection; the oldest that waits goes when there are too many."""
        super().connection_made(transport)
        self._begin_request()
        others = [one for one in self.connections if isinstance(one, BoundedConnection) and one.is_open]
        mine = [one for one in others if one.address == self.address]
        if len(mine) > CONNECTIONS_PER_ADDRESS or len(others) > CONNECTIONS:
            crowd = mine if len(mine) > CONNECTIONS_PER_ADDRESS else others
            waiting = [one for one in crowd if one.is_waiting]
            min(waiting, key=lambda one: one.opened, default=self).refuse("too many connections")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline with the connection."""
        self._end_request()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; the deadline ends with the last byte of a request."""
        if self.transport.is_closing():
            return
        if self._deadline is None:
            self._begin_request()
        if self.conn.their_state is h11.IDLE:
            self._head = (self._head + data)[-MAXIMUM_BODY_BYTES:]
            if _has_tab(self._head):  # h11 would cut it off: `Host: localhost<tab>` is not what a client sends
                self.send_400_response("")
                return
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._head = b""
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._end_request()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words are not ours
        """Answer what is no HTTP, as far as the state of the connection allows an answer, and close."""
        _refused.note("the request is not HTTP", self.address)
        try:
            super().send_400_response("Bad Request")
        except h11.LocalProtocolError:  # in the middle of an answer
            self.transport.close()

    def refuse(self, reason: str) -> None:
        """Close the connection."""
        _refused.note(reason, self.address)
        self.transport.abort()

    def _begin_request(self) -> None:
        self._deadline = self.loop.call_later(REQUEST_SECONDS, self.refuse, "the request did not come in time")

    def _end_request(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _has_tab(received: bytes) -> bool:
    """Whether there is a tab in the head of a request, as far as it has come."""
    head, _, _ = received.replace(b"\r\n", b"\n").partition(b"\n\n")
    return b"\t" in head


class BoundedBodies:
    """ASGI middleware: other versions of HTTP are not answered, and a body ends at its limit, while it arrives."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 505 or 413 instead of the application, or let it read a bounded body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["http_version"] not in VERSIONS:
            await problem(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "HTTP/1.1 is spoken here")(scope, receive, send)
        elif _announced(scope) > MAXIMUM_BODY_BYTES:
            await _too_large()(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer, as long as the body keeps its limit."""
        size = 0

        async def bounded() -> MutableMapping[str, Any]:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            return message if size <= MAXIMUM_BODY_BYTES else {"type": "http.disconnect"}

        async def unless_too_large(message: MutableMapping[str, Any]) -> None:
            if size <= MAXIMUM_BODY_BYTES:
                await send(message)

        try:
            await self._app(scope, bounded, unless_too_large)
        finally:
            if size > MAXIMUM_BODY_BYTES:
                await _too_large()(scope, receive, send)


def _announced(scope: Scope) -> int:
    """The Content-Length; h11 has seen to it that it is a number."""
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(lengths[0]) if lengths else 0


def _too_large() -> Any:
    return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request has at most {MAXIMUM_BODY_BYTES // 1024} KiB")

"""A small HTTP/1.1 server for a few pages, driven from a loop that it never holds up.

A request may have so many bytes and take so long; of more connections than there may be the oldest
goes. Every answer closes its connection (RFC 9112, 9.6).
"""

from __future__ import annotations

import ipaddress
import select
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import NamedTuple

from occulta.errors import OccultaError, Reason

MAX_REQUEST = 4_096
MAX_CONNECTIONS = 16
TIMEOUT = 5.0
"""Seconds from the connection to the last byte of the answer."""
_ACCEPTS = 32
"""Connections taken at a time."""
_READ = 4_096


class Page(NamedTuple):
    """An answer."""

    status: HTTPStatus
    content_type: str
    body: bytes


class _Connection:
    """A client's: a request coming in, then an answer going out."""

    def __init__(self, client: socket.socket, deadline: float) -> None:
        self.socket = client
        self.deadline = deadline
        self.request = bytearray()
        self.answer = memoryview(b"")


class HttpServer:
    """Pages by path. `fileno` is readable when `update` has something to do."""

    def __init__(self, host: str, port: int, pages: Mapping[str, Callable[[], Page]]) -> None:
        """`host` is an IP address or localhost; port 0 lets the system choose.

        Raises OccultaError(CONFIG_INVALID) where it cannot listen.
        """
        self.counters: Counter[int] = Counter()
        """Answers by status; 0 for connections that went without one."""
        self._pages = dict(pages)
        self._listener = _listen(host, port)
        self._poller = select.epoll()
        self._poller.register(self._listener, select.EPOLLIN)
        self._connections: dict[int, _Connection] = {}

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._listener.getsockname()[:2]
        return host, port

    def fileno(self) -> int:
        """The same as long as this lives."""
        return self._poller.fileno()

    def next_timer(self) -> float | None:
        """When the first client has taken too long."""
        return min((each.deadline for each in self._connections.values()), default=None)

    def update(self, now: float) -> None:
        """Do what can be done without waiting; `now` is of any steady clock."""
        for descriptor, _ in self._poller.poll(0):
            if descriptor == self._listener.fileno():
                self._accept(now)
            elif descriptor in self._connections:
                self._serve(self._connections[descriptor])
        for late in [each for each in self._connections.values() if each.deadline <= now]:
            self._drop(late)

    def close(self) -> None:
        """Stop listening; drop everyone."""
        for connection in list(self._connections.values()):
            self._close(connection)
        self._listener.close()
        self._poller.close()

    def _accept(self, now: float) -> None:
        for _ in range(_ACCEPTS):
            try:
                client, _ = self._listener.accept()
            except OSError:  # nobody, or somebody who has gone already
                return
            client.setblocking(False)
            if len(self._connections) >= MAX_CONNECTIONS:
                self._drop(next(iter(self._connections.values())))
            self._connections[client.fileno()] = _Connection(client, now + TIMEOUT)
            self._poller.register(client, select.EPOLLIN)

    def _serve(self, connection: _Connection) -> None:
        try:
            if not connection.answer:
                self._read(connection)
            if connection.answer:
                self._write(connection)
        except BlockingIOError:
            pass
        except OSError:
            self._drop(connection)

    def _read(self, connection: _Connection) -> None:
        data = connection.socket.recv(_READ)
        if not data:
            self._drop(connection)
            return
        connection.request += data
        end = connection.request.find(b"\r\n\r\n")
        if end >= 0 or len(connection.request) > MAX_REQUEST:
            page, has_body = self._answer(bytes(connection.request), end)
            self.counters[page.status.value] += 1
            connection.answer = memoryview(_encode(page, has_body))
            self._poller.modify(connection.socket, select.EPOLLOUT)

    def _answer(self, request: bytes, end: int) -> tuple[Page, bool]:
        """The page asked for, and whether its body is wanted."""
        words = request.split(b"\r\n", 1)[0].split(b" ")
        if end < 0 or end > MAX_REQUEST:
            return _error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE), True
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return _error(HTTPStatus.BAD_REQUEST), True
        path = words[1].split(b"?", 1)[0].decode("ascii", "replace")
        if words[0] not in (b"GET", b"HEAD"):
            return _error(HTTPStatus.METHOD_NOT_ALLOWED), True
        return self._page(path), words[0] == b"GET"

    def _page(self, path: str) -> Page:
        make = self._pages.get(path)
        try:
            return make() if make else _error(HTTPStatus.NOT_FOUND)
        except OccultaError:  # of the disk, say: whoever needs it says so
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR)

    def _write(self, connection: _Connection) -> None:
        sent = connection.socket.send(connection.answer)
        connection.answer = connection.answer[sent:]
        if not connection.answer:
            connection.socket.shutdown(socket.SHUT_WR)
            self._close(connection)

    def _drop(self, connection: _Connection) -> None:
        self.counters[0] += 1
        self._close(connection)

    def _close(self, connection: _Connection) -> None:
        del self._connections[connection.socket.fileno()]
        with suppress(OSError):
            self._poller.unregister(connection.socket)
        connection.socket.close()


def _encode(page: Page, has_body: bool) -> bytes:
    head = [
        f"HTTP/1.1 {page.status.value} {page.status.phrase}", f"Content-Type: {page.content_type}",
        f"Content-Length: {len(page.body)}", "Connection: close", "Cache-Control: no-store",
    ]
    if page.status is HTTPStatus.METHOD_NOT_ALLOWED:
        head.append("Allow: GET, HEAD")
    return "\r\n".join([*head, "", ""]).encode() + (page.body if has_body else b"")


def _error(status: HTTPStatus) -> Page:
    return Page(status, "text/plain", f"{status.value} {status.phrase}\n".encode())


def _listen(host: str, port: int) -> socket.socket:
    # Names are not looked up: that may take long, and listen where nobody expects it.
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise _unusable(host, port, "not an IP address, nor localhost") from None
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        listener = socket.create_server((str(address), port), family=family, backlog=_ACCEPTS)
    except (OSError, OverflowError) as error:
        raise _unusable(host, port, str(error)) from None
    listener.setblocking(False)
    return listener


def _unusable(host: str, port: int, why: str) -> OccultaError:
    hint = "choose another host or port for metrics"
    return OccultaError(Reason.CONFIG_INVALID, f"cannot listen at {host} port {port}: {why}", hint)

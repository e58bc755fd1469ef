"""Endpoints on loopback for tests: who owns every socket and context, and fails on what is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import zmq

from occulta.link.endpoint import Client, ClientKeys, Endpoint, Server, Settings, public_key

PATIENCE = 60.0
"""Seconds after which a test that waits has failed; none of them waits that long."""
SERVER_KEY = bytes(range(1, 33))
ALICE, BOB, EVE = (bytes(range(first, first + 32)) for first in (2, 3, 4))
ALLOWED = {public_key(ALICE): "alice", public_key(BOB): "bob"}
SETTINGS = Settings(1000)
ANY_PORT = "tcp://127.0.0.1:*"


class World:
    """Makes endpoints and plain sockets, polls them all, and ends them."""

    def __init__(self) -> None:
        self._contexts: list[Any] = []
        self._endpoints: list[Endpoint] = []
        self._sockets: list[Any] = []
        self.received: dict[Endpoint, list[tuple[str, bytes]]] = {}

    def context(self) -> Any:
        self._contexts.append(zmq.Context())
        return self._contexts[-1]

    def server(self, address: str = ANY_PORT, allowed: dict[bytes, str] | None = None,
               settings: Settings = SETTINGS, key: bytes | None = SERVER_KEY,
               context: Any = None) -> Server:
        names = ALLOWED if allowed is None else allowed
        return self._add(Server(
            context or self.context(), address, names, settings, secret_key=key))

    def client(self, server: Server, key: bytes = ALICE, settings: Settings = SETTINGS,
               server_key: bytes = public_key(SERVER_KEY), **options: Any) -> Client:
        keys = ClientKeys(key, server_key)
        return self._add(Client(
            self.context(), server.address, "server", settings, keys, **options))

    def local(self, address: str, routing_id: bytes, context: Any = None) -> Client:
        """A client without CURVE."""
        return self._add(Client(
            context or self.context(), address, "server", SETTINGS, routing_id))

    def raw(self, address: str, key: bytes | None = None, routing_id: bytes | None = None,
            kind: int = zmq.DEALER, bind: bool = False) -> Any:
        """A socket that keeps none of the endpoints' manners."""
        socket = self.own(self.context().socket(kind))
        if routing_id is not None:
            socket.routing_id = routing_id
        if key is not None:
            socket.curve_serverkey = public_key(SERVER_KEY)
            socket.curve_publickey, socket.curve_secretkey = public_key(key), key
        socket.bind(address) if bind else socket.connect(address)
        return socket

    def own(self, socket: Any) -> Any:
        """Close this one too at the end."""
        self._sockets.append(socket)
        socket.linger = 0
        return socket

    def _add(self, endpoint: Any) -> Any:
        self._endpoints.append(endpoint)
        self.received[endpoint] = []
        return endpoint

    def run(self, until: Callable[[], object], *only: Endpoint, limit: int = 10) -> None:
        """Poll the endpoints, all or some, as a program does, until something is so."""
        chosen = [each for each in only or self._endpoints if not each.sockets()[0][0].closed]
        end = time.monotonic() + PATIENCE
        poller = zmq.Poller()
        for endpoint in chosen:
            for socket, events in endpoint.sockets():
                poller.register(socket, events)
        while not until():
            assert time.monotonic() < end, "nothing happened"
            poller.poll(100)
            for endpoint in chosen:
                self.received[endpoint] += endpoint.receive(limit)

    def connect(self, server: Server, **clients: Client) -> None:
        """Run until both ends know of each other; clients by the names of their keys."""
        self.run(lambda: set(clients) <= server.connected()
                 and all(client.connected() for client in clients.values()))

    def exchange(self, client: Client, server: Server, name: str) -> None:
        """Connected, a packet each way: it works."""
        self.run(lambda: client.connected() and name in server.connected())
        before = len(self.received[server]), len(self.received[client])
        assert client.send("server", b"up") and server.send(name, b"down")
        self.run(lambda: len(self.received[server]) > before[0]
                 and len(self.received[client]) > before[1])
        assert self.received[server][-1] == (name, b"up")
        assert self.received[client][-1] == ("server", b"down")

    def terminate(self, context: Any) -> None:
        """End a context; it hangs, and the test fails, if a socket in it is open."""
        in_time(context.term)

    def end(self) -> None:
        for endpoint in self._endpoints:
            in_time(endpoint.close)
        for socket in self._sockets:
            socket.close(0)
        for context in self._contexts:
            self.terminate(context)


def in_time(end: Callable[[], object]) -> None:
    """Call what must not hang, even if it is broken."""
    thread = threading.Thread(target=end, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "something was left open"

"""ZeroMQ sockets between known peers: one message is one packet. The library's one file with I/O.

A server (ROUTER) and its clients (DEALER) speak CURVE (RFC 26). The server answers libzmq's
question who may connect (ZAP, RFC 27) from an allow-list, and each message comes out under the
name that its connection's key has there: a routing id or an address names nobody. On `ipc://` and
`inproc://`, where the system guards the path, CURVE may be left out; then a client is known by the
routing id it declares.

One thread owns everything: it polls `sockets()`, calls `receive` on every endpoint after each
poll, at the latest every few seconds, and never blocks in here. A message is refused by its number
of parts and its length before anything reads it; what is refused is counted in `dropped`. Far
beyond `max_packet`, and where bytes are not ZeroMQ's at all, libzmq ends the connection unasked.
Of more connections than a server may have, those end first over which nobody known was heard.
"""

from __future__ import annotations

import errno
import socket
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import zmq
from zmq.utils import z85

from occulta.link.drops import Drop, DropCounts, PacketError

KEY_SIZE = 32
STALLED = 15.0
"""Seconds without a sign of reconnecting after which a client connects anew."""
_ZAP_ADDRESS = "inproc://zeromq.zap.01"
_ZAP_VERSION = b"1.0"
_ZAP_DOMAIN = b"occulta"
_CURVE_OVERHEAD = 64
_MAX_ROUTES = 4
"""Connections that a peer is reached by."""
_MAX_STRANGERS = 8
"""Connections to a server beside those, so that many may come and go at once."""
_LENGTH_MARGIN = 1 << 16
"""Bytes by which a message may be too long for its connection to go on."""
_MAX_EVENTS = 1000
_EVENT = struct.Struct("=Hi")
"""Number and value of a monitor event (zmq_socket_monitor(3))."""
_ENOUGH = 1 << 20
"""Bytes read at once."""
_NO_DESCRIPTOR = -1
_HANDSHAKE_FAILED = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
_EVENTS = (
    _HANDSHAKE_FAILED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_ACCEPTED | zmq.EVENT_CONNECTED | zmq.EVENT_CONNECT_DELAYED
    | zmq.EVENT_CONNECT_RETRIED
)
_OPTIONS = {
    zmq.HANDSHAKE_IVL: 3000, zmq.TCP_KEEPALIVE: 1, zmq.TCP_KEEPALIVE_IDLE: 10,
    zmq.TCP_KEEPALIVE_INTVL: 5, zmq.TCP_KEEPALIVE_CNT: 3,
    zmq.CONNECT_TIMEOUT: 5000, zmq.RECONNECT_IVL: 100, zmq.RECONNECT_IVL_MAX: 5000,
}
_HEARTBEAT = {zmq.HEARTBEAT_IVL: 2000, zmq.HEARTBEAT_TIMEOUT: 6000, zmq.HEARTBEAT_TTL: 6000}
"""Clients' alone, and servers hear them: where many bytes wait to be read from a peer that has hung
up, libzmq 4.3.5 aborts when its own heartbeat falls due."""

Socket = zmq.Socket[bytes]
Context = zmq.Context[zmq.Socket[bytes]]


@dataclass(frozen=True, slots=True)
class Settings:
    """Bounds of an endpoint; raises ValueError.

    `max_packet` is in bytes (1 to 16 MiB), `queue` in messages per peer and direction (1 to 64),
    `linger` the milliseconds for which the context, when it ends, waits for what is not sent yet.
    """

    max_packet: int
    queue: int = 32
    linger: int = 0

    def __post_init__(self) -> None:
        in_range = 1 <= self.max_packet <= 1 << 24 and 1 <= self.queue <= 64
        if not in_range or self.linger < 0:
            raise ValueError(f"settings out of range: {self}")


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """A client's CURVE secret key and its server's public key, 32 bytes; raises ValueError."""

    secret_key: bytes = field(repr=False)
    server_key: bytes

    def __post_init__(self) -> None:
        _check_key(self.secret_key)
        _check_key(self.server_key)


def public_key(secret_key: bytes) -> bytes:
    """The public half, 32 bytes, of a CURVE secret key, 32 bytes; raises ValueError."""
    _check_key(secret_key)
    return z85.decode(zmq.curve_public(z85.encode(secret_key)))


class Endpoint(ABC):
    """What `Server` and `Client` share."""

    _parts: int

    def __init__(
        self, context: Context, kind: int, address: str, settings: Settings, with_curve: bool
    ) -> None:
        if not with_curve and not address.startswith(("ipc://", "inproc://")):
            raise ValueError(f"{address} needs CURVE keys")
        self.dropped = DropCounts()
        self._settings = settings
        self._socket: Socket = context.socket(kind)
        self._monitor: Socket = self._socket.get_monitor_socket(_EVENTS)
        for option, value in _OPTIONS.items():
            self._socket.set(option, value)
        margin = min(settings.max_packet, _LENGTH_MARGIN) + _CURVE_OVERHEAD
        self._socket.set(zmq.MAXMSGSIZE, settings.max_packet + margin)
        self._socket.set(zmq.SNDHWM, settings.queue)
        self._socket.set(zmq.RCVHWM, settings.queue)
        self._socket.set(zmq.LINGER, settings.linger)

    def sockets(self) -> list[tuple[Socket, int]]:
        """What to register with a `zmq.Poller`: sockets, and the events to wait for."""
        return [(self._socket, zmq.POLLIN), (self._monitor, zmq.POLLIN)]

    def receive(self, limit: int) -> list[tuple[str, bytes]]:
        """Read at most `limit` messages, refused ones included: (peer's name, packet).

        None is read after a MiB. Also does what else is due, so call it even if nothing waits.
        Raises ValueError for a limit below 1 and after `close`.
        """
        if limit < 1 or self._socket.closed:
            raise ValueError(f"cannot receive {limit} messages: none asked for, or closed")
        self._serve()
        found = []
        size = 0
        while limit > 0 and size < _ENOUGH:
            limit -= 1
            frames = _read(self._socket, self._parts)
            if frames is None:
                break
            try:
                name = self._accept(frames)
            except PacketError as error:
                self.dropped[error.drop] += 1
                continue
            if len(frames[-1]):  # an empty one is a client's greeting: ZMQ_PROBE_ROUTER
                found.append((name, frames[-1].bytes))
                size += len(frames[-1])
        return found

    def send(self, peer: str, packet: bytes) -> bool:
        """Queue a packet for a peer; False if it is absent or its queue full (QUEUE_FULL).

        Raises ValueError for a name that is no peer's, for an empty or too long packet and after
        `close`.
        """
        if self._socket.closed:
            raise ValueError("the endpoint is closed")
        if not 1 <= len(packet) <= self._settings.max_packet:
            raise ValueError(f"{len(packet)} bytes, at most {self._settings.max_packet}")
        return self._send(peer, packet)

    @abstractmethod
    def connected(self) -> set[str]:
        """Names of the peers connected as of the last `receive` or `send`."""

    def close(self) -> None:
        """Close every socket; again is harmless."""
        if not self._socket.closed:
            self._drop_events()
            self._socket.disable_monitor()
            self._monitor.close(0)
            self._socket.close()

    def _drop_events(self) -> None:
        """A full monitor would keep libzmq's thread waiting for ever.

        Nothing is parsed: an interrupt may have come between the two parts of an event.
        """
        with suppress(zmq.Again):
            for _ in range(2 * _MAX_EVENTS):
                self._monitor.recv(zmq.DONTWAIT)

    @abstractmethod
    def _send(self, peer: str, packet: bytes) -> bool: ...

    @abstractmethod
    def _name(self, frames: list[zmq.Frame]) -> str: ...

    @abstractmethod
    def _handle_event(self, event: int, value: int) -> None: ...

    def _serve(self) -> None:
        self._handle_events()

    def _accept(self, frames: list[zmq.Frame]) -> str:
        if len(frames) != self._parts:
            raise PacketError(Drop.PART_COUNT, f"a message is {self._parts} parts")
        if len(frames[-1]) > self._settings.max_packet:
            raise PacketError(Drop.FRAME_TOO_LONG, f"{len(frames[-1])} bytes")
        return self._name(frames)

    def _handle_events(self) -> None:
        for _ in range(_MAX_EVENTS):
            try:
                number_and_value, _ = self._monitor.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            # What zmq.utils.monitor does, which would bring asyncio and 2 MiB with it.
            event, value = _EVENT.unpack(number_and_value)
            if event & _HANDSHAKE_FAILED:
                self.dropped[Drop.UNKNOWN_PEER] += 1
            self._handle_event(event, value)


class Server(Endpoint):
    """Waits for the peers on its allow-list. A context holds one server with CURVE."""

    _parts = 2

    def __init__(
        self, context: Context, address: str, allowed: Mapping[bytes, str], settings: Settings,
        *, secret_key: bytes | None = None,
    ) -> None:
        """Bind to `address`.

        `allowed` maps clients' CURVE public keys, 32 bytes, to names; without `secret_key` (the
        server's, 32 bytes) it maps the routing ids that clients declare. Raises ValueError for
        malformed keys or names, a transport that needs CURVE and a second CURVE server in the
        context, and zmq.ZMQError for an address that cannot be bound.
        """
        _check_names(allowed, is_curve=secret_key is not None)
        public = None if secret_key is None else public_key(secret_key)
        super().__init__(context, zmq.ROUTER, address, settings, public is not None)
        self._allowed = dict(allowed)
        self._routes: dict[str, dict[bytes, int]] = {name: {} for name in allowed.values()}
        self._open: dict[int, None] = {}
        self._authenticator: Socket | None = None
        try:
            self._socket.set(zmq.ROUTER_MANDATORY, 1)
            if secret_key is None:
                self._socket.set(zmq.ROUTER_HANDOVER, 1)
            else:
                self._authenticator = _open_authenticator(context)
                self._socket.set(zmq.CURVE_SERVER, 1)
                self._socket.set(zmq.CURVE_SECRETKEY, secret_key)
                self._socket.set(zmq.ZAP_DOMAIN, _ZAP_DOMAIN)
            self._socket.bind(address)
        except (zmq.ZMQError, ValueError):
            self.close()
            raise
        self.address = self._socket.get_string(zmq.LAST_ENDPOINT)
        """Where it is bound, with the port that the system chose for `:0` or `:*`."""

    def sockets(self) -> list[tuple[Socket, int]]:
        """As of `Endpoint`, and the socket on which libzmq asks who may connect."""
        asked = self._authenticator
        return super().sockets() + ([] if asked is None else [(asked, zmq.POLLIN)])

    def connected(self) -> set[str]:
        """Names of the peers that have a connection."""
        return {name for name, routes in self._routes.items() if routes}

    def close(self) -> None:
        """As of `Endpoint`; another CURVE server may then be opened in the context."""
        if self._authenticator is not None and not self._authenticator.closed:
            self._authenticator.unbind(_ZAP_ADDRESS)
            self._authenticator.close(0)
        super().close()

    def _serve(self) -> None:
        while self._authenticator is not None:
            try:
                request = self._authenticator.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                break
            self._authenticator.send_multipart(self._answer(request))
        super()._serve()
        while len(self._open) > _MAX_ROUTES * len(self._routes) + _MAX_STRANGERS:
            self._hang_up()

    def _answer(self, request: list[bytes]) -> list[bytes]:
        """RFC 27: version, id, domain, address, routing id, mechanism, credentials."""
        is_curve = request[2:3] == [_ZAP_DOMAIN] and request[5:6] == [b"CURVE"]
        name = self._allowed.get(request[-1]) if is_curve else None
        head = [_ZAP_VERSION, *request[1:2]]
        if name is None:
            return [*head, b"400", b"not on the allow-list", b"", b""]
        return [*head, b"200", b"OK", name.encode(), b""]

    def _send(self, peer: str, packet: bytes) -> bool:
        if peer not in self._routes:
            raise ValueError(f"no peer is called {peer}")
        routes = self._routes[peer]
        while routes:
            newest = next(reversed(routes))
            try:
                self._socket.send_multipart([newest, packet], zmq.DONTWAIT)
                return True
            except zmq.Again:
                self.dropped[Drop.QUEUE_FULL] += 1
                return False
            except zmq.ZMQError as error:
                if error.errno != errno.EHOSTUNREACH:
                    raise
                del routes[newest]
        return False

    def _name(self, frames: list[zmq.Frame]) -> str:
        route = frames[0].bytes
        if self._authenticator is None:
            name = self._allowed.get(route)
        else:
            name = _metadata(frames[1], "User-Id")
        if name not in self._routes:
            raise PacketError(Drop.UNKNOWN_PEER, "not on the allow-list")
        self._note(name, route, frames[1])
        return name

    def _note(self, name: str, route: bytes, frame: zmq.Frame) -> None:
        """Remember that the peer is reached by this route, its newest if seen the first time."""
        routes, descriptor = self._routes[name], _descriptor(frame)
        if routes.get(route) == descriptor:
            return
        # The number may have been an ended connection's, whose end must be heard of first.
        self._handle_events()
        if descriptor == _NO_DESCRIPTOR or descriptor in self._open:
            routes.pop(route, None)
            routes[route] = descriptor
        while len(routes) > _MAX_ROUTES:
            del routes[next(iter(routes))]

    def _handle_event(self, event: int, value: int) -> None:
        if event == zmq.EVENT_ACCEPTED:
            self._open[value] = None
        elif event == zmq.EVENT_DISCONNECTED:
            self._open.pop(value, None)
            for routes in self._routes.values():
                for route in [route for route, number in routes.items() if number == value]:
                    del routes[route]

    def _hang_up(self) -> None:
        """End the oldest connection over which nobody known was heard.

        Each holds a descriptor, without any more of which libzmq aborts, and a few messages.
        """
        used = {number for routes in self._routes.values() for number in routes.values()}
        victim = next(number for number in self._open if number not in used)
        del self._open[victim]
        self.dropped[Drop.TOO_MANY_CONNECTIONS] += 1
        with suppress(OSError), socket.fromfd(victim, socket.AF_UNIX, socket.SOCK_STREAM) as ended:
            ended.shutdown(socket.SHUT_RDWR)


class Client(Endpoint):
    """Connects to one server, for ever."""

    _parts = 1

    def __init__(
        self, context: Context, address: str, peer: str, settings: Settings,
        identity: ClientKeys | bytes, clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect to `address`; the server there is called `peer`.

        `identity` is CURVE keys or, without CURVE, the routing id that the server's allow-list
        names (1 to 255 bytes, the first not zero). `clock` gives seconds and never goes back.
        Raises ValueError for a malformed routing id and a transport that needs CURVE, and
        zmq.ZMQError for a malformed address.
        """
        has_keys = isinstance(identity, ClientKeys)
        super().__init__(context, zmq.DEALER, address, settings, has_keys)
        self._peer = peer
        self._address = address
        self._clock = clock
        self._is_connected = address.startswith("inproc://")
        self._seen = clock()
        try:
            for option, value in _HEARTBEAT.items():
                self._socket.set(option, value)
            # Without a connection nothing is queued, and a new one is announced to the server.
            self._socket.set(zmq.IMMEDIATE, 1)
            self._socket.set(zmq.PROBE_ROUTER, 1)
            self._identify(identity)
            self._socket.connect(address)
        except (zmq.ZMQError, ValueError):
            self.close()
            raise

    def connected(self) -> set[str]:
        """The server's name while there is a connection; always over inproc."""
        return {self._peer} if self._is_connected else set()

    def _identify(self, identity: ClientKeys | bytes) -> None:
        if isinstance(identity, ClientKeys):
            self._socket.set(zmq.CURVE_SERVERKEY, identity.server_key)
            self._socket.set(zmq.CURVE_PUBLICKEY, public_key(identity.secret_key))
            self._socket.set(zmq.CURVE_SECRETKEY, identity.secret_key)
        elif 1 <= len(identity) <= 255 and identity[0]:
            self._socket.set(zmq.ROUTING_ID, identity)
        else:
            raise ValueError("a routing id has 1 to 255 bytes, the first of them not zero")

    def _serve(self) -> None:
        super()._serve()
        if not self._is_connected and self._clock() - self._seen >= STALLED:
            self._reconnect()

    def _reconnect(self) -> None:
        """Connect anew: after a handshake that failed libzmq itself never tries again."""
        self._seen = self._clock()
        self._socket.disconnect(self._address)
        self._socket.connect(self._address)

    def _send(self, peer: str, packet: bytes) -> bool:
        if peer != self._peer:
            raise ValueError(f"no peer is called {peer}")
        if not self._is_connected:
            return False
        try:
            self._socket.send(packet, zmq.DONTWAIT)
        except zmq.Again:
            self.dropped[Drop.QUEUE_FULL] += 1
            return False
        return True

    def _name(self, frames: list[zmq.Frame]) -> str:
        return self._peer

    def _handle_event(self, event: int, value: int) -> None:
        self._seen = self._clock()
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._is_connected = True
        elif event == zmq.EVENT_DISCONNECTED or event & _HANDSHAKE_FAILED:
            self._is_connected = False


def _read(socket: Socket, parts: int) -> list[zmq.Frame] | None:
    """The next message, cut after one frame more than `parts`; None if there is none."""
    try:
        frame = socket.recv(zmq.DONTWAIT, copy=False)
    except zmq.Again:
        return None
    frames = [frame]
    while frame.more:
        frame = socket.recv(zmq.DONTWAIT, copy=False)
        if len(frames) <= parts:
            frames.append(frame)
    return frames


def _metadata(frame: zmq.Frame, name: str) -> str:
    try:
        return str(frame.get(name))
    except zmq.ZMQError:
        return ""


def _descriptor(frame: zmq.Frame) -> int:
    """The number of the connection's socket, as monitor events give it; none over inproc."""
    try:
        return int(frame.get(zmq.SRCFD))
    except zmq.ZMQError:
        return _NO_DESCRIPTOR


def _open_authenticator(context: Context) -> Socket:
    socket: Socket = context.socket(zmq.REP)
    try:
        socket.bind(_ZAP_ADDRESS)
    except zmq.ZMQError:
        socket.close(0)
        raise ValueError("the context already has a CURVE server: use another") from None
    return socket


def _check_key(key: bytes) -> None:
    if len(key) != KEY_SIZE:
        raise ValueError(f"a CURVE key has {KEY_SIZE} bytes, not {len(key)}")


def _check_names(allowed: Mapping[bytes, str], *, is_curve: bool) -> None:
    for key, name in allowed.items():
        if is_curve:
            _check_key(key)
        if not (1 <= len(name) <= 64 and name.isascii() and name.isprintable()):
            raise ValueError(f"{name!r} is not a peer's name: 1 to 64 printable ASCII characters")

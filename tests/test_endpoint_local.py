"""Endpoints without CURVE, their misuse, and how they end.

Proves that on local transports a peer is the routing id it declared, that every other transport
demands keys, that mistakes of the caller are ValueErrors which leave nothing open, that the
options of the link are set, and that closing is final and frees what it held.
"""

from __future__ import annotations

import socket as tcp
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from occulta.link.drops import Drop
from occulta.link.endpoint import Client, ClientKeys, Server, Settings, public_key
from tests.endpoint_world import (
    ALICE,
    ALLOWED,
    ANY_PORT,
    EVE,
    SERVER_KEY,
    SETTINGS,
    World,
    in_time,
)

LOCAL = {b"camera": "camera", b"payload": "payload program"}


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    try:
        yield made
    finally:
        made.end()


# --- without CURVE


@pytest.mark.parametrize("transport", ["ipc", "inproc"])
def test_local_peers(world: World, tmp_path: Path, transport: str) -> None:
    context = world.context()
    server = world.server(f"{transport}://{tmp_path}/daemon", LOCAL, key=None, context=context)
    camera, payload, other = (
        world.local(server.address, name, context) for name in (b"camera", b"payload", b"other"))
    world.run(lambda: server.connected() == {"camera", "payload program"}
              and server.dropped[Drop.UNKNOWN_PEER] == 1)
    assert other.send("server", b"hello")
    world.run(lambda: server.dropped == {Drop.UNKNOWN_PEER: 2})
    world.exchange(camera, server, "camera")
    world.exchange(payload, server, "payload program")
    assert world.received[other] == []


@pytest.mark.parametrize("transport", ["ipc", "inproc"])
def test_a_local_peer_comes_back(world: World, tmp_path: Path, transport: str) -> None:
    context = world.context()
    server = world.server(f"{transport}://{tmp_path}/daemon", LOCAL, key=None, context=context)
    camera = world.local(server.address, b"camera", context)
    world.exchange(camera, server, "camera")
    camera.close()
    world.run(lambda: not server.send("camera", b"x") and not server.connected())
    again = world.local(server.address, b"camera", context)
    world.exchange(again, server, "camera")


def test_a_routing_id_is_taken_over(world: World, tmp_path: Path) -> None:
    """A connection that hangs does not keep its peer out."""
    server = world.server(f"ipc://{tmp_path}/daemon", LOCAL, key=None)
    old = world.local(server.address, b"camera")
    world.exchange(old, server, "camera")
    new = world.local(server.address, b"camera")
    world.run(new.connected, new, server)
    assert new.send("server", b"here")
    world.run(lambda: len(world.received[server]) == 2, new, server)
    assert server.send("camera", b"to the new one")
    world.run(lambda: world.received[new], new, server)
    assert world.received[new] == [("server", b"to the new one")]
    assert server.connected() == {"camera"}


def test_a_local_server_stands_beside_one_with_keys(world: World, tmp_path: Path) -> None:
    context = world.context()
    local = world.server(f"ipc://{tmp_path}/daemon", LOCAL, key=None, context=context)
    server = world.server(context=context)
    camera, alice = world.local(local.address, b"camera"), world.client(server)
    world.exchange(camera, local, "camera")
    world.exchange(alice, server, "alice")


# --- misuse


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:*", "ws://127.0.0.1:*", "127.0.0.1", ""])
def test_other_transports_need_keys(world: World, address: str) -> None:
    with pytest.raises(ValueError, match="needs CURVE"):
        Server(world.context(), address, LOCAL, SETTINGS)
    with pytest.raises(ValueError, match="needs CURVE"):
        Client(world.context(), address, "server", SETTINGS, b"camera")


@pytest.mark.parametrize(("allowed", "key"), [
    ({bytes(31): "alice"}, SERVER_KEY), ({bytes(33): "alice"}, SERVER_KEY), ({}, SERVER_KEY[1:]),
    ({public_key(ALICE): ""}, SERVER_KEY), ({public_key(ALICE): "a" * 65}, SERVER_KEY),
    ({public_key(ALICE): "é"}, SERVER_KEY), ({public_key(ALICE): "a\n"}, SERVER_KEY),
])
def test_malformed_lists_and_keys(world: World, allowed: dict[bytes, str], key: bytes) -> None:
    with pytest.raises(ValueError):
        Server(world.context(), ANY_PORT, allowed, SETTINGS, secret_key=key)


@pytest.mark.parametrize("routing_id", [b"", b"\0a", b"a" * 256])
def test_malformed_routing_ids(world: World, tmp_path: Path, routing_id: bytes) -> None:
    with pytest.raises(ValueError, match="routing id"):
        Client(world.context(), f"ipc://{tmp_path}/x", "server", SETTINGS, routing_id)


def test_malformed_client_keys() -> None:
    for keys in ((ALICE[1:], EVE), (ALICE, EVE[1:]), (b"", b"")):
        with pytest.raises(ValueError, match="32 bytes"):
            ClientKeys(*keys)
    assert ALICE.hex() not in repr(ClientKeys(ALICE, EVE)) and str(ALICE) not in repr(
        ClientKeys(ALICE, EVE))


@pytest.mark.parametrize("options", [
    {"max_packet": 0}, {"max_packet": (1 << 24) + 1}, {"queue": 0}, {"queue": 65}, {"linger": -1},
])
def test_settings_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="out of range"):
        Settings(**{"max_packet": 1000, **options})


def test_calls_that_make_no_sense(world: World) -> None:
    server = world.server()
    client = world.client(server)
    for endpoint, peer in ((server, "alice"), (client, "server")):
        for packet in (b"", bytes(1001)):
            with pytest.raises(ValueError, match="bytes, at most 1000"):
                endpoint.send(peer, packet)
        with pytest.raises(ValueError, match="no peer is called eve"):
            endpoint.send("eve", b"x")
        with pytest.raises(ValueError, match="receive 0"):
            endpoint.receive(0)


def test_one_server_with_keys_per_context(world: World) -> None:
    context = world.context()
    first = world.server(context=context)
    with pytest.raises(ValueError, match="already has a CURVE server"):
        world.server(context=context)
    first.close()
    second = world.server(context=context)
    world.exchange(world.client(second), second, "alice")


def test_an_address_that_cannot_be_used(world: World) -> None:
    """Nothing stays open behind the error: the fixture ends the contexts."""
    server = world.server()
    with pytest.raises(zmq.ZMQError):
        Server(world.context(), server.address, ALLOWED, SETTINGS, secret_key=SERVER_KEY)
    keys = ClientKeys(ALICE, public_key(SERVER_KEY))
    with pytest.raises(zmq.ZMQError):
        Client(world.context(), "nonsense", "server", SETTINGS, keys)


# --- options and the end


def test_the_options_of_the_link(world: World) -> None:
    server = world.server(settings=Settings(1000, queue=16, linger=7))
    client = world.client(server, settings=Settings(1000, queue=16, linger=7))
    expected = {
        zmq.HANDSHAKE_IVL: 3000, zmq.TCP_KEEPALIVE: 1, zmq.CONNECT_TIMEOUT: 5000,
        zmq.RECONNECT_IVL: 100, zmq.RECONNECT_IVL_MAX: 5000, zmq.SNDHWM: 16, zmq.RCVHWM: 16,
        zmq.LINGER: 7,
    }
    for endpoint in (server, client):
        socket = endpoint.sockets()[0][0]
        assert {option: socket.get(option) for option in expected} == expected
        assert 1000 < socket.get(zmq.MAXMSGSIZE) <= 3000
    # libzmq's own heartbeat can abort a server that has yet to read what a lost client sent.
    beats = (zmq.HEARTBEAT_IVL, zmq.HEARTBEAT_TIMEOUT, zmq.HEARTBEAT_TTL)
    assert [client.sockets()[0][0].get(beat) for beat in beats] == [2000, 6000, 6000]
    assert server.sockets()[0][0].get(zmq.HEARTBEAT_IVL) == 0


def test_what_to_poll(world: World) -> None:
    server = world.server()
    client = world.client(server)
    for endpoint, count in ((server, 3), (client, 2)):
        assert [events for _, events in endpoint.sockets()] == [zmq.POLLIN] * count
        assert len({socket for socket, _ in endpoint.sockets()}) == count


def test_the_end(world: World) -> None:
    context = world.context()
    server = world.server(context=context)
    client = world.client(server)
    world.exchange(client, server, "alice")
    client.send("server", b"on its way")
    for endpoint, peer in ((server, "alice"), (client, "server")):
        sockets = [socket for socket, _ in endpoint.sockets()]
        endpoint.close()
        endpoint.close()
        assert all(socket.closed for socket in sockets)
        with pytest.raises(ValueError, match="closed"):
            endpoint.send(peer, b"x")
        with pytest.raises(ValueError, match="closed"):
            endpoint.receive(1)
    world.terminate(context)


def test_closing_with_every_event_unread(world: World) -> None:
    """A full monitor holds libzmq's own thread up, but not the end."""
    server = world.server()
    host, port = server.address.removeprefix("tcp://").split(":")
    for _ in range(1500):
        try:
            tcp.create_connection((host, int(port)), timeout=0.2).close()
        except TimeoutError:  # nobody accepts any more
            break
    in_time(server.close)


def test_closing_with_an_event_half_read(world: World) -> None:
    """As an interrupt leaves it that comes between the two parts of an event."""
    context = world.context()
    server = world.server(context=context)
    monitor = server.sockets()[1][0]
    host, port = server.address.removeprefix("tcp://").split(":")
    tcp.create_connection((host, int(port)), timeout=1).close()
    assert monitor.poll(10_000)
    assert monitor.recv() and monitor.get(zmq.RCVMORE)
    in_time(server.close)
    world.terminate(context)

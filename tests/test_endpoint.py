"""Endpoints on loopback: known peers talk, everything else is refused, counted, and harms nobody.

Proves that packets cross both ways under the names of the peers' keys, that strangers, plain
sockets, wrong keys, garbage, long frames and many parts end in their counters, that a full queue
or an absent peer never blocks, that peers come back from both sides, also after a refusal, and
that closing leaves nothing open.
"""

from __future__ import annotations

import itertools
import random
import socket as tcp
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from occulta.link.drops import Drop
from occulta.link.endpoint import Client, Server, Settings, public_key
from tests.endpoint_world import ALICE, BOB, EVE, SERVER_KEY, World


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    try:
        yield made
    finally:
        made.end()


# --- known peers


def test_both_ways(world: World) -> None:
    server = world.server()
    client = world.client(server)
    world.connect(server, alice=client)
    assert (server.connected(), client.connected()) == ({"alice"}, {"server"})
    up = [bytes([at]) * (at + 1) for at in range(20)] + [bytes(1000)]
    down = [packet[::-1] + b"down" for packet in up[:-1]]
    assert all(client.send("server", packet) for packet in up)
    assert all(server.send("alice", packet) for packet in down)
    world.run(lambda: len(world.received[server]) == len(up)
              and len(world.received[client]) == len(down))
    assert world.received[server] == [("alice", packet) for packet in up]
    assert world.received[client] == [("server", packet) for packet in down]
    assert not server.dropped and not client.dropped


def test_several_clients(world: World) -> None:
    server = world.server()
    alice, bob = world.client(server, ALICE), world.client(server, BOB)
    world.connect(server, alice=alice, bob=bob)
    assert alice.send("server", b"a") and bob.send("server", b"b")
    assert server.send("alice", b"to a") and server.send("bob", b"to b")
    world.run(lambda: len(world.received[server]) == 2
              and world.received[alice] and world.received[bob])
    assert sorted(world.received[server]) == [("alice", b"a"), ("bob", b"b")]
    assert world.received[alice] == [("server", b"to a")]
    assert world.received[bob] == [("server", b"to b")]


def test_a_peer_is_its_key_not_its_routing_id(world: World) -> None:
    server = world.server()
    raw = world.raw(server.address, BOB, routing_id=b"alice")
    raw.send(b"hello")
    world.run(lambda: world.received[server])
    assert world.received[server] == [("bob", b"hello")]
    assert server.connected() == {"bob"}
    assert server.send("bob", b"answer")
    assert raw.poll(20_000) and raw.recv() == b"answer"


def test_the_newest_connection_of_a_key_gets_what_is_sent(world: World) -> None:
    server = world.server()
    old = world.client(server)
    world.connect(server, alice=old)
    new = world.client(server)
    world.run(new.connected)
    assert new.send("server", b"here")
    world.run(lambda: world.received[server])
    assert server.send("alice", b"first")
    world.run(lambda: world.received[new])
    assert (world.received[old], world.received[new]) == ([], [("server", b"first")])
    new.close()
    # Until the server has noticed, packets go to the connection that ended.
    world.run(lambda: server.send("alice", b"second") and world.received[old])
    assert world.received[old][0] == ("server", b"second")


def test_a_client_goes_and_comes_back(world: World) -> None:
    server = world.server()
    alice, bob = world.client(server, ALICE), world.client(server, BOB)
    world.connect(server, alice=alice, bob=bob)
    alice.close()
    world.run(lambda: server.connected() == {"bob"})
    assert not server.send("alice", b"nobody there")
    back = world.client(server, ALICE)
    world.connect(server, alice=back)
    world.exchange(back, server, "alice")
    world.exchange(bob, server, "bob")
    assert not server.dropped


def test_what_a_client_sent_before_it_went_is_received(world: World) -> None:
    server = world.server()
    client = world.client(server, settings=Settings(1000, linger=20_000))
    world.connect(server, alice=client)
    assert all(client.send("server", bytes([at])) for at in range(5))
    client.close()
    world.run(lambda: len(world.received[server]) == 5 and not server.connected())
    assert [packet for _, packet in world.received[server]] == [bytes([at]) for at in range(5)]


def test_a_server_goes_and_comes_back(world: World) -> None:
    context = world.context()
    server = world.server(context=context)
    client = world.client(server)
    world.connect(server, alice=client)
    server.close()
    world.run(lambda: not client.connected())
    assert not client.send("server", b"nobody there") and not client.dropped
    world.terminate(context)  # frees the port
    again = world.server(server.address)
    world.exchange(client, again, "alice")


def test_a_refused_client_tries_again(world: World) -> None:
    """libzmq gives up after a refusal; the endpoint does not. Each look at the clock is 1 s."""
    seconds = itertools.count()
    context = world.context()
    server = world.server(allowed={}, context=context)
    client = world.client(server, clock=lambda: float(next(seconds)))
    world.run(lambda: client.dropped and server.dropped)
    server.close()
    world.terminate(context)
    again = world.server(server.address)
    world.exchange(client, again, "alice")


def test_an_endpoint_knows_four_connections_of_a_key(world: World) -> None:
    """Forgotten ones count again as soon as they are heard of."""
    server = world.server()
    clients: list[Client] = []
    for at in range(6):
        clients.append(world.client(server))
        world.run(clients[-1].connected)
        assert clients[-1].send("server", bytes([at]))
        world.run(lambda: len(world.received[server]) == at + 1)  # noqa: B023
    for client in clients[2:]:
        client.close()
    world.run(lambda: not server.connected())
    assert clients[0].send("server", b"still here")
    world.exchange(clients[0], server, "alice")


# --- who is refused


@pytest.mark.parametrize("case", ["not allowed", "plain", "wrong server key"])
def test_strangers_are_dropped_at_the_handshake(world: World, case: str) -> None:
    server = world.server()
    good = world.client(server)
    if case == "plain":
        stranger = world.raw(server.address)
        stranger.send(b"hello")
    elif case == "not allowed":
        stranger = world.client(server, EVE)
    else:
        stranger = world.client(server, BOB, server_key=public_key(EVE))
    world.run(lambda: server.dropped and server.connected() == {"alice"})
    if case != "plain":
        world.run(lambda: stranger.dropped)
        assert set(stranger.dropped) == {Drop.UNKNOWN_PEER}
        assert not stranger.send("server", b"hello") and not stranger.connected()
    world.exchange(good, server, "alice")
    assert world.received[server] == [("alice", b"up")]
    assert set(server.dropped) == {Drop.UNKNOWN_PEER}


def test_a_key_is_needed_not_only_known(world: World) -> None:
    """Whoever has a peer's public key and another secret key is nobody."""
    server = world.server()
    stranger = world.own(world.context().socket(zmq.DEALER))
    stranger.curve_serverkey = public_key(SERVER_KEY)
    stranger.curve_publickey, stranger.curve_secretkey = public_key(ALICE), EVE
    stranger.connect(server.address)
    stranger.send(b"hello")
    world.run(lambda: server.dropped)
    assert set(server.dropped) == {Drop.UNKNOWN_PEER}
    assert world.received[server] == [] and server.connected() == set()


ZAP = [b"1.0", b"7", b"occulta", b"127.0.0.1", b"", b"CURVE", public_key(ALICE)]


@pytest.mark.parametrize(("question", "status", "name"), [
    (ZAP, b"200", b"alice"),
    ([*ZAP[:6], public_key(EVE)], b"400", b""),
    ([*ZAP[:2], b"elsewhere", *ZAP[3:]], b"400", b""),
    ([*ZAP[:5], b"NULL", *ZAP[6:]], b"400", b""),
    (ZAP[:6], b"400", b""),
])
def test_who_may_connect(world: World, question: list[bytes], status: bytes, name: bytes) -> None:
    """The questions of RFC 27, asked directly."""
    context = world.context()
    server = world.server(context=context)
    asker = context.socket(zmq.REQ)
    world.own(asker).connect("inproc://zeromq.zap.01")
    asker.send_multipart(question)
    world.run(lambda: asker.poll(0), server)
    reply = asker.recv_multipart()
    assert [*reply[:3], *reply[4:]] == [b"1.0", b"7", status, name, b""]


def test_garbage_from_raw_sockets(world: World) -> None:
    server = world.server()
    client = world.client(server)
    host, port = server.address.removeprefix("tcp://").split(":")
    noise = random.Random(1)
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x01CURVE"
    raw = [tcp.create_connection((host, int(port))) for _ in range(20)]
    for at, each in enumerate(raw):
        each.sendall(greeting[: at % 17] + noise.randbytes(noise.randrange(1, 500)))
    world.connect(server, alice=client)
    world.exchange(client, server, "alice")
    for each in raw:
        each.close()
    world.exchange(client, server, "alice")
    assert world.received[server] == [("alice", b"up")] * 2
    assert server.connected() == {"alice"}
    assert set(server.dropped) <= {Drop.UNKNOWN_PEER, Drop.TOO_MANY_CONNECTIONS}


# --- what is refused


def test_a_frame_too_long(world: World) -> None:
    server = world.server()
    client = world.client(server, settings=Settings(100_000))
    world.connect(server, alice=client)
    for size in (1000, 1001, 2000, 999):
        assert client.send("server", bytes(size))
    world.run(lambda: len(world.received[server]) == 2)
    assert [len(packet) for _, packet in world.received[server]] == [1000, 999]
    assert server.dropped == {Drop.FRAME_TOO_LONG: 2}


def test_a_frame_far_too_long_ends_the_connection_only(world: World) -> None:
    server = world.server()
    alice, bob = world.client(server, ALICE, Settings(100_000)), world.client(server, BOB)
    world.connect(server, alice=alice, bob=bob)
    assert alice.send("server", bytes(100_000))
    world.run(lambda: server.connected() == {"bob"})
    world.exchange(bob, server, "bob")
    world.run(lambda: server.connected() == {"alice", "bob"} and alice.connected())
    world.exchange(alice, server, "alice")
    assert sorted(world.received[server]) == [("alice", b"up"), ("bob", b"up")]


def test_a_client_refuses_the_same(world: World, tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/raw"
    raw = world.raw(address, kind=zmq.ROUTER, bind=True)
    client = world.local(address, b"camera")
    world.run(lambda: client.connected() and raw.poll(0))
    assert raw.recv_multipart() == [b"camera", b""]
    for parts in ([b"a"], [b"a", b"b"], [bytes(1001)], [b""], [b"x"] * 500, [b"end"]):
        raw.send_multipart([b"camera", *parts])
    world.run(lambda: len(world.received[client]) == 2)
    assert world.received[client] == [("server", b"a"), ("server", b"end")]
    assert client.dropped == {Drop.PART_COUNT: 2, Drop.FRAME_TOO_LONG: 1}


def test_any_message_of_an_allowed_peer(world: World) -> None:
    """Random multiparts: delivered, or dropped with the reason that one can tell from outside."""
    server = world.server()
    raw = world.raw(server.address, ALICE)
    world.run(lambda: raw.poll(0, zmq.POLLOUT))
    rng = random.Random(2)
    expected, dropped = [], {Drop.PART_COUNT: 0, Drop.FRAME_TOO_LONG: 0}
    for _ in range(300):
        parts = [rng.randbytes(rng.choice([0, 1, 999, 1000, 1001, 2000]))
                 for _ in range(rng.choice([1, 1, 1, 2, 3, 5000 if rng.random() < .05 else 9]))]
        if len(parts) > 1:
            dropped[Drop.PART_COUNT] += 1
        elif len(parts[0]) > 1000:
            dropped[Drop.FRAME_TOO_LONG] += 1
        elif parts[0]:
            expected.append(("alice", parts[0]))
        world.run(lambda: raw.poll(0, zmq.POLLOUT))
        raw.send_multipart(parts)
    raw.send(b"end")
    world.run(lambda: world.received[server][-1:] == [("alice", b"end")])
    assert world.received[server][:-1] == expected
    assert server.dropped == dropped and min(dropped.values()) > 10


def test_the_limit_of_receive_counts_refused_messages(world: World) -> None:
    server = world.server()
    raw = world.raw(server.address, ALICE)
    raw.send(b"first")
    world.run(lambda: world.received[server])
    for parts in ([b"x", b"y"], [b"1"], [b"x", b"y"], [b"2"]):
        raw.send_multipart(parts)
    for dropped, packets in ((1, []), (1, [b"1"]), (2, []), (2, [b"2"])):
        assert server.sockets()[0][0].poll(20_000)
        assert [packet for _, packet in server.receive(1)] == packets
        assert server.dropped == {Drop.PART_COUNT: dropped}


# --- nothing blocks


def fill(sender: Client | Server, peer: str, packet: bytes) -> int:
    """Send until the queue is full; how many were taken."""
    for taken in range(10_000):
        if not sender.send(peer, packet):
            return taken
    raise AssertionError("the queue never fills")


def test_a_slow_server(world: World) -> None:
    large = Settings(1 << 20, queue=2)
    server = world.server(settings=large)
    client = world.client(server, settings=large)
    world.connect(server, alice=client)
    taken = fill(client, "server", bytes(1 << 20))
    assert taken and client.dropped == {Drop.QUEUE_FULL: 1}
    world.run(lambda: len(world.received[server]) == taken)
    world.exchange(client, server, "alice")
    assert server.dropped == {}


def test_a_slow_client_holds_up_nobody(world: World) -> None:
    large = Settings(1 << 20, queue=2)
    server = world.server(settings=large)
    slow, quick = world.client(server, ALICE, large), world.client(server, BOB, large)
    world.connect(server, alice=slow, bob=quick)
    taken = fill(server, "alice", bytes(1 << 20))
    assert taken and server.dropped == {Drop.QUEUE_FULL: 1}
    for at in range(20):
        assert server.send("bob", bytes([at])) and quick.send("server", bytes([at]))
        world.run(lambda: len(world.received[quick]) == len(world.received[server]) == at + 1,  # noqa: B023
                  server, quick)
    world.run(lambda: len(world.received[slow]) == taken)
    world.exchange(slow, server, "alice")
    assert server.dropped == {Drop.QUEUE_FULL: 1}


def test_an_absent_peer(world: World) -> None:
    server = world.server()
    assert not server.send("alice", b"x") and not server.dropped
    server.close()
    client = world.client(server)
    assert not client.send("server", b"x") and not client.dropped
    assert client.receive(5) == [] and client.connected() == set()

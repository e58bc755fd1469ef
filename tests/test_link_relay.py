"""The relay as a process, between real sockets on loopback."""

import json
import math
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import zmq

from occulta.link.endpoint import Client, ClientKeys, Server, Settings, public_key
from occulta.program.linkkeys import encode_curve_public, encode_curve_secret
from sim.link.model import Counts, LinkModel
from sim.link.relay import Direction
from sim.link.settings import Bursts
from sim.link.settings import Settings as Faulty
from tests.cli import ROOT, environment

PATIENCE = 60.0
"""Seconds after which a test that waits has failed; none of them waits that long."""
NAMES = ("relay", "sat-1", "sat-2", "north", "south", "nobody")
KEYS = {name: bytes([number]) * 32 for number, name in enumerate(NAMES, 1)}
SETTINGS = Settings(65_542, 64)
SIDES = """
space: {bind: "tcp://127.0.0.1:*", secret_key: relay.key, clients: [
  {name: sat-1, public_key: sat-1.pub}, {name: sat-2, public_key: sat-2.pub}]}
ground: {bind: "tcp://127.0.0.1:*", secret_key: relay.key, clients: [
  {name: north, public_key: north.pub}, {name: south, public_key: south.pub}]}
pairs: [{space: sat-1, ground: north}, {space: sat-2, ground: south}]
statistics: told.json
"""


class World:
    """A relay's process and the peers around it; ends them all."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        for name, key in KEYS.items():
            secret = folder / f"{name}.key"
            secret.write_bytes(encode_curve_secret(key))
            secret.chmod(0o600)
            (folder / f"{name}.pub").write_bytes(encode_curve_public(public_key(key)))

    def launch(self, text):
        """A relay that may refuse to start."""
        file = self.folder / "link.yaml"
        file.write_text(text)
        command = [sys.executable, "-m", "sim", "link", "--config", os.fspath(file)]
        pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen(command, env=environment(), cwd=ROOT, **pipes)
        self._stack.callback(process.communicate)
        self._stack.callback(process.kill)
        return process

    def start(self, text=SIDES):
        """A relay that listens."""
        self.process = self.launch(text)
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        assert ready, "the relay does not start"
        words = self.process.stdout.readline().decode().split()
        assert words and words[0] == "listening:", self.process.communicate()
        self.addresses = dict(zip(words[1::2], words[2::2], strict=True))

    def peer(self, name, side, connect=True, key=None):
        """A peer of the relay; waits until it is connected."""
        keys = ClientKeys(KEYS[key or name], public_key(KEYS["relay"]))
        context = self._stack.enter_context(zmq.Context())
        client = Client(context, self.addresses[side], "relay", SETTINGS, keys)
        self._stack.enter_context(closing(client))
        if connect:
            wait_for([client], lambda _: client.connected())
        return client

    def pair(self, space="sat-1", ground="north"):
        """Both peers of a pair, once the relay knows the way to each."""
        satellite, station = self.peer(space, "space"), self.peer(ground, "ground")
        self.introduce(satellite, station)
        return satellite, station

    def introduce(self, satellite, station):
        """Wait until the relay knows the way to both."""
        self.greetings = 0
        while not self._greet(satellite, station):
            self.greetings += 1
            assert self.greetings < 100, "nothing goes up"

    def _greet(self, satellite, station):
        """Whether a packet goes up; the relay drops it where it does not know both peers yet."""
        greeting = b"%d" % self.greetings
        assert station.send("relay", greeting)
        end = time.monotonic() + 0.2
        (found,) = wait_for([satellite], lambda found: found or time.monotonic() > end)
        return found == [greeting]

    def end(self, number=signal.SIGTERM):
        """End the relay; what it told."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE)
        assert (self.process.returncode, out, err) == (0, b"", b"")
        return self.told()

    def told(self):
        return json.loads((self.folder / "told.json").read_text())


def wait_for(endpoints, until):
    """Poll until something is so of what each endpoint received; returns that."""
    found = [[] for _ in endpoints]
    end, poller = time.monotonic() + PATIENCE, zmq.Poller()
    for endpoint in endpoints:
        for socket, events in endpoint.sockets():
            poller.register(socket, events)
    while True:
        for endpoint, packets in zip(endpoints, found, strict=True):
            packets += [packet for _, packet in endpoint.receive(64)]
        if until(*found):
            return found
        assert time.monotonic() < end, "it did not come about in time"
        poller.poll(20)


def send(client, packets):
    """Send all, however often the socket is full."""
    waiting = list(packets)

    def is_sent(_):
        while waiting and client.send("relay", waiting[0]):
            del waiting[0]
        return not waiting

    wait_for([client], is_sent)


def received_by(peers, seconds):
    """What each received, once all have something or that time is over."""
    end = time.monotonic() + seconds
    return wait_for(peers, lambda *found: all(found) or time.monotonic() > end)


def received(client, count):
    (found,) = wait_for([client], lambda found: len(found) >= count)
    return found


def numbered(count, size=500):
    return [number.to_bytes(4, "big") * (size // 4) for number in range(count)]


@pytest.fixture
def world(tmp_path):
    with ExitStack() as stack:
        yield World(tmp_path, stack)


# --- forwarding


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_packets_cross_both_ways_in_order(world, number):
    world.start()
    satellite, station = world.pair()
    send(satellite, numbered(500))
    assert received(station, 500) == numbered(500)
    send(station, numbered(100, 40))
    assert received(satellite, 100) == numbered(100, 40)
    told = world.end(number)
    first, second = told["pairs"]
    assert (first["space"], first["ground"]) == ("sat-1", "north")
    down, up = first["down"]["counts"], first["up"]["counts"]
    assert down["submitted"] == down["sent"] == 500
    assert down["bytes_submitted"] == down["bytes_sent"] == 500 * 500
    assert up["sent"] == 101 and up["submitted"] == 101 + world.greetings
    assert sum(arrived for _, arrived, _ in first["down"]["timeline"]) == 500 * 500
    assert sum(lost for _, _, lost in first["down"]["timeline"]) == 0
    assert set(second["down"]["counts"].values()) == {0}
    assert told["refused"] == {"space": {}, "ground": {}}


def test_pairs_are_kept_apart(world):
    world.start()
    peers = [*world.pair(), *world.pair("sat-2", "south")]
    heard = [set() for _ in peers]
    for _ in range(12):  # on a starved machine connections end, and packets with them
        for number, peer in enumerate(peers):
            send(peer, [bytes([number])])
        for one, packets in zip(heard, received_by(peers, seconds=5.0), strict=True):
            one.update(packets)
        if all(heard):
            break
    assert heard == [{b"\x01"}, {b"\x00"}, {b"\x03"}, {b"\x02"}]


def test_the_longest_packet(world):
    world.start()
    satellite, station = world.pair()
    send(satellite, [bytes(65_542)])
    assert received(station, 1) == [bytes(65_542)]


def test_a_peer_that_comes_back(world):
    world.start()
    satellite, station = world.pair()
    station.close()
    station = world.peer("north", "ground")
    world.introduce(satellite, station)
    send(satellite, [b"again"])
    assert received(station, 1) == [b"again"]


def test_a_ground_node_that_listens(world):
    context = world._stack.enter_context(zmq.Context())
    allowed = {public_key(KEYS["relay"]): "sat-1"}
    address = "tcp://127.0.0.1:*"
    node = Server(context, address, allowed, SETTINGS, secret_key=KEYS["north"])
    world._stack.enter_context(closing(node))
    sides = SIDES.splitlines()
    world.start(f"""
space: {{bind: "{address}", secret_key: relay.key,
  clients: [{{name: sat-1, public_key: sat-1.pub}}]}}
nodes: [{{name: north, address: "{node.address}", secret_key: relay.key, server_key: north.pub}}]
pairs: [{{space: sat-1, ground: north}}]
{sides[-1]}
""")
    assert set(world.addresses) == {"space"}
    satellite = world.peer("sat-1", "space")
    wait_for([node], lambda _: node.connected())
    send(satellite, numbered(50))
    (found,) = wait_for([node], lambda found: len(found) == 50)
    assert found == numbered(50)
    assert node.send("sat-1", b"up")
    _, found = wait_for([node, satellite], lambda _, found: found)
    assert found == [b"up"]
    assert world.end()["pairs"][0]["up"]["counts"]["sent"] == 1


# --- faults


FAULTS = "{bursts: {mean: 0.2, length: 4}, bit_error_rate: 1.0e-4, duplicate: 0.1, truncate: 0.05}"


def test_the_seed_decides_what_arrives(world):
    world.start(SIDES + f"seed: 7\nlink: {{down: {FAULTS}}}")
    faults = Faulty(
        bursts=Bursts(mean=0.2, length=4), bit_error_rate=1e-4, duplicate=0.1, truncate=0.05
    )
    model = LinkModel(faults, "7 down sat-1")
    for packet in numbered(400):
        model.submit(packet, 0.0)
    expected = model.due(0.0)
    satellite, station = world.pair()
    send(satellite, numbered(400))
    assert received(station, len(expected)) == expected
    counts = world.end()["pairs"][0]["down"]["counts"]
    assert counts == {name: getattr(model.counts, name) for name in Counts.__slots__}
    assert min(counts[name] for name in ("lost", "corrupted", "truncated", "duplicated")) > 0


def test_the_rate_and_the_delay_are_kept(world):
    world.start(SIDES + "link: {down: {rate: 40000, delay: 0.2}}")
    satellite, station = world.pair()
    began = time.monotonic()
    send(satellite, numbered(5))
    assert received(station, 1) == numbered(1)
    assert time.monotonic() - began >= 0.3
    assert received(station, 4) == numbered(5)[1:]
    assert time.monotonic() - began >= 0.7
    send(station, [b"up"])
    assert received(satellite, 1) == [b"up"]


def test_in_an_outage_nothing_passes(world):
    world.start(SIDES + "outages: [[0, 3600]]")
    satellite, station = world.peer("sat-1", "space"), world.peer("north", "ground")
    send(satellite, numbered(20))
    send(station, numbered(10))
    other, south = world.peer("sat-2", "space"), world.peer("south", "ground")
    send(other, [b"last"])
    wait_for([satellite, station, south], counted(world, 1, "down", 1))
    told = world.end()
    for pair, way, count, size in ((0, "down", 20, 10_000), (0, "up", 10, 5000), (1, "down", 1, 4)):
        counts = told["pairs"][pair][way]["counts"]
        assert (counts["submitted"], counts["dropped_outage"], counts["sent"]) == (count, count, 0)
        assert sum(lost for _, _, lost in told["pairs"][pair][way]["timeline"]) == size


def counted(world, pair, way, submitted):
    """Until the statistics, which are a second old at most, tell of so many packets."""
    return lambda *_: world.told()["pairs"][pair][way]["counts"]["submitted"] >= submitted


def test_a_peer_that_is_not_there(world):
    world.start()
    satellite = world.peer("sat-1", "space")
    send(satellite, numbered(30))
    wait_for([satellite], counted(world, 0, "down", 30))
    assert world.told()["pairs"][0]["down"]["counts"]["dropped_outage"] == 30
    station = world.peer("north", "ground")
    world.introduce(satellite, station)
    send(satellite, [b"now"])
    assert received(station, 1) == [b"now"]
    counts = world.end()["pairs"][0]["down"]["counts"]
    assert (counts["sent"], counts["dropped_outage"], counts["bytes_lost"]) == (1, 30, 15_000)


def test_a_slow_peer_delays_no_other(world):
    world.start(SIDES + "link: {down: {in_flight: 200000}}")
    satellite, _ = world.pair()  # whose station reads nothing from here on
    other, south = world.peer("sat-2", "space"), world.peer("south", "ground")
    packets = numbered(3000, 8000)
    send(satellite, packets)
    send(other, [b"unhindered"])
    assert received(south, 1) == [b"unhindered"]
    wait_for([satellite], counted(world, 0, "down", 3000))
    counts = world.end()["pairs"][0]["down"]["counts"]
    assert counts["dropped_queue"] > 0 and counts["lost"] == counts["dropped_outage"] == 0
    # What is still under way in the model is all that may be missing.
    missing = counts["submitted"] - counts["sent"] - counts["dropped_queue"]
    assert 0 <= missing <= 200_000 // 8000


def test_what_a_full_socket_does_not_take_waits(world):
    context, small = world._stack.enter_context(zmq.Context()), Settings(1000, 1)
    server = Server(context, "inproc://relay", {b"north": "north"}, small)
    world._stack.enter_context(closing(server))
    station = Client(context, "inproc://relay", "relay", small, b"north")
    world._stack.enter_context(closing(station))
    wait_for([server], lambda _: server.connected())
    direction = Direction(LinkModel(Faulty(), 1), server, "north")
    for packet in numbered(10, 8):
        direction.model.submit(packet, 5.0)
    assert direction.next_time(5.0) == 5.0
    direction.forward(5.0)
    assert direction.next_time(6.0) == 6.001
    found, _ = wait_for(
        [station, server], lambda found, _: len(found) >= 4 or direction.forward(6.0)
    )
    direction.end()
    counts = direction.model.counts
    assert 4 <= counts.sent < 10 and counts.dropped_queue == 10 - counts.sent
    assert found + received(station, counts.sent - len(found)) == numbered(counts.sent, 8)
    assert direction.next_time(7.0) == math.inf


def test_strangers_are_refused_and_counted(world):
    world.start()
    stranger = world.peer("nobody", "space", connect=False)
    misplaced = world.peer("north", "space", connect=False)
    wait_for([stranger, misplaced], lambda *_: both_refused(world))
    told = world.end()
    assert told["refused"]["space"] == {"UNKNOWN_PEER": 2} and told["refused"]["ground"] == {}


def both_refused(world):
    return world.told()["refused"]["space"].get("UNKNOWN_PEER", 0) >= 2


# --- what it refuses


def refusal(world, text):
    """Exit status and standard error of a relay that does not start."""
    process = world.launch(text)
    out, err = process.communicate(timeout=PATIENCE)
    assert out == b""
    return process.returncode, err.decode().splitlines()


def test_a_configuration_with_faults(world):
    status, lines = refusal(world, SIDES + "sede: 1\noutages: 3\n")
    assert (status, lines) == (2, [
        f"error 207: the configuration {world.folder / 'link.yaml'} cannot be used",
        "sede: unknown; did you mean seed?",
        "outages: expected list, got 3",
        "hint: correct each place named; configs/ holds examples with every option",
    ])


def test_a_key_that_others_may_read(world):
    (world.folder / "relay.key").chmod(0o644)
    status, lines = refusal(world, SIDES)
    assert status == 2
    assert lines[0] == f"error 203: others may read the key {world.folder / 'relay.key'}"


def test_an_address_in_use(world):
    world.start()
    taken = world.addresses["space"]
    text = SIDES.replace('space: {bind: "tcp://127.0.0.1:*"', f'space: {{bind: "{taken}"')
    status, lines = refusal(world, text)
    said = f"error 200: cannot listen: Address already in use (addr='{taken}')"
    assert (status, lines[0]) == (2, said)


def test_statistics_that_cannot_be_written(world):
    status, lines = refusal(world, SIDES.replace("told.json", "no/folder.json"))
    assert status == 6
    assert lines[0].endswith("no/.folder.json.partial: No such file or directory")

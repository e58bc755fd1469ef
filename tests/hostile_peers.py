"""Peers that mean harm: plain sockets that speak as much of ZMTP 3.0 (RFC 23) as they want to.

Nothing here waits. `step` sends what a connection takes just now, and comes again when it was hung
up on.
"""

from __future__ import annotations

import os
import random
import socket
from contextlib import suppress

import msgpack
import zmq
from zmq.utils import z85

from ground.command import SEATS
from occulta.link.endpoint import Client, ClientKeys, Server, Settings, public_key
from occulta.link.messages import (
    MAX_CHUNK,
    MAX_MESSAGE,
    CommandRequest,
    ToConsole,
    decode,
    encode,
)
from occulta.link.space_packet import HEADER_SIZE
from occulta.program.linkkeys import read_curve_public, read_curve_secret
from sim.link.relay import MAX_PACKET
from tests.missions import LIMIT, Mission

SIGNATURE = b"\xff" + bytes(8) + b"\x7f"
MORE, LONG, COMMAND = 1, 2, 4
STEP = 1 << 22
"""Bytes that a flood sends at a time."""

BEGIN = {
    "frame_id": "mine", "camera": "mine", "size": None, "captured_at": 1.0, "sensitive": False,
    "labels": {},
}
ITEM = {"item_id": "mine", "size": 1 << 30, "recipients": []}
EVIL = ("../../evil", "/tmp/evil", "..", "evil\0", "evil\n", "x" * 65, "", b"\xff", 1, None)


# --- ZMTP, as far as it is needed


def greeting(mechanism=b"NULL"):
    """Signature, version, mechanism, as-server and filler: 64 octets."""
    return SIGNATURE + b"\x03\x00" + mechanism.ljust(20, b"\0") + bytes(32)


def head(flags, size):
    """The beginning of a frame that says to be so long."""
    return bytes([flags | LONG]) + size.to_bytes(8, "big")


def frame(data, flags=0):
    return head(flags, len(data)) + data


def message(*parts):
    return b"".join(frame(part, MORE) for part in parts[:-1]) + frame(parts[-1])


def ready(name):
    """The NULL mechanism's handshake of a DEALER that calls itself so."""
    properties = b"\x0bSocket-Type\0\0\0\x06DEALER"
    properties += b"\x08Identity" + len(name).to_bytes(4, "big") + name
    return frame(b"\x05READY" + properties, COMMAND)


def hello(name):
    """All that a peer without keys says before its first message."""
    return greeting() + ready(name)


def said(kind, **fields):
    """A message as the programs take them, valid or not."""
    return message(msgpack.packb({"kind": kind, **fields}))


# --- peers


def dial(address):
    """A connection on its way, to ipc:// or tcp://."""
    scheme, _, place = address.partition("://")
    host, _, port = place.rpartition(":")
    where = place if scheme == "ipc" else (host, int(port))
    found = socket.socket(socket.AF_UNIX if scheme == "ipc" else socket.AF_INET)
    found.setblocking(False)
    with suppress(BlockingIOError):
        found.connect(where)
    return found


class Peer:
    """One connection that sends `first`, then `again` for ever, and reads only if told to."""

    def __init__(self, address, first=b"", again=b"", reads=True, ends=False):
        self.connections = 0
        self._address, self._first, self._again = address, first, again
        self._reads, self._ends = reads, ends
        self._socket, self._left = None, b""

    def step(self):
        try:
            self._go_on()
        except BlockingIOError:
            pass
        except OSError:  # refused, or hung up on
            self.close()

    def _go_on(self):
        if self._socket is None:
            self._socket = dial(self._address)
            self._left = memoryview(self._first)
            self.connections += 1
        if self._reads:
            self._read()
        for _ in range(1 + STEP // (1 + len(self._again))):
            while self._left:
                self._left = self._left[self._socket.send(self._left):]
            self._left = memoryview(self._again)
            if not self._again:
                break
        if self._ends:
            self.close()

    def _read(self):
        with suppress(BlockingIOError):
            while self._socket.recv(1 << 16):
                pass
            raise ConnectionResetError

    def close(self):
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Outsider:
    """Connects by libzmq, with CURVE keys, and sends a message now and then."""

    def __init__(self, context, address, keys, packet):
        self._client = Client(context, address, "server", Settings(2 * MAX_MESSAGE), keys)
        self._packet = packet
        self.was_let_in = False

    def step(self):
        self._client.receive(16)
        self.was_let_in |= self._client.send("server", self._packet)

    def close(self):
        self._client.close()


class AttackedMission(Mission):
    """A mission whose sockets are attacked as long as it waits for anything."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.peers = []

    def __exit__(self, *error):
        self.dismiss()
        super().__exit__(*error)

    def until(self, is_so, limit=LIMIT):
        super().until(lambda: self._attack() or is_so(), limit)

    def _attack(self):
        for peer in self.peers:
            peer.step()

    def dismiss(self):
        """Let all attackers go."""
        for peer in self.peers:
            peer.close()
        self.peers = []

    def peaks(self):
        """Greatest resident memory so far of each program itself, in MiB."""
        for process in self.processes.values():
            process.measure()
        return {name: process.peaks[process.pid] for name, process in self.processes.items()}


# --- what may be sent to any socket


def garbage(address):
    """No ZMTP, handshakes cut short, frames longer than anything; held, and ended at once."""
    noise = random.Random(1).randbytes(1 << 12)
    curve = greeting(b"CURVE")
    starts = (
        b"GET / HTTP/1.1\r\n\r\n", noise, SIGNATURE, greeting()[:33], greeting(), curve,
        greeting() + ready(b"x")[:20], greeting(b"PLAIN"), curve + noise,
        curve + frame(b"\x05HELLO" + bytes(194), COMMAND), greeting() + head(0, 1 << 62),
        greeting() + head(COMMAND, 1 << 62), curve + head(COMMAND, (1 << 63) - 1),
        hello(b"x") + head(0, 1 << 62), hello(b"x") + frame(b"\x04HUGE", COMMAND),
    )
    return [Peer(address, first, ends=ends) for first in starts for ends in (False, True)]


def crowd(address, size, first=b""):
    """So many connections at once."""
    return [Peer(address, first) for _ in range(size)]


def halves(address, size, length):
    """Connections that send nearly all of one long frame, before a handshake and after it."""
    unfinished = frame(bytes(length))[:-1]
    starts = greeting(b"CURVE") + frame(bytes(length), COMMAND)[:-1], hello(b"x") + unfinished
    return [peer for first in starts for peer in crowd(address, size, first)]


def wrong_keys(address, context, server_key):
    """One whose key nobody knows, and one who takes the server for another."""
    first, second = (z85.decode(zmq.curve_keypair()[1]) for _ in range(2))
    return [
        Outsider(context, address, ClientKeys(first, server_key), b"x" * 100),
        Outsider(context, address, ClientKeys(first, public_key(second)), b"x" * 100),
    ]


def rogues(mission):
    """On the allow-lists, and without manners."""
    begins = [said("frame_begin", **BEGIN | {"camera": f"rogue-{n}"}) for n in (1, 2, 3)]
    item = said("item_begin", **ITEM)
    chunk = {"offset": 0, "data": bytes(MAX_CHUNK)}
    camera = hostile_messages("frame", begins[2]) + item
    payload = hostile_messages("item", item) + begins[2]
    return [
        Peer(mission.made.camera, hello(b"rogue-1"), begins[0], reads=False),
        Peer(mission.made.camera, hello(b"rogue-2"),
             begins[1] + said("frame_chunk", frame_id="mine", **chunk) * 4),
        Peer(mission.made.camera, hello(b"rogue-3"), camera),
        Peer(mission.made.payload, hello(b"rogue-1"), item, reads=False),
        Peer(mission.made.payload, hello(b"rogue-2"),
             item + said("item_chunk", item_id="mine", **chunk | {"offset": 1}) * 4),
        Peer(mission.made.payload, hello(b"rogue-3"), payload),
    ]


def hostile_messages(what, begin):
    """Names that are paths, sizes and digests that lie, an end before all data, and no message."""
    name = f"{what}_id"
    end = {name: "mine", "size": 10, "sha256": bytes(32)}
    fields = BEGIN | {"camera": "rogue-3"} if what == "frame" else ITEM
    lies = said(f"{what}_begin", **fields | {"size": 4}) + said(
        f"{what}_chunk", **{name: "mine"}, offset=0, data=b"12345")
    paths = b"".join(said(f"{what}_begin", **fields | {name: evil}) for evil in EVIL)
    strange = message(bytes(MAX_MESSAGE + 1)) + message(*[b"part"] * 300) + message(b"")
    return b"".join((
        said(f"{what}_end", **end), begin, said(f"{what}_end", **end), lies, paths, strange,
        said(f"{what}_begin", **fields, more=1), message(b"\xc1" * 50), said("credit"),
        message(b"\x81" * 5000), said(f"{what}_begin", **fields | {"size": 1 << 62}),
    ))


def readers_of_pages(address):
    """Slow ones, endless ones, and such as never take their answer."""
    ask = b"GET /metrics HTTP/1.1\r\n"
    return [
        *crowd(address, 40, ask), Peer(address, ask, b"X: x\r\n"), *garbage(address),
        *(Peer(address, ask + b"\r\n", reads=False) for _ in range(20)),
        Peer(address, b"POST /metrics HTTP/1.1\r\n\r\n"),
        Peer(address, b"GET /../x HTTP/1.1\r\n\r\n"),
    ]


def consoles(mission):
    """One that asks for ever and never reads, one that sends what is no question."""
    ask = said("status_request")
    strange = said("command_request", name="purge", arguments={"priority": "../x"})
    strange += said("status") + message(b"\xc1") + message(b"", b"") + message(bytes(MAX_MESSAGE))
    return [
        Peer(mission.made.console, hello(b"%s" % seat), what, reads=False)
        for seat, what in zip(free_seats(), (ask, strange), strict=True)
    ]


def free_seats():
    """Names of consoles other than this test's own."""
    return [SEATS[(os.getpid() + other) % len(SEATS)].encode() for other in (1, 2)]


class Flood(Outsider):
    """Sends all that its queue takes."""

    def step(self):
        self._client.receive(1)
        while self._client.send("server", self._packet):
            self.was_let_in = True


# --- the link


class Relay:
    """Stands where the relay stands, with its keys: keeps every packet, and may add others."""

    def __init__(self, mission, space, ground):
        """`space` and `ground` are the addresses of the relay and of the ground node."""
        folder = mission.folder / "sim"
        secret = read_curve_secret(folder / "relay-curve.key")
        satellite = read_curve_public(folder / "satellite-curve.pub")
        station = read_curve_public(folder / "ground-curve.pub")
        self.down, self.up = [], []
        """Packets from the satellite, and from the ground."""
        self.tampers = self.is_cut = False
        """What it does to packets; whether none gets through to the ground."""
        self._context = zmq.Context()
        settings = Settings(MAX_PACKET, queue=64)
        self._satellite = Server(
            self._context, space, {satellite: "satellite"}, settings, secret_key=secret)
        self._ground = Client(
            self._context, ground, "ground", settings, ClientKeys(secret, station))
        self._random = random.Random(1)
        self._waiting = {self._satellite: [], self._ground: []}

    def step(self):
        for source, sink, kept in (
            (self._satellite, self._ground, self.down), (self._ground, self._satellite, self.up),
        ):
            for _, packet in source.receive(64):
                kept.append(packet)
                if self.tampers:  # before the packet itself, or it would only be a replay
                    self._waiting[sink].append(packet[:-1] + bytes([packet[-1] ^ 1]))
                if not self.is_cut:
                    self._waiting[sink].append(packet)
                if self.tampers:
                    self._waiting[sink] += self._forged(packet, kept)
                    self._waiting[source].append(packet)  # reflected
        for sink in self._waiting:
            self._flush(sink)

    def _forged(self, packet, kept):
        """What else an attacker makes of a packet: cut, altered, and an older one again."""
        place = self._random.randrange(HEADER_SIZE, len(packet))
        flipped = bytearray(packet)
        flipped[place] ^= 1 << self._random.randrange(8)
        return packet[:place], packet[:HEADER_SIZE], bytes(flipped), self._random.choice(kept)

    def send_up(self, packets):
        """Packets to the satellite, whatever they are."""
        self._waiting[self._satellite] += packets

    def is_through(self):
        """Whether nothing waits any more."""
        return not any(self._waiting.values())

    def _flush(self, sink):
        waiting = self._waiting[sink]
        peer = "satellite" if sink is self._satellite else "ground"
        if peer not in sink.connected():  # as on a radio link
            waiting.clear()
        while waiting and sink.send(peer, waiting[0]):
            del waiting[0]

    def close(self):
        self._satellite.close()
        self._ground.close()
        self._context.term()


class Console:
    """Asks, and does not wait for the answer."""

    def __init__(self, context, address):
        self._client = Client(
            context, address, "node", Settings(MAX_MESSAGE), free_seats()[0])
        self._questions, self.answers = [], []

    def ask(self, name, **arguments):
        self._questions.append(encode(CommandRequest(name, arguments)))

    def step(self):
        while self._questions and self._client.send("node", self._questions[0]):
            del self._questions[0]
        self.answers += [decode(data, ToConsole) for _, data in self._client.receive(16)]

    def close(self):
        self._client.close()

"""Cameras and payload programs over real sockets: known peers are served, garbage is counted.

Proves that nothing a peer may send harms another, that one who does not read its answers keeps
nobody waiting and gets them in order, and that who is not on the list is not heard at all.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from occulta.errors import Reason
from occulta.link.drops import Drop
from occulta.link.endpoint import Client, ClientKeys, Server, Settings, public_key
from occulta.link.messages import (
    MAX_CHUNK,
    MAX_MESSAGE,
    Credit,
    FrameChunk,
    FrameEnd,
    FrameRefused,
    FrameStored,
    FromCamera,
    FromPayload,
    ItemStored,
    Message,
    ToCamera,
    ToPayload,
    decode,
    encode,
)
from onboard.intake import SocketIntake
from tests.intake_support import PLAIN, Onboard, begin, end, item_end, open_sealed
from tests.support import private_bytes

PATIENCE = 60.0
"""Seconds after which a test that waits has failed; none of them waits that long."""
SETTINGS = Settings(MAX_MESSAGE)
SERVER, ALICE, EVE = (bytes([number]) * 32 for number in (1, 2, 3))
WINDOW = 1 << 20
DATA = private_bytes(3_000_000)


class Peer:
    """A client and what it was told."""

    def __init__(self, client: Client, kinds: Any = ToCamera, name: str = "cam-1") -> None:
        self.client = client
        self.name = name
        self.told: list[Any] = []
        self._kinds = kinds

    def send(self, message: Message | bytes) -> bool:
        data = message if isinstance(message, bytes) else encode(message)
        return self.client.send("daemon", data)

    def receive(self) -> None:
        self.told += [decode(data, self._kinds) for _, data in self.client.receive(64)]


class World:
    """The intake of a daemon, on sockets in a folder, and its peers."""

    def __init__(self, onboard: Onboard, folder: Path) -> None:
        self.onboard = onboard
        self._folder = folder
        self._contexts: list[Any] = []
        self.peers: list[Peer] = []
        self.cameras = SocketIntake(
            self.listen("camera", "cam-1", "cam-2"), onboard.frames, FromCamera
        )
        self.payloads = SocketIntake(self.listen("private", "payload"), onboard.items, FromPayload)
        self.intakes = [self.cameras, self.payloads]

    def context(self) -> Any:
        self._contexts.append(zmq.Context())
        return self._contexts[-1]

    def listen(self, place: str, *names: str) -> Server:
        allowed = {name.encode(): name for name in names}
        return Server(self.context(), f"ipc://{self._folder}/{place}", allowed, SETTINGS)

    def connect(
        self, name: str, intake: SocketIntake | None = None, connected: bool = True, **options: Any
    ) -> Peer:
        intake = intake or self.cameras
        settings = Settings(MAX_MESSAGE, **options)
        client = Client(
            self.context(), intake.server.address, "daemon", settings, name.encode()
        )
        kinds = ToPayload if intake is self.payloads else ToCamera
        peer = Peer(client, kinds, name)
        self.peers.append(peer)
        if connected:
            self.run(lambda: peer.client.connected() and name in intake.server.connected())
        return peer

    def step(self, *reading: Peer) -> None:
        for camera, message in self.onboard.frames.work():
            self.cameras.reply_if_known(camera, message)
        for intake in self.intakes:
            intake.update(time.monotonic())
        for peer in reading or self.peers:
            if not peer.client.sockets()[0][0].closed:
                peer.receive()

    def run(self, until: Callable[[], object], *reading: Peer) -> None:
        limit = time.monotonic() + PATIENCE
        while not until():
            assert time.monotonic() < limit, "nothing happened"
            self.step(*reading)
            time.sleep(0.001)  # other threads move the messages

    def send(self, peer: Peer, message: Message | bytes) -> None:
        self.run(lambda: peer.send(message))

    def close(self) -> None:
        for peer in self.peers:
            peer.client.close()
        for intake in self.intakes:
            intake.server.close()
        for context in self._contexts:
            context.term()


@pytest.fixture
def onboard(tmp_path: Path) -> Iterator[Onboard]:
    with Onboard(tmp_path / "spool", PLAIN, window=WINDOW) as found:
        yield found


@pytest.fixture
def world(tmp_path: Path, onboard: Onboard) -> Iterator[World]:
    with closing(World(onboard, tmp_path)) as found:
        yield found


def photograph(world: World, peer: Peer, frame_id: str, data: bytes = DATA) -> FrameStored:
    """A frame sent within its credit, to the end."""
    def credit() -> int:
        mine = [m.up_to for m in peer.told if isinstance(m, Credit) and m.frame_id == frame_id]
        return max(mine, default=0)

    world.send(peer, begin(frame_id, len(data), camera=peer.name))
    position = 0
    while position < len(data):
        world.run(lambda at=position: credit() > at)  # type: ignore[misc]
        piece = data[position : min(credit(), position + MAX_CHUNK)]
        world.send(peer, FrameChunk(frame_id, position, piece))
        position += len(piece)
    world.send(peer, end(data, frame_id))
    return answer_to(world, peer, frame_id)


def answer_to(world: World, peer: Peer, frame_id: str) -> FrameStored:
    def stored() -> list[FrameStored]:
        return [m for m in peer.told if isinstance(m, FrameStored) and m.frame_id == frame_id]

    world.run(stored)
    return stored()[0]


def test_frames_from_two_cameras(world: World) -> None:
    one, two = world.connect("cam-1"), world.connect("cam-2")
    world.send(two, begin("b", 3, camera="cam-2"))
    world.send(two, FrameChunk("b", 0, b"one"))
    a = photograph(world, one, "a")
    world.send(two, end(b"one", "b"))
    b = answer_to(world, two, "b")
    assert world.onboard.product(a.product_id)[1] == DATA
    assert world.onboard.product(b.product_id)[1] == b"one"
    assert {type(message) for message in one.told} == {Credit, FrameStored}
    assert not world.cameras.drops and not world.cameras.server.dropped


def test_private_data(world: World) -> None:
    peer, secret = world.connect("payload", world.payloads), private_bytes(200_000)
    world.send(peer, encode_item_begin(len(secret)))
    for at in range(0, len(secret), 50_000):
        world.send(peer, encode_item_chunk(at, secret[at : at + 50_000]))
    world.send(peer, item_end(secret))
    world.run(lambda: peer.told)
    assert peer.told == [ItemStored("item-1")]
    assert open_sealed(world.onboard.queued()["item-1"]) == secret


def encode_item_begin(size: int) -> bytes:
    return msgspec.msgpack.encode(
        {"kind": "item_begin", "item_id": "item-1", "size": size, "recipients": []}
    )


def encode_item_chunk(offset: int, data: bytes) -> bytes:
    return msgspec.msgpack.encode(
        {"kind": "item_chunk", "item_id": "item-1", "offset": offset, "data": data}
    )


def raw(**fields: object) -> bytes:
    return msgspec.msgpack.encode(fields)


GARBAGE = [
    (b"\xc1", Drop.MESSAGE_MALFORMED),
    (b"\x00" * 1000, Drop.MESSAGE_MALFORMED),
    (b"\xff\xd8\xff\xdb" + bytes(500), Drop.MESSAGE_MALFORMED),
    (encode(begin())[:-1], Drop.MESSAGE_MALFORMED),
    (encode(begin()) + b"\xc0", Drop.MESSAGE_MALFORMED),
    (raw(kind="frame_begin", frame_id="../x"), Drop.MESSAGE_MALFORMED),
    (raw(kind="frame_chunk", frame_id="a", offset=-1, data=b"x"), Drop.MESSAGE_MALFORMED),
    (raw(kind="frame_chunk", frame_id="a", offset=0, data=b""), Drop.MESSAGE_MALFORMED),
    (raw(kind="frame_end", frame_id="a", size=1, sha256=b"short"), Drop.MESSAGE_MALFORMED),
    (raw(kind="frame_abort", frame_id="a", reason="a\nb"), Drop.MESSAGE_MALFORMED),
    (raw(kind="frame_abort", frame_id="a", reason="", more=1), Drop.MESSAGE_MALFORMED),
    (b"\x91" * 5000, Drop.MESSAGE_MALFORMED),
    (raw(kind="nonsense"), Drop.MESSAGE_KIND),
    (encode(Credit("a", 1)), Drop.MESSAGE_KIND),
    (encode(FrameStored("a", bytes(16))), Drop.MESSAGE_KIND),
    (encode_item_begin(5), Drop.MESSAGE_KIND),
]


@pytest.mark.parametrize(("garbage", "drop"), GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_is_counted_and_harms_nobody(world: World, garbage: bytes, drop: Drop) -> None:
    camera, other = world.connect("cam-1"), world.connect("cam-2")
    world.send(camera, begin("a", 6, camera="cam-1"))
    world.send(camera, FrameChunk("a", 0, b"one"))
    for _ in range(3):
        world.send(camera, garbage)
        world.send(other, garbage)
    world.send(camera, FrameChunk("a", 3, b"two"))
    world.send(camera, end(b"onetwo", "a"))
    stored = answer_to(world, camera, "a")
    world.run(lambda: world.cameras.drops[drop] == 6)
    assert dict(world.cameras.drops) == {drop: 6}
    assert world.onboard.product(stored.product_id)[1] == b"onetwo"
    assert other.told == []


def test_messages_of_wrong_length_or_shape(world: World, tmp_path: Path) -> None:
    """What the endpoint refuses never reaches the machine."""
    socket = world.context().socket(zmq.DEALER)
    socket.linger = 0
    with closing(socket):
        socket.routing_id = b"cam-1"
        socket.connect(world.cameras.server.address)
        socket.send_multipart([b"two", b"parts"])
        socket.send(bytes(MAX_MESSAGE + 1))
        world.run(lambda: world.cameras.server.dropped.total() == 2)
    assert dict(world.cameras.server.dropped) == {Drop.PART_COUNT: 1, Drop.FRAME_TOO_LONG: 1}
    assert not world.cameras.drops


def test_an_unknown_peer_is_not_heard(world: World) -> None:
    stranger = world.connect("cam-3", connected=False)
    world.run(stranger.client.connected)
    world.send(stranger, begin("a", 5))
    # Its greeting and its frame.
    world.run(lambda: world.cameras.server.dropped[Drop.UNKNOWN_PEER] == 2)
    assert world.onboard.frames.counters["frames_in"] == 0
    assert stranger.told == []


def test_a_camera_has_the_name_that_the_list_gives_it(world: World) -> None:
    """Else it could choose another camera's rule."""
    camera = world.connect("cam-1")
    world.send(camera, begin("a", 5, camera="cam-2"))
    world.run(lambda: camera.told)
    detail = "camera cam-2 is cam-1 by the list of clients"
    assert camera.told == [FrameRefused("a", Reason.BAD_INTAKE, detail, False)]
    assert world.onboard.frames.counters["frames_in"] == 0
    stored = photograph(world, camera, "a", DATA[:1000])
    row = world.onboard.spool.products.get(stored.product_id)
    assert row is not None and row.camera == "cam-1"


def test_with_curve_a_key_is_a_name(onboard: Onboard, tmp_path: Path) -> None:
    world = World(onboard, tmp_path)
    with closing(world):
        server = Server(
            world.context(), "tcp://127.0.0.1:*", {public_key(ALICE): "cam-1"}, SETTINGS,
            secret_key=SERVER,
        )
        world.cameras.server.close()
        world.cameras.server = server
        clients = [
            Client(world.context(), server.address, "daemon", SETTINGS,
                   ClientKeys(key, public_key(SERVER)))
            for key in (ALICE, EVE)
        ]
        alice, eve = world.peers = [Peer(client) for client in clients]
        world.run(lambda: server.connected() and server.dropped[Drop.UNKNOWN_PEER])
        assert not eve.send(begin("eve", 5))
        stored = photograph(world, alice, "a", DATA[:1000])
        assert onboard.product(stored.product_id)[1] == DATA[:1000]
        assert onboard.frames.counters["frames_in"] == 1


def test_who_does_not_read_keeps_nobody_waiting(world: World) -> None:
    """Answers pile up in order for the one, are bounded, and reach the other at once."""
    deaf, other = world.connect("cam-1"), world.connect("cam-2")
    count = 0
    while len(world.cameras._replies) < 256:
        assert count < 50_000
        while not deaf.send(FrameEnd(f"f{count}", 0, bytes(32))):
            world.step(other)
        count += 1
    for _ in range(100):
        while not deaf.send(FrameEnd(f"f{count}", 0, bytes(32))):
            world.step(other)
        count += 1
    world.peers.remove(deaf)
    stored = photograph(world, other, "a", DATA[:1000])
    world.peers.append(deaf)
    assert world.onboard.product(stored.product_id)[1] == DATA[:1000]
    assert 250 < len(world.cameras._replies) <= 256
    world.run(lambda: deaf.told and deaf.told[-1].frame_id == f"f{count - 1}")
    numbers = [int(message.frame_id[1:]) for message in deaf.told]
    assert numbers == sorted(numbers)
    assert 256 < len(numbers) < count  # the oldest that waited were dropped
    assert not world.cameras._replies


def test_answers_to_who_has_gone_are_dropped(world: World) -> None:
    camera = world.connect("cam-1")
    world.send(camera, begin("a", 5, camera="cam-1"))
    world.run(lambda: camera.told)
    camera.client.close()
    world.run(lambda: not world.cameras.server.connected())
    world.cameras.reply("cam-1", Credit("a", 5))
    world.cameras.reply_if_known("cam-1", Credit("a", 6))
    world.step()
    assert not world.cameras._replies
    # It comes again and begins anew; the frame that it left open is discarded.
    again = world.connect("cam-1")
    stored = photograph(world, again, "a", DATA[:1000])
    assert world.onboard.product(stored.product_id)[1] == DATA[:1000]
    assert world.onboard.frames.counters["frames_discarded"] == 1


def test_a_camera_that_timed_out_is_told(world: World) -> None:
    camera = world.connect("cam-1")
    world.send(camera, begin("a", 5, camera="cam-1"))
    world.run(lambda: camera.told)
    late = time.monotonic() + 11
    for peer, message in world.onboard.frames.handle_timer(late):
        for intake in world.intakes:
            intake.reply_if_known(peer, message)
    world.run(lambda: len(camera.told) == 2)
    refused = FrameRefused("a", Reason.BAD_INTAKE, "the camera was silent", True)
    assert camera.told[1] == refused


def test_strangers_are_logged_once_a_minute(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = world.connect("cam-3", connected=False)
    world.run(stranger.client.connected)
    refused = world.cameras.server.dropped

    def offer(total: int) -> None:
        while refused[Drop.UNKNOWN_PEER] < total:
            more = refused[Drop.UNKNOWN_PEER] + 1
            world.send(stranger, begin("a", 5))
            world.run(lambda more=more: refused[Drop.UNKNOWN_PEER] >= more)

    world.run(lambda: refused[Drop.UNKNOWN_PEER])  # its greeting
    world.cameras.complain(0.0)
    for total, now in ((4, 1.0), (5, 59.9), (6, 60.0), (6, 200.0)):
        offer(total)
        world.cameras.complain(now)
        world.payloads.complain(now)
    said = f"{world.cameras.server.address}: refused %d times what is not on the list of clients"
    assert caplog.messages == [said % count + " by its name or key" for count in (1, 5)]


def test_update_says_whether_more_may_wait(world: World) -> None:
    camera = world.connect("cam-1", queue=64)
    digest = hashlib.sha256(b"").digest()
    for number in range(40):
        assert camera.send(FrameEnd(f"f{number}", 0, digest))
    busy = []
    limit = time.monotonic() + PATIENCE
    while len(camera.told) < 40:
        assert time.monotonic() < limit
        busy.append(world.cameras.update(0))
        camera.receive()
        time.sleep(0.001)
    assert busy.count(True) <= 2  # at most 16 at once
    assert [message.frame_id for message in camera.told] == [
        f"f{number}" for number in range(40)
    ]

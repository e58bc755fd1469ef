"""A satellite that is captured: who looks at its disk, who listens, and who uses what is found.

Whoever listens stands where the relay stands, with the relay's CURVE keys, and keeps every packet.
"""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import chain

import yaml
import zmq

from occulta.link.endpoint import Client, ClientKeys, Server, Settings
from occulta.link.messages import (
    MAX_MESSAGE,
    FrameBegin,
    FrameChunk,
    ItemBegin,
    ItemChunk,
    encode,
)
from occulta.link.security import Direction
from occulta.link.security.state import ReceiverState, SenderState, decode
from occulta.link.security.wire import Protected
from occulta.program.linkkeys import read_curve_public, read_curve_secret, read_link_keys
from sim.camera import photograph
from sim.link.config import load as load_relay
from sim.private import customer_file
from sim.scenario.feed import Feed
from sim.scenario.processes import Process
from sim.transfer import DAEMON
from tests.missions import GROUND, LINK, ONBOARD, SMALL, Mission

SIZE = 64
"""Bytes of an original in a row that count as giving it away."""
DOWN, UP = Direction.DOWN, Direction.UP
FORGER = "forger"
SECOND_CAMERA, SECOND_PAYLOAD = "camera-2", "payload-2"
PACKETS = Settings(65_542, queue=64)


# --- what is looked for


def windows(data):
    return (data[at : at + SIZE] for at in range(len(data) - SIZE + 1))


class Secrets:
    """Originals that nobody but the recipient may read; all their windows, at every byte."""

    def __init__(self, originals, public):
        """Windows that public data has too, such as a JPEG's usual tables, tell nothing."""
        known = set(windows(public))
        self.originals = {name: set(windows(data)) - known for name, data in originals.items()}
        for name, data in originals.items():
            assert len(self.originals[name]) > 0.8 * (len(data) - SIZE), name
        self._all = set().union(*self.originals.values())
        self._clean = set()

    def are_in(self, data):
        digest = hashlib.sha256(data).digest()
        if digest not in self._clean and self._all.isdisjoint(windows(data)):
            self._clean.add(digest)
        return digest not in self._clean

    def named_in(self, data):
        found = set(windows(data))
        return {name for name, original in self.originals.items() if not found.isdisjoint(original)}


class Looks:
    """Whoever looks at the satellite's disk again and again."""

    def __init__(self, mission, secrets):
        self._mission, self._secrets = mission, secrets
        self.number, self.seen, self.found = 0, set(), []

    def look(self):
        files = self._mission.files(ONBOARD)
        for life in self._mission.lives:
            if life.name == ONBOARD:
                files[life.log] = life.log.read_bytes()
        self.number += 1
        self.seen |= {path.name for path in files}
        self.found += [path for path, data in files.items() if self._secrets.are_in(data)]
        return files

    def until(self, is_so):
        self._mission.until(lambda: bool(self.look()) and is_so())


# --- who listens


class Tap:
    """Passes packets on in the relay's place, and keeps each; `is_cut` lets none through."""

    def __init__(self, mission):
        relay, _ = load_relay(mission.file(LINK))
        self._space, self._node = relay.space, relay.nodes[0]
        self.packets, self.is_cut = [], False
        self._ended = threading.Event()

    def __enter__(self):
        self._ended.clear()
        self._pool = ThreadPoolExecutor(1)
        self._running = self._pool.submit(self._run)
        return self

    def __exit__(self, *error):
        self._ended.set()
        self._pool.shutdown()
        self._running.result()

    def begin_contact(self):
        """Leave, and come again."""
        self.__exit__()
        self.__enter__()

    def recorded(self, direction):
        return [packet for way, packet in list(self.packets) if way is direction]

    def generations(self, direction):
        """Keys, and generations of them, that packets were protected by."""
        return {Protected.parse(packet).spi for packet in self.recorded(direction)}

    def _run(self):
        node, secret = self._node, read_curve_secret(self._space.secret_key)
        keys = ClientKeys(read_curve_secret(node.secret_key), read_curve_public(node.server_key))
        bind, allowed = str(self._space.bind), self._space.allow_list()
        with (
            zmq.Context() as near, zmq.Context() as far,
            closing(Server(near, bind, allowed, PACKETS, secret_key=secret)) as space,
            closing(Client(far, node.address, GROUND, PACKETS, keys)) as ground,
        ):
            (satellite,) = allowed.values()
            ways = ((DOWN, space, ground, GROUND), (UP, ground, space, satellite))
            poller = zmq.Poller()
            for socket, events in chain(space.sockets(), ground.sockets()):
                poller.register(socket, events)
            while not self._ended.is_set():
                poller.poll(20)
                for way in ways:
                    self._pass_on(*way)

    def _pass_on(self, way, source, target, peer):
        for _, packet in source.receive(64):
            self.packets.append((way, packet))
            if not self.is_cut:
                target.send(peer, packet)


# --- the mission


class Capture:
    """A mission up to the capture; the ground node goes on."""

    def __init__(self, folder):
        self.mission = mission = Mission(folder, SMALL + "private_share: 0\n")
        with mission.edited(ONBOARD) as options:
            options["camera"]["clients"].append({"name": SECOND_CAMERA})
            options["camera"]["frame_timeout"] = 600.0  # half a frame stays, however slow the rest
            options["private"]["clients"].append({"name": SECOND_PAYLOAD})
        self.link_keys = read_link_keys(mission.folder / ONBOARD / "link.keys")
        self.picture = folder / "sensitive.jpg"
        self.picture.write_bytes(photograph(7, 0.1))
        self.large = customer_file(99, 40_000)
        self.frames = [mission.next_frame(is_sensitive=n in (2, 4)) for n in self._numbers()]
        self.frames = [self._sensitive(f) if f.is_sensitive else f for f in self.frames]
        self.private = self._originals()
        in_view = b"".join(frame.picture.read_bytes() for frame in self.frames[::2])
        self.secrets = Secrets(self.private, in_view)
        self.looks = Looks(mission, self.secrets)
        self.tap = Tap(mission)
        self.at_rest = {}

    def _numbers(self):
        """Frames are numbered by how many there are."""
        for number in range(1, 6):
            yield number
            self.mission.frames.append(None)
        self.mission.frames.clear()

    def _sensitive(self, frame):
        return replace(frame, picture=self.picture, size=self.picture.stat().st_size)

    def _originals(self):
        private = {f.item: f.private.read_bytes() for f in self.frames if f.private}
        return private | {"picture": self.picture.read_bytes(), "large": self.large}

    def run(self):
        first, second, third, fourth, fifth = self.frames
        self.looks.until(lambda: self.mission.is_ready(ONBOARD) and self.mission.is_ready(GROUND))
        self._offer(first)
        self.looks.until(self.mission.is_settled)
        self.tap.begin_contact()
        self.looks.until(lambda: len(self.tap.generations(DOWN)) == 2)
        self._offer(second)
        self.looks.until(self.mission.is_settled)
        self.tap.is_cut = True
        self._offer(third)
        self._offer(fourth)
        self.mission.offer_private(fifth)
        self.looks.until(self._is_waiting)
        with self._half_taken_in():
            self.mission.kill(ONBOARD)
            self.at_rest = self.looks.look()

    def _offer(self, frame):
        self.mission.offer_private(frame)
        self.looks.look()
        self.mission.offer_picture(frame)
        self.looks.until(self.mission.feed.is_idle)

    def _is_waiting(self):
        health = self.mission.health()
        return health.get("spool_items") == 2 and health["private_waiting_bytes"] > 0

    @contextmanager
    def _half_taken_in(self):
        """A frame and an item whose ends never come."""
        picture, camera = self.picture.read_bytes(), self.mission.made.camera
        begin = FrameBegin("half", SECOND_CAMERA, len(picture), 0.0, True, {})
        chunk = FrameChunk("half", 0, picture[:-1])
        item = [ItemBegin("half", len(self.large), ()),
                ItemChunk("half", 0, self.large[: len(self.large) // 2])]
        with (
            zmq.Context() as context,
            closing(self._peer(context, camera, SECOND_CAMERA)) as frames,
            closing(self._peer(context, self.mission.made.payload, SECOND_PAYLOAD)) as items,
        ):
            self._send(frames, begin)
            self.mission.until(lambda: frames.receive(8))  # credit
            self._send(frames, chunk)
            for message in item:
                self._send(items, message)
            self.looks.until(lambda: len(self.growing()) == 2)
            yield

    def growing(self):
        """Files under temporary names that hold more than a header."""
        files = self.looks.look()
        return [path for path, data in files.items()
                if any("~" in part and part[0] == "." for part in path.parts)
                and len(data) > 10_000]

    def _peer(self, context, address, name):
        return Client(context, address, DAEMON, Settings(MAX_MESSAGE), name.encode())

    def _send(self, client, message):
        data = encode(message)
        self.mission.until(lambda: client.receive(8) is None or client.send(DAEMON, data))

    # What the attacker has, and what was recorded.

    def file(self, name):
        (content,) = (data for path, data in self.at_rest.items() if path.name == name)
        return content

    def chains(self, direction):
        """Chain keys in the captured state, by key id."""
        if direction is DOWN:
            found = decode(self.file("ground.sender"), SenderState, DOWN).chains
        else:
            state = decode(self.file("ground.receiver"), ReceiverState, UP)
            found = [progress.chain for progress in state.keys]
        return {chain.key_id: chain for chain in found}

    def product(self, name):
        (product,) = (each for each in self.mission.products() if each.frame_id == name)
        return product


# --- who uses it


class Forger:
    """The captured files on another machine, straight to the ground, with a clock of its own."""

    def __init__(self, capture, folder):
        self._capture, self._folder = capture, folder
        for path, data in capture.at_rest.items():
            if path.is_relative_to(capture.mission.folder / ONBOARD):
                self._write(path.relative_to(capture.mission.folder / ONBOARD), data)
        ground = capture.mission.file(GROUND).read_text()
        options = yaml.safe_load((folder / "onboard.yaml").read_bytes())
        options["destinations"][0] |= {
            "address": yaml.safe_load(ground)["satellites"][0]["bind"],
            "server_key": "ground-curve.pub",
        }
        (folder / "onboard.yaml").write_text(yaml.safe_dump(options, sort_keys=False))
        self.set_clock(0.0)

    def _write(self, name, data):
        (self._folder / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self._folder / name).write_bytes(data)
        (self._folder / name).chmod(0o600)

    def set_clock(self, seconds):
        (self._folder / "clock").write_text(str(seconds))

    def __enter__(self):
        words = ["tests.own_clock", str(self._folder / "clock"), "onboard", "run", "--config",
                 str(self._folder / "onboard.yaml")]
        processes = self._capture.mission.processes
        processes[FORGER] = Process(FORGER, words, self._folder / "log")
        address = f"ipc://{self._folder}"
        self._feed = Feed(f"{address}/camera.ipc", f"{address}/private.ipc")
        return self

    def __exit__(self, *error):
        self._feed.__exit__(*error)
        self._capture.mission.kill(FORGER)

    def forge(self, name):
        """A product in the satellite's name; returns it once the ground has recovered it."""
        mission = self._capture.mission
        self._feed.offer(replace(self._capture.frames[0], name=name, private=None))
        mission.until(lambda: self._feed.update(0.0) is None and self._feed.is_idle())
        mission.until(lambda: name in mission.recovered())
        return self._capture.product(name)

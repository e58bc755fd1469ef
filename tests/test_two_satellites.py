"""A satellite that means harm beside another one, at one ground node: it knows the other's ids."""

import json
import os
import time
from contextlib import ExitStack
from copy import deepcopy

import pytest
import zmq

from occulta.codec.crypto import SigningKey
from occulta.link import security
from occulta.link.cfdp import Entity, PutRequest
from occulta.link.endpoint import Client, ClientKeys, Settings
from occulta.link.space_packet import Apids, PacketType
from occulta.program.channel import OVERHEAD, Channel, Remote
from occulta.program.filestore import DiskFilestore
from occulta.program.keyfiles import read_key
from occulta.program.linkkeys import (
    encode_link_keys,
    read_curve_public,
    read_curve_secret,
    read_link_keys,
)
from occulta.program.sections import Cfdp
from sim.scenario.mission import free_ports
from tests.ground_world import DATA, FOREIGN, manifest_of, name_of
from tests.missions import GROUND, Mission

GOOD, BAD = 1, 3
"""Entity ids."""
CFDP = Cfdp(ack_interval=1.0, nak_interval=1.0)
OTHER = b"of the other satellite"


class Satellite:
    """Link and file delivery of a satellite, and nothing else: it sends what a test wants."""

    def __init__(self, stack, mission, number, address, keys):
        keys = read_link_keys(keys)
        self.folder = mission.folder / f"satellite-{number}"
        self.entity = Entity(
            number, [CFDP.remote(2)], DiskFilestore(self.folder, self.folder / "incoming")
        )
        onboard = mission.folder / "onboard"
        curve = ClientKeys(
            read_curve_secret(onboard / "satellite-curve.key"),
            read_curve_public(onboard / "ground-curve.pub"),
        )
        context = stack.enter_context(zmq.Context())
        self.link = Client(context, address, "ground", Settings(CFDP.max_pdu + OVERHEAD), curve)
        stack.callback(self.link.close)
        up, down = security.Direction.UP, security.Direction.DOWN
        self.channel = Channel(
            self.link, Remote("ground", 2, CFDP.max_pdu), self.entity, PacketType.TM, Apids(),
            sender=security.Sender(
                security.initialise_sender(keys, down, 1), down, clock=time.time(),
                random=os.urandom,
            ),
            receiver=security.Receiver(security.initialise_receiver(keys, up, 0), up, 4),
            save=lambda kind, state: None,
        )

    def put(self, name, content):
        """Send these bytes under a name."""
        (self.folder / str(time.monotonic_ns())).write_bytes(content)
        source = max(self.folder.glob("[0-9]*")).name
        self.entity.put(PutRequest(2, source, name), time.monotonic())

    def is_done(self):
        """Whether the ground has answered for every file."""
        now = time.monotonic()
        for peer, packet in self.link.receive(64):
            self.channel.deliver(packet, now, peer)
        self.entity.handle_timer(now)
        self.channel.transmit(now)
        self.entity.events()
        return not self.entity.transactions()


class World:
    def __init__(self, stack, folder):
        self.mission = stack.enter_context(Mission(folder))
        ground = self.mission.folder / GROUND
        bad_keys = [security.LinkKey(1, security.Role.COMMANDER, os.urandom(32))]
        (ground / "bad.keys").write_bytes(encode_link_keys(bad_keys))
        (ground / "bad.keys").chmod(0o600)
        addresses = [f"tcp://127.0.0.1:{port}" for port in free_ports(2)]
        with self.mission.edited(GROUND) as options:
            options["keys"] = []
            good = options["satellites"][0] | {"bind": addresses[0]}
            bad = deepcopy(good) | {
                "entity": BAD, "name": "bad", "bind": addresses[1], "link_keys": "bad.keys"
            }
            options["satellites"] = [good, bad]
        self.mission.start(GROUND)
        self.signing = read_key(str(self.mission.folder / "onboard/satellite.key"), SigningKey)
        self.good = Satellite(stack, self.mission, GOOD, addresses[0], ground / "link.keys")
        self.bad = Satellite(stack, self.mission, BAD, addresses[1], ground / "bad.keys")

    def send(self, satellite, number, **files):
        """Files of a product, until they are answered."""
        for name, content in files.items():
            satellite.put(f"{name_of(number)}/{name}", content)
        self.mission.until(satellite.is_done)

    def manifest(self, number, data=DATA):
        return manifest_of(number, data, self.signing)

    def products(self):
        return {product.id.hex(): product for product in self.mission.products()}

    def received(self, number):
        return (self.mission.archive / "products" / name_of(number) / "received.jpg").read_bytes()

    def rejections(self):
        kept = self.mission.archive.glob("rejected/*/reason.json")
        return sorted(json.loads(path.read_bytes())["reason"] for path in kept)


@pytest.fixture
def world(tmp_path):
    with ExitStack() as stack:
        yield World(stack, tmp_path)


def test_who_knows_an_id_can_do_nothing_to_its_product(world):
    # Before, between and after its own files.
    world.send(world.bad, 1, data=OTHER)
    world.send(world.good, 1, data=DATA)
    world.send(world.bad, 1, more=b"what makes the folder a stray")
    world.send(world.bad, 2, **{"data/x": b"a folder in the file's place"})
    world.send(world.good, 1, manifest=world.manifest(1))
    world.send(world.good, 2, manifest=world.manifest(2), data=DATA)
    world.send(world.bad, 2, data=OTHER, manifest=manifest_of(2, OTHER, FOREIGN))
    # A whole product of its own, with the id of one to come.
    world.send(world.bad, 3, data=OTHER, manifest=manifest_of(3, OTHER, FOREIGN))
    world.mission.until(lambda: name_of(3) in world.products())
    assert not world.products()[name_of(3)].authentic
    world.send(world.good, 3, data=DATA, manifest=world.manifest(3))
    world.mission.until(lambda: world.products()[name_of(3)].authentic)
    world.mission.stop()
    assert [(p.authentic, p.satellite) for p in world.products().values()] == [
        (True, "satellite")
    ] * 3
    assert [world.received(number) for number in (1, 2, 3)] == [DATA] * 3
    assert world.rejections() == ["conflict", "conflict", "stray", "stray"]

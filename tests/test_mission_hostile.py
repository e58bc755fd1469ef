"""Hostile peers on every socket of the running programs while a mission goes on.

Whatever they send: every frame arrives once and identical, each program lives, says nothing of
errors, counts what it refused and needs no memory to speak of.
"""

from __future__ import annotations

import re
import sys
import urllib.request
from http.client import HTTPException
from pathlib import Path

import pytest
import yaml
import zmq
from zmq.utils import z85

from occulta.link.drops import Drop
from occulta.link.endpoint import Client, ClientKeys, Settings, public_key
from occulta.link.messages import (
    MAX_CHUNK,
    MAX_MESSAGE,
    FrameBegin,
    FrameChunk,
    encode,
)
from occulta.program.linkkeys import encode_curve_public, encode_curve_secret, read_curve_public
from sim.scenario.feed import Feed, Source
from sim.scenario.mission import GROUND, LINK, ONBOARD, free_ports
from tests.hostile_peers import (
    AttackedMission,
    Console,
    Flood,
    Peer,
    Relay,
    consoles,
    crowd,
    garbage,
    halves,
    hello,
    message,
    readers_of_pages,
    rogues,
    wrong_keys,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
MOST_ON_BOARD = 64.0
GROWTH = {GROUND: 16.0, LINK: 4.0, ONBOARD: 28.0}
"""MiB in all, and over what the same program took for a frame in peace.

A connection takes 54 KiB and a message that is never finished twice its length: on the ground that
makes 12 MiB, and on board, with two sockets for such messages, 18 to 27.
"""


def add_rogues(mission):
    """Three more that may connect to each intake, and that misbehave."""
    with mission.edited(ONBOARD) as options:
        options["camera"]["frame_timeout"] = 3.0
        for intake in ("camera", "private"):
            options[intake]["clients"] += [{"name": f"rogue-{number}"} for number in (1, 2, 3)]


def serve_metrics(mission):
    """Its address."""
    (port,) = free_ports(1)
    with mission.edited(GROUND) as options:
        options["metrics"] = {"port": port}
    return f"tcp://127.0.0.1:{port}"


def address_of(mission, program):
    options = yaml.safe_load(mission.file(program).read_bytes())
    return (options["space"] if program == LINK else options["satellites"][0])["bind"]


def offer_in_peace(mission):
    """A frame; what all programs have needed by then."""
    mission.offer()
    mission.until(mission.is_settled)
    return mission.peaks()


def check_well(mission, before):
    """All that must hold in the end, memory above all."""
    after = mission.peaks()
    grown = {name: after[name] - before[name] for name in before if name in after}
    assert after[ONBOARD] <= MOST_ON_BOARD, (before, after)
    assert all(grown[name] <= GROWTH[name] for name in grown), (before, after)
    mission.dismiss()
    while any(fault.startswith("private") for fault in mission.faults()):
        # A frame of theirs keeps it for itself, until its camera has been silent for too long.
        mission.offer(is_private=False)
        mission.until(mission.is_settled)
    assert mission.faults() == [] and mission.troubles() == []


def counted(mission, *names):
    """Whether the ground node counts these, the satellite's telemetry included."""
    counters = mission.counters()
    return all(counters.get(name) for name in names)


def test_every_socket_is_attacked_and_the_mission_goes_on(tmp_path):
    with AttackedMission(tmp_path) as mission, zmq.Context() as context:
        add_rogues(mission)
        pages = serve_metrics(mission)
        mission.start(GROUND, ONBOARD, LINK)
        before = offer_in_peace(mission)
        local = [mission.made.camera, mission.made.payload, mission.made.console]
        remote = [address_of(mission, program) for program in (GROUND, LINK)]
        keys = [read_curve_public(mission.folder / side) for side in
                ("sim/ground-curve.pub", "onboard/relay-curve.pub")]
        # Those who may not connect.
        mission.peers = readers_of_pages(pages)
        outsiders = [each for address, key in zip(remote, keys, strict=True)
                     for each in wrong_keys(address, context, key)]
        mission.peers += outsiders
        for address in (*local, *remote):
            mission.peers += [*garbage(address), *crowd(address, 80), *halves(address, 4, 60_000)]
        for address in local:
            mission.peers += [
                *halves(address, 4, MAX_MESSAGE), *crowd(address, 80, hello(b"x")),
                Peer(address, hello(b"stranger"), message(bytes(MAX_MESSAGE))),
                Peer(address, hello(b"x"), message(*[b"part"] * 300)),
            ]
        mission.offer()
        mission.until(mission.is_settled)
        mission.until(lambda: counted(
            mission, "satellite.link_drops.unknown_peer", "satellite.link_drops.part_count",
            "satellite.link_drops.too_many_connections", "satellite.too_many_connections",
            "satellite.unknown_peer", "drops.unknown_peer", "drops.too_many_connections",
            "drops.part_count",
        ))
        mission.until(lambda: answered(pages) >= {0, 200, 404, 405, 431})
        assert not any(each.was_let_in for each in outsiders)
        # Those who may.
        mission.dismiss()
        mission.peers = rogues(mission) + consoles(mission)
        mission.offer()
        mission.until(lambda: counted(
            mission, "satellite.link_drops.message_malformed", "satellite.link_drops.message_kind",
            "satellite.link_drops.frame_too_long", "drops.message_malformed",
            "drops.message_kind", "satellite.onboard.frames_discarded",
        ))
        check_well(mission, before)
        said_of_pages = page_of(pages)
        refused = (mission.made.statistics).read_text()
        mission.stop()
    assert 'drops_total{satellite="satellite",reason="unknown_peer"}' in said_of_pages
    assert '"UNKNOWN_PEER":' in refused and '"TOO_MANY_CONNECTIONS":' in refused
    assert not list(Path(tmp_path).rglob("*evil*"))


def answered(address):
    """Statuses of the answers that the page tells of; none while it is not to be had."""
    try:
        found = re.findall(r'occulta_ground_http_total{status="(\d+)"} [1-9]', page_of(address))
    except (OSError, HTTPException):
        return set()
    return set(map(int, found))


def page_of(address):
    with urllib.request.urlopen(address.replace("tcp:", "http:") + "/metrics", timeout=30) as page:
        return page.read().decode()


# --- the camera over tcp


class TcpFeed(Feed):
    """The camera has keys, and the payload program has none."""

    def __init__(self, address, keys, payload):
        self._keys = keys
        super().__init__(address, payload)

    def _connect(self, context, address, name):
        if not address.startswith("tcp:"):
            return super()._connect(context, address, name)
        client = Client(context, address, "daemon", Settings(MAX_MESSAGE), self._keys)
        self._stack.callback(client.close)
        for socket, events in client.sockets():
            self._poller.register(socket, events)
        return Source(client)


def use_tcp(mission):
    """The camera's socket is one for the network; its address, and each side's secret key."""
    daemon, *cameras = (z85.decode(zmq.curve_keypair()[1]) for _ in range(3))
    folder, (port,) = mission.folder / ONBOARD, free_ports(1)
    secret = folder / "camera.key"
    secret.write_bytes(encode_curve_secret(daemon))
    secret.chmod(0o600)
    clients = []
    for name, key in zip(("camera", "rogue"), cameras, strict=True):
        (folder / f"{name}.pub").write_bytes(encode_curve_public(public_key(key)))
        clients.append({"name": name, "public_key": f"{name}.pub"})
    address = f"tcp://127.0.0.1:{port}"
    with mission.edited(ONBOARD) as options:
        options["camera"] |= {
            "bind": address, "secret_key": "camera.key", "clients": clients, "frame_timeout": 3.0,
        }
    return address, daemon, *cameras


def test_a_camera_socket_on_the_network_is_attacked(tmp_path):
    with AttackedMission(tmp_path) as mission, zmq.Context() as context:
        address, daemon, camera, rogue = use_tcp(mission)
        server = public_key(daemon)
        mission.start(GROUND, ONBOARD, LINK)
        mission._feed = TcpFeed(address, ClientKeys(camera, server), mission.made.payload)
        before = offer_in_peace(mission)
        outsiders = wrong_keys(address, context, server)
        again = FrameChunk("mine", 0, bytes(MAX_CHUNK))
        begin = FrameBegin("mine", "rogue", None, 1.0, True, {})
        insiders = [
            Flood(context, address, ClientKeys(rogue, server), data)
            for data in (encode(again), encode(begin), bytes(MAX_MESSAGE))
        ]
        mission.peers = insiders
        mission.until(lambda: all(each.was_let_in for each in insiders))
        # While others come in such numbers, who is connected stays so, and nobody new gets in.
        mission.peers = [
            *outsiders, *insiders, *garbage(address), *crowd(address, 200),
            *halves(address, 6, MAX_CHUNK), Peer(address, hello(b"camera"), message(b"x")),
        ]
        mission.offer(count=2)
        mission.until(mission.is_settled)
        mission.until(lambda: counted(
            mission, "satellite.link_drops.unknown_peer",
            "satellite.link_drops.too_many_connections",
            "satellite.link_drops.message_malformed", "satellite.onboard.frames_discarded",
        ))
        assert not any(each.was_let_in for each in outsiders)
        check_well(mission, before)
        mission.stop()


# --- the link


def done(mission, console, name, **arguments):
    """A telecommand that is obeyed."""
    before = len(console.answers)
    console.ask(name, **arguments)
    mission.until(lambda: len(console.answers) > before)
    assert console.answers[-1].accepted, console.answers[-1]


def drops_on_board(mission):
    """By reason, as telemetry says."""
    prefix = "satellite.link_drops."
    return {name.removeprefix(prefix): count for name, count in mission.counters().items()
            if name.startswith(prefix) and count}


def drops_on_ground(mission):
    counters = mission.counters()
    return {drop.name.lower() for drop in Drop if counters.get(f"satellite.{drop.name.lower()}")}


OLD = ("replayed", "stale", "old_epoch", "key_erased")
TAMPERED = {"protected_truncated", "packet_length", "mac_mismatch", "replayed"}


def test_an_attacker_in_the_relays_place(tmp_path):
    with AttackedMission(tmp_path) as mission, zmq.Context() as context:
        mission.start(GROUND, ONBOARD)
        relay = Relay(mission, address_of(mission, LINK), address_of(mission, GROUND))
        console = Console(context, mission.made.console)
        mission.peers = [relay, console]
        before = offer_in_peace(mission)
        # Each packet comes with forged ones, an older one, and back to its sender.
        relay.tampers = True
        mission.offer()
        mission.until(mission.is_settled)
        mission.until(lambda: drops_on_board(mission).keys() >= TAMPERED)
        mission.until(lambda: drops_on_ground(mission) >= TAMPERED)
        relay.tampers = False
        # Telecommands are recorded and obeyed; they come again at once, and after a reboot, while
        # a frame waits on board that they would remove or hold.
        start = len(relay.up)
        for name, arguments in (("hold", {}), ("purge", {"priority": 0}), ("resume", {})):
            done(mission, console, name, **arguments)
        commands = relay.up[start:]
        replay(mission, relay, commands)
        assert drops_on_board(mission)["replayed"] >= 2 * len(commands) - 1
        mission.kill(ONBOARD)
        mission.start(ONBOARD)
        # Until it tells of itself, the ground has what it told before it was killed.
        mission.until(lambda: "mac_mismatch" not in drops_on_board(mission))
        replay(mission, relay, commands)
        # After a reboot of the ground too: what it sent before is of an epoch that is over.
        mission.stop(GROUND)
        mission.start(GROUND)
        done(mission, console, "are-you-alive")
        mission.until(lambda: drops_on_board(mission))  # of which a new node knows nothing
        replay(mission, relay, commands)
        assert drops_on_board(mission).keys() & {"old_epoch", "key_erased"}
        check_well(mission, before)
        mission.stop()


def drops_of_old(mission):
    """How many packets were refused on board because they had come before."""
    counts = drops_on_board(mission)
    return sum(counts.get(reason, 0) for reason in OLD)


def replay(mission, relay, packets):
    """Packets once more, in order and reversed, while a frame waits that cannot go down."""
    before = drops_of_old(mission)
    relay.is_cut = True
    mission.offer(is_private=False)
    relay.send_up(packets[:-1] + packets[::-1])
    mission.until(relay.is_through)
    relay.is_cut = False
    expected = before + 2 * len(packets) - 1
    mission.until(lambda: drops_of_old(mission) >= expected)
    mission.until(mission.is_settled)

"""Link keys through a mission: two contacts, another key, and what the satellite then still opens.

Whoever listens stands where the relay stands, with the relay's CURVE keys, and keeps every packet;
a contact lasts as long as they do.
"""

import threading
from contextlib import closing, contextmanager

import zmq

from occulta.link.drops import PacketError
from occulta.link.endpoint import Client, ClientKeys, Server, Settings
from occulta.link.security import Direction
from occulta.link.security.keys import GENERATIONS_ON_WIRE, KEY_SIZE, Chain
from occulta.link.security.state import ReceiverState, SenderState, decode
from occulta.link.security.wire import Protected
from occulta.program.linkkeys import read_curve_public, read_curve_secret, read_link_keys
from sim.link.config import load as load_relay
from tests.missions import GROUND, LINK, ONBOARD, Mission

SCENARIO = """
frames: {count: 2, megapixels: 0.02}
cfdp: {ack_interval: 1.0, nak_interval: 1.0}
"""
DOWN, UP = Direction.DOWN, Direction.UP
STATION = 2
"""The ground node's entity, as provisioned."""
FIRST, SPARE = 1, 2
"""Ids of link keys, as provisioned."""
KEPT = 100
"""Packets that count as present traffic."""
PACKETS = Settings(65_542, queue=64)
WARNING = "whoever captures the satellite can open recorded traffic from it: remove "


# --- the link, and who listens


@contextmanager
def contact(mission):
    """Pass packets on, and keep each with its direction."""
    relay, _ = load_relay(mission.file(LINK))
    ended, packets = threading.Event(), []
    thread = threading.Thread(target=pass_on, args=(relay.space, relay.nodes[0], packets, ended))
    thread.start()
    try:
        yield packets
    finally:
        ended.set()
        thread.join()


def pass_on(side, node, packets, ended):
    secret, allowed = read_curve_secret(side.secret_key), side.allow_list()
    keys = ClientKeys(read_curve_secret(node.secret_key), read_curve_public(node.server_key))
    with (
        zmq.Context() as near, zmq.Context() as far,
        closing(Client(far, node.address, node.name, PACKETS, keys)) as ground,
    ):
        while not (ground.connected() or ended.is_set()):  # so that nothing is lost from the start
            wait_for(ground)
            ground.receive(1)
        with closing(Server(near, str(side.bind), allowed, PACKETS, secret_key=secret)) as space:
            (satellite,) = allowed.values()
            ways = ((DOWN, space, ground, node.name), (UP, ground, space, satellite))
            while not ended.is_set():
                wait_for(space, ground)
                for way, source, target, peer in ways:
                    for _, packet in source.receive(64):
                        packets.append((way, packet))
                        target.send(peer, packet)


def wait_for(*endpoints):
    poller = zmq.Poller()
    for endpoint in endpoints:
        for socket, events in endpoint.sockets():
            poller.register(socket, events)
    poller.poll(20)


def opens(packet, way, key):
    """Whether a packet opens with a chain key of its generation."""
    protected = Protected.parse(packet)
    chain = Chain(*divmod(protected.spi, GENERATIONS_ON_WIRE), key)
    try:
        protected.open(chain.traffic_key(way, protected.epoch))
    except PacketError:
        return False
    return True


def by_key(packets):
    """The shortest packet of every traffic key, with its direction."""
    longest_first = sorted(packets, key=lambda found: -len(found[1]))
    return {(way, packet[6:17]): (way, packet) for way, packet in longest_first}.values()


# --- what lies on disks


def states(mission, program):
    """The states of a program's sender and receiver."""
    (sender,) = (mission.folder / program).glob("state/links/*.sender")
    way = DOWN if program == ONBOARD else UP
    return (decode(sender.read_bytes(), SenderState, way),
            decode(sender.with_suffix(".receiver").read_bytes(), ReceiverState,
                   Direction(1 - way)))


def generations(mission, key_id):
    """Of the key on board, sending and receiving."""
    sender, receiver = states(mission, ONBOARD)
    sent = next(chain for chain in sender.chains if chain.key_id == key_id)
    heard = next(each.chain for each in receiver.keys if each.chain.key_id == key_id)
    return sent.generation, heard.generation


def keys_on_board(mission):
    """Whatever could be a chain key in the satellite's state directory, and what it leads to."""
    for path, data in mission.files(ONBOARD).items():
        if (mission.folder / ONBOARD / "state") in path.parents:
            for at in range(len(data) - KEY_SIZE + 1):
                chain = Chain(0, 0, data[at : at + KEY_SIZE])
                yield from (chain.key, chain.ratcheted(1).key)


def opened_on_board(mission, packets):
    """Directions of those packets that the satellite's state opens."""
    keys = set(keys_on_board(mission))
    assert keys
    return {
        way for way, packet in by_key(packets) if any(opens(packet, way, key) for key in keys)
    }


# --- the mission


def converse(mission, is_so):
    """Until something is so, with packets each way."""
    mission.until(lambda: mission.command("are-you-alive").accepted and is_so())


def test_keys_of_a_mission(tmp_path):
    with Mission(tmp_path, SCENARIO) as mission:
        link_keys = read_link_keys(mission.folder / ONBOARD / "link.keys")
        assert [key.key_id for key in link_keys] == [FIRST, SPARE]
        mission.start(GROUND, ONBOARD)
        with contact(mission) as first:
            mission.offer(is_private=False)
            mission.until(mission.is_settled)
            converse(mission, lambda: min(generations(mission, FIRST)) > 0)
        mission.until(lambda: mission.health().get("contact") == 0)
        reached = max(generations(mission, FIRST))
        with contact(mission) as second:
            mission.offer(is_private=False)
            mission.until(mission.is_settled)
            converse(mission, lambda: min(generations(mission, FIRST)) > reached)
            check_recorded(mission, link_keys, first, second)
            check_commands(mission)
        mission.stop()
        # In all that the satellite has, the last of it after it was stopped.
        assert opened_on_board(mission, first) == set()
        check_without_keys(mission)
        assert mission.faults() == []
        assert mission.troubles() == []


def check_recorded(mission, link_keys, first, second):
    """Of the first contact nothing opens with what is on board; with the key file everything."""
    key = link_keys[0]
    recorded = list(first)
    assert {way for way, _ in recorded} == {DOWN, UP}
    for way, packet in by_key(recorded):
        chain = key.chain(way).ratcheted(packet[7] % GENERATIONS_ON_WIRE)
        assert opens(packet, way, chain.key)
    assert opened_on_board(mission, recorded) == set()
    # This is no lack of skill: the present traffic does open.
    converse(mission, lambda: opened_on_board(mission, second[-KEPT:]) == {DOWN, UP})


def check_commands(mission):
    reply = mission.command("retire-link-key", destination=STATION, key=FIRST)
    assert (reply.accepted, reply.detail) == (False, "refused, 404: the key is in use")
    reply = mission.command("select-link-key", destination=STATION, key=SPARE)
    assert (reply.accepted, reply.detail) == (True, "done")
    assert [states(mission, program)[0].selected for program in (ONBOARD, GROUND)] == [SPARE] * 2
    reply = mission.command("retire-link-key", destination=STATION, key=FIRST)
    assert (reply.accepted, reply.detail) == (True, "done")
    for program in (ONBOARD, GROUND):
        assert [state.key_ids for state in states(mission, program)] == [[SPARE]] * 2
    reply = mission.command("retire-link-key", destination=STATION, key=SPARE)
    assert (reply.accepted, reply.detail) == (False, "refused, 404: the key is in use")
    assert mission.command("are-you-alive").accepted


def check_without_keys(mission):
    """The first start left them, and warned; a later one does not need them."""
    path = mission.folder / ONBOARD / "link.keys"
    (first,) = (life for life in mission.lives if life.name == ONBOARD)
    assert f"WARNING {WARNING}{path}" in first.text()
    assert mission.said(GROUND, f"satellite: {WARNING}")
    path.unlink()
    mission.start(ONBOARD)
    mission.stop()
    assert WARNING not in mission.lives[-1].text()

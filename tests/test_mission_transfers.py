"""A whole mission whose memory of transfers is lost, damaged or of another configuration.

Both programs start all the same, say what they dropped, and what was acknowledged arrives.
"""

import sqlite3
from contextlib import closing
from dataclasses import replace

import msgspec

from ground.linkstore import DATABASE
from occulta.link.cfdp import TransactionId
from occulta.link.cfdp.saved import decode_saved, encode_saved
from tests.cfdp_world import DATA as FILE
from tests.cfdp_world import GROUND as STATION
from tests.cfdp_world import SAT, World, without
from tests.missions import GROUND, LINK, ONBOARD, Mission

UNKNOWN = 9


def lose_database(mission):
    """As a bad block does, over all of it."""
    for path in mission.spool.glob("spool.db*"):
        path.write_bytes(bytes(path.stat().st_size))


def damage_transfers(mission):
    """A bit of one snapshot, and the list of transfers."""
    with closing(sqlite3.connect(mission.spool / "spool.db")) as database, database:
        key, data = database.execute(
            "SELECT sequence, data FROM snapshots WHERE sequence <> '-1' LIMIT 1"
        ).fetchone()
        flipped = bytes([*data[:-1], data[-1] ^ 1])
        database.execute("UPDATE snapshots SET data = ? WHERE sequence = ?", (flipped, key))
        database.execute("UPDATE state SET value = x'c1' WHERE key = 'transfers'")
    return key


def unfinished():
    """What a node keeps of a file from an entity that is none of its satellites."""
    world = World(without(type(None)), durable=True)
    world.put(FILE)
    world.save(SAT)
    world.transmit()
    for sent in world.log[:3]:
        world.ground.receive(sent.pdu, world.now)
    world.save(STATION)
    saved = decode_saved(world.saved[STATION][TransactionId(SAT, 1)])
    header = replace(saved.header, source=UNKNOWN)
    return encode_saved(msgspec.structs.replace(saved, header=header))


def damage_links(path):
    """A damaged snapshot, one of an unknown satellite, and a row whose number is none."""
    rows = (str(UNKNOWN), "1", unfinished()), (str(UNKNOWN), "2", b"x"), ("one", "3", b"x")
    with closing(sqlite3.connect(path)) as database, database:
        database.executemany("INSERT INTO snapshots VALUES (?, ?, ?)", rows)


def under_way(mission):
    """A frame is acknowledged and its transfer begun, while the ground is away."""
    mission.stop(GROUND)
    mission.offer()
    mission.until(lambda: mission.health().get("transactions_open", 0) >= 2)
    mission.stop(ONBOARD)


def test_the_memory_of_transfers_is_lost_and_damaged(tmp_path):
    with Mission(tmp_path) as mission:
        mission.start(GROUND, ONBOARD, LINK)
        mission.offer(2)
        mission.until(mission.is_settled)

        mission.stop(ONBOARD)
        lose_database(mission)
        mission.start(ONBOARD)
        mission.offer()
        mission.until(mission.is_settled)
        assert not mission.said(ONBOARD, "did not reach")  # no number was used twice

        under_way(mission)
        number = damage_transfers(mission)
        (links,) = (mission.folder / GROUND).rglob(DATABASE)
        damage_links(links)
        mission.start(ONBOARD, GROUND)
        mission.until(mission.is_settled)
        assert mission.said(ONBOARD, "the list of transfers is damaged")
        assert mission.said(ONBOARD, f"-{number}: a damaged snapshot")
        assert mission.said(GROUND, f"{DATABASE}: rows were damaged")
        assert mission.said(GROUND, f"transaction {UNKNOWN}-1: a transaction with entity {UNKNOWN}")
        assert mission.said(GROUND, f"transaction {UNKNOWN}-2: a damaged snapshot")
        assert mission.faults() == []

        under_way(mission)
        with mission.edited(ONBOARD) as options:
            options["destinations"][0]["entity"] = 77
        mission.start(ONBOARD)
        mission.until(lambda: mission.health().get("spool_items") == 0)
        assert mission.said(ONBOARD, "deliveries cancelled, their destinations are gone: 1")
        mission.stop()

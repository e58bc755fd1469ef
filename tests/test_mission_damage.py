"""Whole missions whose files are damaged between a kill and a start, on board and on the ground.

What was acknowledged and is whole arrives; what is not is told of, and may be offered again.
"""

import pytest

from ground.product import ARCHIVE_DATABASE, ITEMS_DATABASE
from occulta.errors import Reason
from tests.missions import GROUND, LINK, ONBOARD, Mission

NO_STATE = Reason.LINK_STATE


@pytest.fixture
def mission(tmp_path):
    with Mission(tmp_path) as found:
        yield found


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def flip(path):
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2] ^= 1
    path.write_bytes(octets)


def overwrite(path):
    """A database, and its log with it."""
    path.write_bytes(b"no database" * 1000)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def stored(mission):
    """Folders of the products on board, the oldest first."""
    return sorted(
        (path for path in (mission.spool / "products").iterdir()),
        key=lambda path: path.stat().st_mtime_ns,
    )


def heard(mission, line):
    """The satellite has told the ground."""
    return lambda: mission.said(GROUND, f"WARNING satellite: {line}")


def test_files_on_board_are_damaged(mission):
    mission.start(GROUND, ONBOARD)
    mission.offer(4)
    waits = mission.next_frame()
    mission.offer_private(waits)
    short, no_manifest, no_record, _ = stored(mission)
    (item,) = (mission.spool / "items").glob(f"*{waits.item}~*")
    mission.kill(ONBOARD)
    cut(short / "data")
    (no_manifest / "manifest").unlink()
    (no_record / "record").unlink()  # needed only where the database is lost
    cut(item)
    mission.start(ONBOARD)
    again = mission.frames[:2]
    mission.until(lambda: mission.health().get("spool_items") == 2)
    for frame in again:  # no longer known: their camera may offer them
        mission.feed.offer(frame)
        mission.until(mission.feed.is_idle)
    mission.offer_private(waits)
    mission.offer_picture(waits)
    mission.until(mission.feed.is_idle)
    mission.start(LINK)
    mission.until(mission.is_settled)
    mission.until(heard(mission, f"product {short.name} is damaged: its data has "))
    mission.until(heard(mission, f"product {no_manifest.name} is damaged: its manifest is missing"))
    mission.until(heard(mission, f"item {waits.item} is lost: its file has "))
    assert mission.faults() == [] == mission.troubles()
    assert {path.name for path in stored(mission)} == {short.name, no_manifest.name}
    for gone in (short, no_manifest):
        assert mission.command("cancel", product=gone.name).accepted
    assert stored(mission) == []
    mission.stop()


def test_databases_and_data_are_damaged(mission):
    mission.start(GROUND, LINK, ONBOARD)
    mission.offer()
    mission.until(mission.is_settled)
    mission.kill(LINK)
    mission.offer(3)
    flipped = stored(mission)[1]
    mission.kill(ONBOARD)
    mission.kill(GROUND)
    overwrite(mission.spool / "spool.db")
    for name in (ARCHIVE_DATABASE, ITEMS_DATABASE):
        overwrite(mission.archive / name)
    overwrite(mission.folder / GROUND / "state" / "links.db")
    mission.start(GROUND, ONBOARD)
    mission.until(lambda: len(mission.recovered()) == 1)
    mission.until(lambda: mission.said(ONBOARD, "spool.db is damaged"))
    mission.kill(ONBOARD)
    flip(flipped / "data")  # of the same size: only its digest tells
    mission.start(ONBOARD, LINK)
    mission.until(lambda: len(mission.recovered()) == 3)
    mission.until(lambda: mission.said(GROUND, f"rejected '{flipped.name}': the data's digest"))
    for name in (ARCHIVE_DATABASE, ITEMS_DATABASE, "links.db"):
        assert mission.said(GROUND, f"{name} was damaged"), name
    mission.until(lambda: mission.health().get("spool_items") == 0)
    del mission.frames[2]
    assert [fault for fault in mission.faults() if "rejected/" not in fault] == []
    assert mission.troubles() == []
    mission.stop()


def test_the_state_of_a_link_is_damaged(mission):
    mission.start(GROUND, LINK, ONBOARD)
    mission.offer()
    mission.until(mission.is_settled)
    mission.kill(LINK)
    mission.offer()
    for program, end in ((ONBOARD, "ground"), (GROUND, "satellite")):
        mission.kill(program)
        for kind, damage in (("sender", flip), ("receiver", lambda path: path.unlink())):
            path = mission.folder / program / "state" / "links" / f"{end}.{kind}"
            saved = path.read_bytes()
            damage(path)
            check_that_it_refuses(mission, program)
            path.write_bytes(saved)
        mission.start(program)
    mission.start(LINK)
    mission.until(mission.is_settled)
    assert mission.faults() == [] == mission.troubles()
    mission.stop()


def check_that_it_refuses(mission, program):
    """It says what is wrong, and touches nothing of its own; the other program goes on."""
    before = data_of(mission, program)
    refused = mission.launch(program)
    assert mission.wait_for_end(program) == NO_STATE.exit_code
    assert f"error {NO_STATE.value}: " in refused.text()
    assert data_of(mission, program) == before


def data_of(mission, program):
    """Products and link states of a program."""
    products = {ONBOARD: mission.spool, GROUND: mission.archive}[program] / "products"
    folders = [products, mission.folder / program / "state" / "links"]
    return {path: path.read_bytes() for folder in folders for path in folder.rglob("*")
            if path.is_file()}

"""Rows that were lost or interrupted come back from the folders, with what is known of them."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from ground.items import ItemStore
from ground.outcome import Failure, ItemEntry
from ground.product import State
from occulta.codec.crypto import PrivateKey
from tests.ground_world import (
    DATA,
    FOREIGN,
    World,
    manifest_of,
    name_of,
    outcome,
    product_id,
    settle,
    tree,
)
from tests.support import KEY, OTHER_KEY, SATELLITE

BROKEN = Failure(502, "it is not what it was", "fetch it again")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def _garbage(path: Path) -> None:
    path.write_bytes(b"garbage" * 1000)


def _page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 3] = bytes(4096)
    path.write_bytes(content)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4096])


def _version(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()


def _schema(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DROP INDEX product_state")
    connection.close()


DAMAGES: list[Callable[[Path], None]] = [_garbage, _page, _cut, _version, _schema]


def fill(world: World) -> None:
    """A product in each state, and one by an unknown signer."""
    for number in range(1, 6):
        world.deliver(number, signer=FOREIGN if number == 5 else SATELLITE)
    settle(world, 1, items=(ItemEntry("incomplete"),))
    settle(world, 2, State.FAILED, error=BROKEN, verdict="not verified")
    settle(world, 3, State.NO_KEY, error=Failure(500, "no key", "get one"))
    world.archive.begin_recovery(product_id(4))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_database_is_made_again_from_the_folders(
    world: World, damage: Callable[[Path], None]
) -> None:
    fill(world)
    before = {n: world.product(n).as_dict() | {"received_at": 0} for n in range(1, 6)}
    files = tree(world.folder / "products")
    world.archive.close()
    damage(world.folder / "archive.db")
    world.open()
    after = {n: world.product(n).as_dict() | {"received_at": 0} for n in range(1, 6)}
    assert after == before | {4: before[4] | {"state": "archived"}}
    assert tree(world.folder / "products") == files
    said, counted = world.archive.notices
    assert said.startswith("archive.db was damaged (")
    assert said.endswith("kept as archive.db.damaged-1; made again from the products' folders")
    assert counted == "5 products had no row"
    assert (world.folder / "archive.db.damaged-1").exists()
    assert world.open().notices == []


def test_a_lost_database_is_made_again_too(world: World) -> None:
    fill(world)
    world.archive.close()
    (world.folder / "archive.db").unlink()
    world.open()
    assert world.archive.notices == ["5 products had no row"]
    assert world.states() == {"archived": 2, "recovered": 1, "failed": 1, "no_key": 1}


def test_damaged_databases_are_all_kept(world: World) -> None:
    for number in (1, 2):
        world.archive.close()
        _garbage(world.folder / "archive.db")
        world.open()
        kept = world.folder / f"archive.db.damaged-{number}"
        assert kept.read_bytes().startswith(b"garbage")


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"{" * 100_000, b'{"state": "recovered"}'])
def test_a_report_that_says_nothing_asks_for_another_recovery(
    world: World, content: bytes
) -> None:
    world.deliver(1)
    settle(world, 1)
    (world.place(1) / "report.json").write_bytes(content)
    world.archive.close()
    (world.folder / "archive.db").unlink()
    world.open()
    assert world.states() == {"archived": 1}


def test_another_products_report_counts_for_nothing(world: World) -> None:
    world.deliver(1)
    world.deliver(2)
    settle(world, 1)
    (world.place(1) / "report.json").rename(world.place(2) / "report.json")
    world.archive.close()
    (world.folder / "archive.db").unlink()
    world.open()
    assert world.states() == {"archived": 2}


@pytest.mark.parametrize(
    ("name", "content"),
    [("manifest", None), ("manifest", b"garbage"), ("manifest", manifest_of(9, DATA)),
     ("received.jpg", None), ("received.jpg", DATA[:-1])],
)
def test_a_product_that_lost_a_file_is_set_aside(
    world: World, name: str, content: bytes | None
) -> None:
    world.deliver(1)
    world.deliver(2)
    world.archive.close()
    (world.folder / "archive.db").unlink()
    (world.place(1) / name).unlink()
    if content is not None:
        (world.place(1) / name).write_bytes(content)
    left = tree(world.place(1))
    world.open()
    assert world.states() == {"archived": 1}
    assert world.archive.rejections["damaged"] == 1
    assert tree(world.folder / "rejected" / f"{name_of(1)}-1/received") == left
    assert not world.place(1).exists()


def test_what_is_no_product_is_left_alone(world: World) -> None:
    (world.place(1).parent / "notes.txt").write_bytes(b"an operator's")
    world.open()
    assert world.archive.notices == []
    assert (world.place(1).parent / "notes.txt").exists()


# --- what the next start tries again


def test_interrupted_recoveries_begin_again(world: World) -> None:
    world.deliver(1)
    world.archive.begin_recovery(product_id(1))
    assert world.states() == {"recovering": 1}
    world.open()
    assert world.states() == {"archived": 1}


@pytest.mark.parametrize(
    ("number", "again"), [(601, True), (203, True), (502, False), (329, False)]
)
def test_faults_of_this_side_are_tried_again(world: World, number: int, again: bool) -> None:
    world.deliver(1)
    settle(world, 1, State.FAILED, error=Failure(number, "", ""))
    world.open()
    assert world.states() == ({"archived": 1} if again else {"failed": 1})


def fingerprints(*keys: PrivateKey) -> list[bytes]:
    return [key.public.fingerprint for key in keys]


def test_a_new_key_is_tried_on_what_lacked_one(world: World) -> None:
    for number in (1, 2, 3):
        world.deliver(number)
    assert world.archive.set_recipients(fingerprints(KEY)) == 0
    settle(world, 1)
    settle(world, 2, State.NO_KEY)
    settle(world, 3, items=(ItemEntry("complete"), ItemEntry("no_key")))
    assert world.open().set_recipients(fingerprints(KEY)) == 0
    assert world.archive.set_recipients(fingerprints(KEY, OTHER_KEY)) == 2
    assert [world.product(n).state.value for n in (1, 2, 3)] == [
        "recovered", "archived", "archived",
    ]
    settle(world, 2, State.NO_KEY)
    assert world.archive.set_recipients(fingerprints(OTHER_KEY)) == 0
    assert world.archive.set_recipients(fingerprints(KEY)) == 1


def test_a_damaged_database_of_items_is_filled_again_by_recoveries(world: World) -> None:
    for number in (1, 2, 3):
        world.deliver(number)
    settle(world, 1, items=(ItemEntry("incomplete"),))
    settle(world, 2)
    ItemStore(world.folder).close()
    _garbage(world.folder / "items.db")
    world.open()
    (said,) = world.archive.notices
    assert said.startswith("items.db was damaged (")
    assert said.endswith("; 1 products are recovered again")
    assert world.states() == {"archived": 2, "recovered": 1}
    assert world.product(1).state is State.ARCHIVED


# --- the queue of recoveries


def test_the_oldest_product_comes_first(world: World) -> None:
    for number in (2, 1):
        world.deliver(number)
    seen = []
    while (product := world.archive.next_to_recover()) is not None:
        seen.append(product.id)
        world.archive.begin_recovery(product.id)
    assert seen == [product_id(2), product_id(1)]
    assert world.states() == {"recovering": 2}


def test_unknown_products_are_misuse(world: World) -> None:
    with pytest.raises(ValueError, match=name_of(1)):
        world.archive.begin_recovery(product_id(1))
    with pytest.raises(ValueError, match=name_of(1)):
        world.archive.end_recovery(outcome(1))
    assert world.archive.product(product_id(1)) is None


def test_counts_say_products_and_bytes(world: World) -> None:
    fill(world)
    counts = {state.value: found for state, found in world.archive.counts().items()}
    size = len(DATA)
    assert counts == {
        "archived": (1, size), "recovering": (1, size), "recovered": (1, size),
        "failed": (1, size), "no_key": (1, size), "share": (0, 0),
    }

"""Whose product it is: sources apart in the inbox, and two products of one id."""

from pathlib import Path

import pytest

from ground import rows
from ground.inbox import Disposition, Offer, Rejection
from ground.product import State
from ground.trust import Trust
from occulta.codec.crypto import SigningKey
from tests.ground_world import (
    DATA,
    FOREIGN,
    NOW,
    SATELLITE,
    Crash,
    World,
    crash_at,
    manifest_of,
    name_of,
    outcome,
    product_id,
    put,
    revoked,
    tree,
)

OTHER = b"of the other one"
BOTH = Trust({"alpha": SATELLITE.public, "beta": FOREIGN.public})


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    (world.archive.inbox / "3").mkdir()
    return world


def usurp(world: World, data: bytes = OTHER, signer: SigningKey = FOREIGN) -> Offer | None:
    """Another satellite delivers a whole product by the id of number 1."""
    place = put(world.archive.inbox / "3", 1, data, manifest_of(1, data, signer))
    return world.archive.offer(place / "data", NOW)


def rejected(world: World) -> dict[str, bytes]:
    """What was refused as `received`, without the reasons."""
    kept = tree(world.folder / "rejected")
    return {name: data for name, data in kept.items() if not name.endswith("reason.json")}


# --- the inbox


@pytest.mark.parametrize("name", ["data", "manifest", "more", "data/x"])
def test_a_file_of_another_source_changes_nothing(world: World, name: str) -> None:
    put(world.inbox, 1, DATA, None)
    path = world.archive.inbox / "3" / name_of(1) / name
    path.parent.mkdir(parents=True)
    path.write_bytes(OTHER)
    world.archive.offer(path, NOW)
    world.archive.scan(NOW)
    put(world.inbox, 1, None, manifest_of(1, DATA))
    (offer,) = world.archive.scan(NOW)
    assert (offer.disposition, world.product(1).authentic) == (Disposition.ARCHIVED, True)
    assert (world.place(1) / "received.jpg").read_bytes() == DATA


def test_a_satellites_copy_of_anothers_product_is_a_duplicate(world: World) -> None:
    world.deliver(1)
    offer = usurp(world, DATA, SATELLITE)
    assert offer is not None
    assert offer.disposition is Disposition.DUPLICATE
    assert world.product(1).authentic


def test_a_pair_from_before_the_inbox_was_parted_is_archived(world: World) -> None:
    put(world.archive.inbox, 1, DATA, manifest_of(1, DATA))
    world.open()
    (offer,) = world.archive.scan(NOW)
    assert offer.disposition is Disposition.ARCHIVED


@pytest.mark.parametrize("name", ["data", "manifest"])
def test_a_half_from_before_is_kept_aside(world: World, name: str) -> None:
    content = {"data": DATA, "manifest": manifest_of(1, DATA)}
    place = put(world.archive.inbox, 1, None, None)
    (place / name).write_bytes(content[name])
    world.open()
    (offer,) = world.archive.scan(NOW)
    assert offer.rejection is Rejection.STRAY
    assert rejected(world) == {f"{name_of(1)}-1/received/{name}": content[name]}
    world.deliver(1)
    assert world.product(1).authentic


def test_a_half_from_before_that_is_archived_already_is_dropped(world: World) -> None:
    world.deliver(1)
    put(world.archive.inbox, 1, DATA, None)
    (offer,) = world.archive.scan(NOW)
    assert offer.disposition is Disposition.DUPLICATE
    assert rejected(world) == {}


def test_a_file_where_a_source_has_its_folder_is_left_alone(world: World) -> None:
    (world.archive.inbox / "7").write_bytes(b"not CFDP's")
    assert world.archive.scan(NOW) == []


# --- two products of one id


def check_displaced(world: World) -> None:
    product = world.product(1)
    assert (product.authentic, product.state) == (True, State.ARCHIVED)
    assert tree(world.place(1)) == {"received.jpg": DATA, "manifest": manifest_of(1, DATA)}
    inner = f"{name_of(1)}-1/received"
    assert rejected(world) == {
        f"{inner}/received.jpg": OTHER, f"{inner}/manifest": manifest_of(1, OTHER, FOREIGN),
    }
    assert tree(world.archive.inbox) == {}


def test_what_is_authentic_takes_the_place_of_what_is_not(world: World) -> None:
    usurp(world)
    assert not world.product(1).authentic
    offer = world.deliver(1)
    assert offer is not None
    assert (offer.disposition, offer.product) == (Disposition.ARCHIVED, world.product(1))
    check_displaced(world)
    assert world.archive.rejections[Rejection.CONFLICT.value] == 1
    again = usurp(world)
    assert again is not None
    assert again.rejection is Rejection.CONFLICT
    assert world.product(1).authentic


@pytest.mark.parametrize("step", ["forgotten", "moved", "named", "synced", "recorded"])
def test_after_a_crash_what_is_authentic_has_its_place(world: World, step: str) -> None:
    usurp(world)
    world.open(checkpoint=crash_at(step))
    with pytest.raises(Crash):
        world.deliver(1)
    world.open()
    world.archive.scan(NOW)
    check_displaced(world)


def test_the_same_data_in_anothers_name(world: World) -> None:
    usurp(world, DATA)
    world.deliver(1)
    assert world.product(1).authentic
    assert sorted(rejected(world)) == [
        f"{name_of(1)}-1/received/{name}" for name in ("manifest", "received.jpg")
    ]


def test_a_recovery_under_way_is_waited_for(world: World) -> None:
    usurp(world)
    world.archive.begin_recovery(product_id(1))
    assert world.deliver(1) is None
    assert world.archive.scan(NOW) == []
    world.archive.end_recovery(outcome(1, State.NO_KEY, authentic=False))
    (offer,) = world.archive.scan(NOW)
    assert offer.disposition is Disposition.ARCHIVED
    check_displaced(world)


@pytest.mark.parametrize("data", [DATA, OTHER])
@pytest.mark.parametrize(
    ("trust", "signer"),
    [(BOTH, FOREIGN), (revoked(0.0), FOREIGN)], ids=["both count", "neither counts"],
)
def test_where_nobody_can_tell_the_first_stays_and_the_second_is_kept(
    world: World, trust: Trust, signer: SigningKey, data: bytes
) -> None:
    world.trust = trust
    world.open()
    usurp(world, data, signer)
    before = world.product(1)
    offer = world.deliver(1)
    assert offer is not None
    assert offer.rejection is Rejection.CONFLICT
    assert world.product(1) == before
    assert rejected(world) == {
        f"{name_of(1)}-1/received/data": DATA,
        f"{name_of(1)}-1/received/manifest": manifest_of(1, DATA),
    }


def test_what_was_kept_is_archived_once_its_rival_counts_no_longer(world: World) -> None:
    """As an operator does it: the key revoked, the folder put back into the inbox."""
    world.trust = BOTH
    world.open()
    usurp(world)
    world.deliver(1)
    world.trust = revoked(0.0, FOREIGN)
    world.archive.set_trust(world.trust)
    (world.folder / "rejected" / f"{name_of(1)}-1/received").rename(world.inbox / name_of(1))
    (offer,) = world.archive.scan(NOW)
    assert offer.disposition is Disposition.ARCHIVED
    assert world.product(1).authentic


def test_whoever_follows_the_changes_sees_the_new_product(world: World) -> None:
    world.deliver(2)
    usurp(world)
    database = world.archive._database
    seen = rows.last_change(database)
    world.deliver(1)
    changed, _ = rows.changed_since(database, seen)
    assert [(product.id, product.authentic) for product in changed] == [(product_id(1), True)]

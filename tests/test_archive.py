"""What CFDP delivered becomes a product, is dropped, or is kept with the reason why not."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ground.archive import Archive
from ground.inbox import Disposition, Rejection
from ground.product import State
from occulta.errors import OccultaError, Reason
from occulta.link.messages import ManifestFile
from tests.ground_world import (
    CREATED,
    DATA,
    FOREIGN,
    NOW,
    SIGNER,
    STRANGER,
    Crash,
    World,
    broken,
    crash_at,
    manifest_of,
    name_of,
    product_id,
    put,
    tree,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# --- what arrives


def test_a_product_is_archived_with_its_facts(world: World) -> None:
    offer = world.deliver(7)
    assert offer is not None
    assert (offer.disposition, offer.name) == (Disposition.ARCHIVED, name_of(7))
    product = world.product(7)
    assert offer.product == product
    assert (product.frame_id, product.scheme, product.profile) == ("frame-7", "reversible", "exact")
    assert (product.captured_at, product.created_at, product.received_at) == (1000, CREATED, NOW)
    assert (product.size, product.sha256) == (len(DATA), hashlib.sha256(DATA).digest())
    assert (product.signer, product.satellite, product.authentic) == (SIGNER, "alpha", True)
    assert (product.state, product.verdict, product.error) == (State.ARCHIVED, None, None)
    assert tree(world.place(7)) == {"received.jpg": DATA, "manifest": manifest_of(7, DATA)}
    assert tree(world.inbox) == {}
    assert world.archive.counters == {"archived": 1, "duplicate": 0, "rejected": 0}
    assert world.archive.notices == []


@pytest.mark.parametrize(
    ("scheme", "name"),
    [("sealed", "received.sealed"), ("plain", "received.jpg"), ("of-tomorrow", "received.bin")],
)
def test_what_was_received_is_named_for_its_scheme(world: World, scheme: str, name: str) -> None:
    world.deliver(1, scheme=scheme)
    assert (world.place(1) / name).read_bytes() == DATA


def test_an_unknown_signer_is_archived_and_not_authentic(world: World) -> None:
    offer = world.deliver(1, signer=FOREIGN)
    assert offer is not None
    assert offer.disposition is Disposition.ARCHIVED
    product = world.product(1)
    assert (product.signer, product.satellite, product.authentic) == (STRANGER, None, False)


@pytest.mark.parametrize("first", ["data", "manifest"])
def test_one_file_waits_for_the_other(world: World, first: str) -> None:
    content = {"data": DATA, "manifest": manifest_of(1, DATA)}
    second = next(name for name in content if name != first)
    place = world.inbox / name_of(1)
    place.mkdir()
    (place / first).write_bytes(content[first])
    assert world.archive.offer(place / first, NOW) is None
    assert world.archive.scan(NOW) == []
    (place / second).write_bytes(content[second])
    offer = world.archive.offer(place / second, NOW)
    assert offer is not None
    assert offer.disposition is Disposition.ARCHIVED
    assert world.archive.offer(place / first, NOW) is None  # it has gone


def test_a_scan_takes_everything_complete(world: World) -> None:
    for number in (1, 2, 3):
        put(world.inbox, number, DATA, manifest_of(number, DATA))
    put(world.inbox, 4, DATA, None)
    parts = world.archive.inbox / ".incoming"
    parts.mkdir()
    (parts / "1-7.part").write_bytes(b"unfinished")
    offers = world.archive.scan(NOW)
    assert [offer.name for offer in offers] == [name_of(n) for n in (1, 2, 3)]
    assert tree(parts) == {"1-7.part": b"unfinished"}
    assert tree(world.inbox) == {f"{name_of(4)}/data": DATA}
    assert world.states() == {"archived": 3}


# --- what is refused


def _other_file(folder: Path, number: int) -> None:
    put(folder, number, DATA, manifest_of(number, DATA))
    (folder / name_of(number) / "more").write_bytes(b"x")


def _link(folder: Path, number: int) -> None:
    put(folder, number, None, manifest_of(number, DATA))
    (folder / name_of(number) / "data").symlink_to("/etc/passwd")


REFUSED: dict[str, tuple[Rejection, Callable[[Path, int], object]]] = {
    "digest": (Rejection.DIGEST, lambda folder, n: put(
        folder, n, DATA.upper(), manifest_of(n, DATA))),
    "short": (Rejection.SIZE, lambda folder, n: put(folder, n, DATA[:-1], manifest_of(n, DATA))),
    "long": (Rejection.SIZE, lambda folder, n: put(folder, n, DATA * 2, manifest_of(n, DATA))),
    "garbage": (Rejection.MANIFEST, lambda folder, n: put(folder, n, DATA, b"garbage")),
    "empty": (Rejection.MANIFEST, lambda folder, n: put(folder, n, DATA, b"")),
    "huge": (Rejection.MANIFEST, lambda folder, n: put(folder, n, DATA, bytes(1 << 20))),
    "signature": (Rejection.MANIFEST, lambda folder, n: put(
        folder, n, DATA, broken(manifest_of(n, DATA)))),
    "no data": (Rejection.MANIFEST, lambda folder, n: put(
        folder, n, DATA,
        manifest_of(n, DATA, files=(ManifestFile("other", len(DATA), bytes(32)),)))),
    "another's": (Rejection.PRODUCT, lambda folder, n: put(
        folder, n, DATA, manifest_of(n + 1, DATA))),
    "other file": (Rejection.STRAY, _other_file),
    "link": (Rejection.STRAY, _link),
    "folder": (Rejection.STRAY, lambda folder, n: (folder / name_of(n) / "data").mkdir(
        parents=True)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_kept_with_its_reason(world: World, case: str) -> None:
    reason, make = REFUSED[case]
    make(world.inbox, 1)
    place = world.inbox / name_of(1)
    before = {path.name: os.readlink(path) if path.is_symlink() else path.is_dir()
              or path.read_bytes() for path in place.iterdir()}
    (offer,) = world.archive.scan(NOW)
    assert (offer.disposition, offer.rejection) == (Disposition.REJECTED, reason)
    kept = world.folder / "rejected" / f"{name_of(1)}-1"
    after = {path.name: os.readlink(path) if path.is_symlink() else path.is_dir()
             or path.read_bytes() for path in (kept / "received").iterdir()}
    assert after == before
    said = json.loads((kept / "reason.json").read_text())
    assert said == {
        "reason": reason.value, "detail": offer.detail, "name": name_of(1), "time": NOW,
    }
    assert list(world.inbox.iterdir()) == []
    assert world.archive.counters == {"archived": 0, "duplicate": 0, "rejected": 1}
    assert {name: count for name, count in world.archive.rejections.items() if count} == {
        reason.value: 1
    }
    assert world.archive.notices == [
        f"rejected '{name_of(1)}': {offer.detail}; kept in {kept.name}"
    ]
    assert world.states() == {}


@pytest.mark.parametrize("name", ["letter.txt", "a/b/c", "0" * 31 + "G/data", "F" * 32 + "/data"])
def test_strays_are_kept_as_a_whole(world: World, name: str) -> None:
    path = world.inbox / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"stray")
    offer = world.archive.offer(path, NOW)
    assert offer is not None
    assert offer.rejection is Rejection.STRAY
    inner = "/".join(["received", *name.split("/")[1:]])
    kept = tree(world.folder / "rejected/stray-1")
    assert (kept[inner], sorted(kept)) == (b"stray", sorted([inner, "reason.json"]))
    assert list(world.inbox.iterdir()) == []


def test_a_name_in_the_folder_of_unfinished_files_spoils_no_others(world: World) -> None:
    parts = world.archive.inbox / ".incoming"
    parts.mkdir()
    for name in ("1-7.part", "evil"):
        (parts / name).write_bytes(name.encode())
    offer = world.archive.offer(parts / "evil", NOW)
    assert offer is not None
    assert offer.rejection is Rejection.STRAY
    assert tree(parts) == {"1-7.part": b"1-7.part"}


def test_paths_elsewhere_are_misuse(world: World) -> None:
    inbox = world.archive.inbox
    for path in (world.folder / "x", inbox, inbox / "../products", inbox / "1/..", Path("data"),
                 inbox / ".incoming", inbox / "1"):
        with pytest.raises(ValueError, match="inbox"):
            world.archive.offer(path, NOW)
    assert world.place(1).parent.is_dir()


def test_rejections_are_numbered_on_after_a_restart(world: World) -> None:
    for number in (1, 2):
        put(world.inbox, 1, DATA, b"garbage")
        world.archive.scan(NOW)
        names = sorted(path.name for path in (world.folder / "rejected").iterdir())
        assert names == [f"{name_of(1)}-{n}" for n in range(1, number + 1)]
        world.open()


@given(st.data())
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_manifest_but_a_signed_one_is_authentic(world: World, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, 1 << 100))
    whole = bytearray(manifest_of(number, DATA))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    if bytes(whole) == manifest_of(number, DATA):
        return
    put(world.inbox, number, DATA, bytes(whole))
    for offer in world.archive.scan(NOW):
        assert offer.product is None or not offer.product.authentic
    assert tree(world.inbox) == {}


# --- duplicates


def test_a_product_that_comes_again_is_dropped(world: World) -> None:
    world.deliver(1)
    offer = world.deliver(1, signer=FOREIGN)
    assert offer is not None
    assert (offer.disposition, offer.product) == (Disposition.DUPLICATE, world.product(1))
    assert world.product(1).authentic
    assert tree(world.inbox) == {}
    assert sorted(tree(world.folder / "rejected")) == []
    assert world.archive.counters == {"archived": 1, "duplicate": 1, "rejected": 0}


@pytest.mark.parametrize("file", ["data", "manifest"])
def test_one_file_that_comes_again_is_dropped(world: World, file: str) -> None:
    world.deliver(1)
    content = {"data": DATA, "manifest": manifest_of(1, DATA)}
    (world.inbox / name_of(1)).mkdir()
    (world.inbox / name_of(1) / file).write_bytes(content[file])
    offer = world.archive.offer(world.inbox / name_of(1) / file, NOW)
    assert offer is not None
    assert (offer.disposition, offer.product) == (Disposition.DUPLICATE, world.product(1))
    assert tree(world.inbox) == {}


@pytest.mark.parametrize("file", ["data", "manifest"])
def test_one_file_that_comes_again_and_differs_waits_for_the_other(
    world: World, file: str
) -> None:
    world.deliver(1)
    (world.inbox / name_of(1)).mkdir()
    (world.inbox / name_of(1) / file).write_bytes(b"something else")
    assert world.archive.offer(world.inbox / name_of(1) / file, NOW) is None
    assert tree(world.inbox) == {f"{name_of(1)}/{file}": b"something else"}


def test_another_product_of_the_same_id_is_refused(world: World) -> None:
    world.deliver(1)
    offer = world.deliver(1, b"something else")
    assert offer is not None
    assert offer.rejection is Rejection.CONFLICT
    assert (world.place(1) / "received.jpg").read_bytes() == DATA
    kept = world.folder / "rejected" / f"{name_of(1)}-1/received/data"
    assert kept.read_bytes() == b"something else"


# --- one writer


def test_an_archive_in_use_is_left_as_it_is(world: World) -> None:
    world.deliver(1)
    world.archive.begin_recovery(product_id(1))
    (world.folder / ".removed/half").mkdir()
    for _ in range(2):
        with pytest.raises(OccultaError, match="in use by another ground node") as caught:
            Archive(world.folder, world.trust, NOW)
        assert caught.value.reason is Reason.OUTPUT_UNWRITABLE
    assert (world.folder / ".removed/half").exists()
    assert world.states() == {"recovering": 1}
    world.open()  # the other has ended: what it was at begins anew
    assert world.states() == {"archived": 1}


def test_an_archive_that_cannot_be_opened_is_not_held(world: World) -> None:
    world.archive.close()
    (world.folder / "archive.db").rename(world.folder / "away")
    (world.folder / "archive.db").mkdir()
    with pytest.raises(OccultaError, match="archive.db"):
        Archive(world.folder, world.trust, NOW)
    (world.folder / "archive.db").rmdir()
    world.open()


# --- crashes


@pytest.mark.parametrize("step", ["moved", "named", "synced", "recorded"])
def test_after_a_crash_a_product_is_archived_once(world: World, step: str) -> None:
    archive = world.open(checkpoint=crash_at(step))
    put(world.inbox, 1, DATA, manifest_of(1, DATA))
    with pytest.raises(Crash):
        archive.scan(NOW)
    world.open()
    assert world.archive.scan(NOW) == []
    assert world.states() == {"archived": 1}
    assert world.product(1).authentic
    assert tree(world.place(1)) == {"received.jpg": DATA, "manifest": manifest_of(1, DATA)}
    assert tree(world.inbox) == {}
    assert world.archive.notices == ([] if step == "recorded" else ["1 products had no row"])


@pytest.mark.parametrize("step", ["moved", "named", "synced", "recorded"])
def test_what_was_interrupted_is_made_good_without_a_restart(world: World, step: str) -> None:
    def full(reached: str) -> None:
        if reached == step:
            raise OccultaError(Reason.DISK_FULL, "no room")

    archive = world.open(checkpoint=full)
    put(world.inbox, 1, DATA, manifest_of(1, DATA))
    with pytest.raises(OccultaError):
        archive.offer(world.inbox / name_of(1) / "data", NOW)
    archive._checkpoint = lambda step: None
    archive.scan(NOW)
    assert world.states() == {"archived": 1}


def test_after_a_crash_a_duplicate_is_gone(world: World) -> None:
    world.deliver(1)
    world.open(checkpoint=crash_at("dropped"))
    with pytest.raises(Crash):
        world.deliver(1)
    world.open()
    assert sorted(tree(world.folder / ".removed")) == []
    assert world.archive.scan(NOW) == []
    assert world.states() == {"archived": 1}


def test_a_rejection_that_was_cut_off_is_judged_again(world: World) -> None:
    cut_off = world.folder / "rejected" / f"{name_of(1)}-5"
    cut_off.mkdir()
    (cut_off / "reason.json").write_text("{}")
    put(world.inbox, 1, DATA, b"garbage")
    world.open()
    (offer,) = world.archive.scan(NOW)
    assert offer.rejection is Rejection.MANIFEST
    assert [path.name for path in (world.folder / "rejected").iterdir()] == [f"{name_of(1)}-6"]


def test_what_the_disk_refuses_waits_and_holds_up_nothing(world: World) -> None:
    steps = ["moved"]

    def full_once(reached: str) -> None:
        if reached in steps:
            steps.remove(reached)
            raise OccultaError(Reason.DISK_FULL, "no room")

    archive = world.open(checkpoint=full_once)
    for number in (1, 2):
        put(world.inbox, number, DATA, manifest_of(number, DATA))
    assert [offer.name for offer in archive.scan(NOW)] == [name_of(2)]
    assert archive.notices == [f"{name_of(1)} waits: error 601: no room"]
    assert archive.scan(NOW) == []
    assert world.states() == {"archived": 2}
    assert archive.notices[1:] == ["1 products had no row"]


def test_what_is_in_the_way_is_set_aside(world: World) -> None:
    put(world.inbox, 1, DATA, manifest_of(1, DATA))
    world.place(1).write_bytes(b"in the way")
    with pytest.raises(OccultaError) as caught:
        world.archive.offer(world.inbox / name_of(1) / "data", NOW)
    assert caught.value.reason is Reason.OUTPUT_UNWRITABLE
    assert [offer.disposition for offer in world.archive.scan(NOW)] == [Disposition.ARCHIVED]
    kept = world.folder / "rejected" / f"{name_of(1)}-1/received"
    assert kept.read_bytes() == b"in the way"

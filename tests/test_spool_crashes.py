"""A crash at any step: what was begun is wholly there or not at all, and nothing else suffers.

At every step the folder is copied, once as it is and once without what was written but not synced,
and a second spool is opened on the copy. Proves that a product, the ranges it carries and the items
agree in each of them; that nothing acknowledged is ever missing; and that files are made durable
before their names, names before rows.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from onboard.spool import Product, Spool
from onboard.spool.files import is_temporary
from tests.spool_support import (
    CAMERA,
    GROUND,
    OVERHEAD,
    data_of,
    deliver,
    manifest_of,
    names,
    open_spool,
    product_of,
    queue,
    still_queued,
    store,
    waiting,
)

ITEM = bytes(range(200))
PRODUCT_STEPS = [
    "data synced", "product synced", "product renamed", "product named", "product inserted",
    "product committed",
]
ITEM_STEPS = ["item synced", "item renamed", "item named", "item inserted", "item committed"]


class Disk:
    """Copies of a spool's folder, taken at every step."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = root / "spool"
        self.copies: list[tuple[str, bool, Path]] = []
        self.taking = False
        self._root = root
        self._synced: set[tuple[int, int]] = set()
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self._note)

    def _note(self, descriptor: int) -> None:
        self._fsync(descriptor)
        found = os.fstat(descriptor)
        self._synced.add((found.st_ino, found.st_size))

    def take(self, step: str) -> None:
        if self.taking:
            for keep in (True, False):
                copy = self._root / f"copy-{len(self.copies)}"
                shutil.copytree(self.folder, copy)
                if not keep:
                    self._forget_unsynced(copy)
                self.copies.append((step, keep, copy))

    def _forget_unsynced(self, copy: Path) -> None:
        for path in [*copy.rglob("products/*/*"), *copy.rglob("items/*")]:
            found = (self.folder / path.relative_to(copy)).stat()
            if path.is_file() and (found.st_ino, found.st_size) not in self._synced:
                path.write_bytes(b"")

    def after_crash(self) -> Iterator[tuple[str, Spool]]:
        for step, _, copy in self.copies:
            with open_spool(copy) as spool:
                yield step, spool
                leftover = [*copy.rglob("products/*"), *copy.rglob("items/*")]
                assert not any(is_temporary(path.name) for path in leftover), step


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(tmp_path, monkeypatch)


def run(disk: Disk, before: Callable[[Spool], None], crashing: Callable[[Spool], None]) -> None:
    with open_spool(disk.folder, checkpoint=disk.take) as spool:
        before(spool)
        disk.taking = True
        disk.take("nothing done")
        crashing(spool)
        disk.take("all done")
        disk.taking = False


def is_whole(spool: Spool, product: Product) -> bool:
    """Whether a product is wholly there; asserts that it is not there at all otherwise."""
    place = spool.products.folder / product.id.hex()
    if spool.products.get(product.id) is None:
        assert not place.exists()
        assert spool.products.known_frame(CAMERA, product.frame_id) is None
        return False
    assert data_of(spool, product) == bytes([product.id[-1]]) * 50 + ITEM[20:100]
    assert (place / "manifest").read_bytes() == manifest_of(product)
    assert spool.products.known_frame(CAMERA, product.frame_id) == product.id
    return True


def test_a_product_is_there_or_not_and_the_items_agree(disk: Disk) -> None:
    made: list[Product] = []

    def before(spool: Spool) -> None:
        queue(spool, "key", ITEM)
        store(spool, 1, 50, private=20 + OVERHEAD)

    run(disk, before, lambda spool: made.append(store(spool, 2, 50, private=80 + OVERHEAD)[0]))
    seen: dict[str, set[bool]] = {}
    for step, spool in disk.after_crash():
        there = is_whole(spool, made[0])
        seen.setdefault(step, set()).add(there)
        rest = 100 if there else 20
        assert still_queued(spool) == {"key": [(rest, ITEM[rest:])]}, step
        assert [p.frame_id for p in waiting(spool)] == ["frame-1", "frame-2"][: 1 + there]
        assert spool.counts().private_bytes == 200 - rest
    assert list(seen) == ["nothing done", *PRODUCT_STEPS, "all done"]
    assert [seen[step] for step in seen] == [{False}] * 3 + [{True}] * 5


def test_an_item_is_there_or_not(disk: Disk) -> None:
    run(disk, lambda spool: queue(spool, "old", b"abc"), lambda spool: queue(spool, "new", ITEM))
    seen: dict[str, set[bool]] = {}
    for step, spool in disk.after_crash():
        there = spool.items.known("new") == "queued"
        seen.setdefault(step, set()).add(there)
        expected = {"old": [(0, b"abc")]} | ({"new": [(0, ITEM)]} if there else {})
        assert still_queued(spool) == expected, step
        files = {"payload~old~3", "payload~new~200"} if there else {"payload~old~3"}
        assert names(spool.items.folder) == files
    assert list(seen) == ["nothing done", *ITEM_STEPS, "all done"]
    assert [seen[step] for step in seen] == [{False}] * 2 + [{True}] * 5


def test_the_last_delivery(disk: Disk) -> None:
    def before(spool: Spool) -> None:
        queue(spool, "key", ITEM)
        store(spool, 1, 50, private=200 + OVERHEAD)
        store(spool, 2, 50)

    run(disk, before, lambda spool: deliver(spool, product_of(1, b"")))
    for step, spool in disk.after_crash():
        sending = spool.deliveries.sending()
        assert step in ("nothing done", "item left", "product left", "all done")
        assert sending == []
        there = spool.products.get(product_of(1, b"").id) is not None
        assert there == (step == "nothing done")
        assert names(spool.products.folder) == {p.id.hex() for p in waiting(spool)}
        assert len(waiting(spool)) == 1 + there
        assert spool.items.known("key") == ("queued" if there else "delivered")
        assert names(spool.items.folder) == ({"payload~key~200"} if there else set())
        assert still_queued(spool) == {} and spool.take_notices() == []


def test_cancelling_gives_the_private_data_back(disk: Disk) -> None:
    def before(spool: Spool) -> None:
        queue(spool, "key", ITEM)
        store(spool, 1, 50, private=50 + OVERHEAD)

    run(disk, before, lambda spool: spool.products.cancel(product_of(1, b"").id) or None)
    for step, spool in disk.after_crash():
        there = spool.products.get(product_of(1, b"").id) is not None
        assert there == (step == "nothing done")
        assert still_queued(spool) == {"key": [(50 if there else 0, ITEM[50 if there else 0 :])]}
        assert len(names(spool.products.folder)) == there


def test_making_room(tmp_path: Path, disk: Disk) -> None:
    """What is dropped goes whole; what it was dropped for comes whole, or not yet."""
    def size(spool: Spool) -> int:
        return spool.counts().bytes

    with open_spool(tmp_path / "measure") as measure:
        store(measure, 1, 1000)
        limit = 2 * size(measure) + 500
    with open_spool(
        disk.folder, checkpoint=disk.take, max_bytes=limit, when_full="drop-lowest"
    ) as spool:
        for number in (1, 2):
            store(spool, number, 1000, priority=100 + number)
        disk.taking = True
        store(spool, 3, 1000, priority=7)
        disk.taking = False
    steps = []
    for step, spool in disk.after_crash():
        steps.append(step)
        found = [p.frame_id for p in waiting(spool)]
        assert found in (["frame-1"], ["frame-3", "frame-1"]), step
        assert len(names(spool.products.folder)) == len(found)
    assert steps[0] == "product left" and found == ["frame-3", "frame-1"]


def test_a_crash_in_the_middle_of_removing(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        product, _ = store(spool, 1)
        half_gone = spool.products.folder / ".7~"
        shutil.copytree(spool.products.folder / product.id.hex(), half_gone)
        (half_gone / "manifest").unlink()
        deliver(spool, product)
        (tmp_path / "items" / ".8~").write_bytes(b"abc")
    with open_spool(tmp_path) as spool:
        assert names(tmp_path / "products") == names(tmp_path / "items") == set()
        assert spool.take_notices() == []


def test_a_transaction_is_durable_as_one(tmp_path: Path) -> None:
    """What link security, CFDP and a delivery say together is never half there."""
    folder = tmp_path / "spool"
    copies = []

    def copy() -> None:
        copies.append(tmp_path / f"copy-{len(copies)}")
        shutil.copytree(folder, copies[-1])

    with open_spool(folder) as spool:
        product, _ = store(spool, 1)
        spool.deliveries.mark_sending(product.id, GROUND)
        with spool.transaction():
            spool.state.put({"sender": b"1"})
            copy()
            assert spool.deliveries.mark_delivered(product.id, GROUND)
            copy()
            spool.state.save_snapshots("down", [(2, 7, b"x")])
            copy()
        copy()
    for number, place in enumerate(copies):
        with open_spool(place) as spool:
            done = number == 3
            assert spool.state.get("sender") == (b"1" if done else None)
            assert spool.state.load_snapshots("down") == ({(2, 7): b"x"} if done else {})
            assert spool.deliveries.sending() == ([] if done else [(product.id, GROUND)])


def test_files_before_names_before_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, rename = os.fsync, os.rename

    def name(path: str) -> str:
        return "temporary" if is_temporary(Path(path).name) else Path(path).name

    def noting_fsync(descriptor: int) -> None:
        done.append("fsync " + name(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def noting_rename(source: Path, target: Path) -> None:
        done.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "rename", noting_rename)
    with open_spool(tmp_path, checkpoint=done.append) as spool:
        assert done == [f"fsync {tmp_path.name}"]
        done.clear()
        store(spool, 1)
        assert done == [
            "fsync data", "data synced", "fsync manifest", "fsync record", "fsync temporary",
            "product synced", "rename", "product renamed", "fsync products", "product named",
            "product inserted", "product committed",
        ]
        done.clear()
        queue(spool, "key", b"abc")
        assert done == [
            "fsync temporary", "item synced", "rename", "item renamed", "fsync items",
            "item named", "item inserted", "item committed",
        ]

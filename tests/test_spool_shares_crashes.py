"""Shares of one frame become durable, or fail to: a crash at any step leaves all of them or none.

The undoing of what failed counts as a step too, and a disk that fails twice.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from occulta.errors import OccultaError, Reason
from onboard.spool.database import Database
from tests.spool_support import data_of, names, open_spool, store
from tests.test_spool_crashes import Disk, run
from tests.test_spool_shares import (
    FRAME,
    known,
    refusal,
    shares_of,
    store_shares,
    waiting_anywhere,
)

SHARE_STEPS = [
    "data synced", "product synced", "set renamed", "set named", "share moved", "product named",
    "product inserted", "product committed",
]


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(tmp_path, monkeypatch)


# --- as it is meant to go


def test_after_a_crash_all_are_there_or_none(disk: Disk) -> None:
    products = shares_of(1, 2, 3)
    run(disk, lambda spool: None, lambda spool: store_shares(spool, products) and None)
    seen: dict[str, set[bool]] = {}
    for step, spool in disk.after_crash():
        found = waiting_anywhere(spool)
        assert found in ([], products), step
        seen.setdefault(step, set()).add(bool(found))
        assert names(spool.products.folder) == {product.id.hex() for product in found}, step
        assert known(spool) == (products[0].id if found else None)
        assert all(data_of(spool, product) == bytes([product.id[-1]]) * 50 for product in found)
        # The camera offers it again: no share is there twice.
        assert store_shares(spool, shares_of(4, 5, 6)) == (products[0].id if found else
                                                          shares_of(4)[0].id), step
        assert len(waiting_anywhere(spool)) == 3, step
    assert list(seen) == ["nothing done", *SHARE_STEPS, "all done"]
    assert [seen[step] for step in seen] == [{False}] * 3 + [{True}] * 7


def test_a_crash_while_a_crash_is_mended(tmp_path: Path) -> None:
    """Some shares have their own names already, the folder they came in is still there."""
    products = shares_of(1, 2, 3)
    with open_spool(tmp_path / "spool") as spool:
        store_shares(spool, products)
    folder = tmp_path / "spool/products"
    for moved in range(4):
        copy = tmp_path / f"copy-{moved}"
        shutil.copytree(tmp_path / "spool", copy)
        packed = copy / f"products/{products[0].id.hex()}.set"
        packed.mkdir()
        for product in products[moved:]:
            (copy / "products" / product.id.hex()).rename(packed / product.id.hex())
        (copy / "spool.db").unlink()
        with open_spool(copy) as spool:
            assert waiting_anywhere(spool) == products
            assert known(spool) == products[0].id
            assert names(copy / "products") == names(folder)
            assert spool.take_notices() == ["products taken up again: 3"]


def test_names_before_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All shares are durable under one name before they take their own, and then their rows."""
    done: list[str] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        name = Path(os.readlink(f"/proc/self/fd/{descriptor}")).name
        done.append("fsync " + ("temporary" if name.startswith(".") else name))
        fsync(descriptor)

    one, two = shares_of(1, 2)
    with open_spool(tmp_path, checkpoint=done.append) as spool:
        monkeypatch.setattr(os, "fsync", noting)
        done.clear()
        store_shares(spool, [one, two])
    each = [["fsync data", "data synced", "fsync manifest", "fsync record",
             f"fsync {product.id.hex()}", "product synced"] for product in (one, two)]
    assert done == [
        *each[0], *each[1], "fsync temporary", "set renamed", "fsync products", "set named",
        "share moved", "share moved", "fsync products", "product named", "product inserted",
        "product committed",
    ]


# --- what fails


@pytest.mark.parametrize("step", ["data synced", "set named", "share moved", "product inserted"])
def test_what_fails_leaves_nothing(tmp_path: Path, step: str) -> None:
    failing = [True]

    def checkpoint(done: str) -> None:
        if done == step and failing:
            failing.clear()
            raise OccultaError(Reason.DISK_FULL, "no room")

    with open_spool(tmp_path, checkpoint=checkpoint) as spool:
        with refusal(Reason.DISK_FULL):
            store_shares(spool, shares_of(1, 2))
        assert names(spool.products.folder) == set()
        assert (known(spool), spool.counts().bytes) == (None, 0)
        assert store_shares(spool, shares_of(3, 4)) == shares_of(3)[0].id
    with open_spool(tmp_path) as spool:
        assert waiting_anywhere(spool) == shares_of(3, 4)


@pytest.mark.parametrize("step", ["set named", "share moved", "product inserted"])
@pytest.mark.parametrize("is_first", [True, False])
def test_after_a_crash_in_the_undoing_all_are_there_or_none(
    disk: Disk, step: str, is_first: bool
) -> None:
    """Whether anything was ever stored before or not."""
    products, failing = shares_of(1, 2, 3), [True]
    undone: list[str] = []

    def take(done: str) -> None:
        if not failing:
            undone.append(done)
            disk.take(done)
        elif done == step:
            failing.clear()
            raise OccultaError(Reason.DISK_FULL, "no room")

    with open_spool(disk.folder) as spool:
        if not is_first:
            store(spool, 9)
    with open_spool(disk.folder, checkpoint=take) as spool:
        disk.taking = True
        with refusal(Reason.DISK_FULL):
            store_shares(spool, products)
        take("all done")
    disk.taking = False
    moved = {"set named": 0, "share moved": 1, "product inserted": 3}[step]
    assert undone == [*["share moved back"] * moved, "product left", "all done"]
    others = 0 if is_first else 1
    for done, spool in disk.after_crash():
        found = [each for each in waiting_anywhere(spool) if each.frame_id == FRAME]
        assert found == ([] if done == "all done" else products), done
        assert len(names(spool.products.folder)) == len(found) + others
        assert known(spool) == (None if done == "all done" else products[0].id)
        again = store_shares(spool, shares_of(4, 5, 6))
        assert again == (found[0].id if found else shares_of(4)[0].id), done
        assert len(waiting_anywhere(spool)) == 3 + others, done


def test_what_cannot_be_undone_is_whole_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails twice: what is there then is never a part of the shares."""
    def fail(source: str, target: str) -> None:
        """The second share does not leave the set, and the first does not come back."""
        if str(target).endswith((f"/{products[1].id.hex()}", f".set/{products[0].id.hex()}")):
            raise OSError(errno.EIO, "input/output error")
        rename(source, target)

    rename, products = os.rename, shares_of(1, 2, 3)
    with open_spool(tmp_path) as spool:
        with monkeypatch.context() as broken, refusal(Reason.OUTPUT_UNWRITABLE):
            broken.setattr(os, "rename", fail)
            store_shares(spool, products)
        assert len(names(spool.products.folder)) == 2, "the set, and a share that has left it"
        assert known(spool) is None and waiting_anywhere(spool) == []
        (notice,) = spool.take_notices()
        assert notice == f"cannot remove {products[0].id.hex()}.set: input/output error"
        store_shares(spool, shares_of(4, 5, frame="another"))
    with open_spool(tmp_path) as spool:
        assert [each for each in waiting_anywhere(spool) if each.frame_id == FRAME] == products
        assert known(spool) == products[0].id


def test_a_database_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(database: Database, statement: str, *values: object) -> int:
        if "INTO products" in statement and values[0] == shares_of(1, 2)[1].id:
            raise OccultaError(Reason.DISK_FULL, "no room")
        return insert(database, statement, *values)

    insert = Database.insert
    monkeypatch.setattr(Database, "insert", fail)
    with open_spool(tmp_path) as spool:
        with refusal(Reason.DISK_FULL):
            store_shares(spool, shares_of(1, 2))
        assert names(spool.products.folder) == set()
        assert (known(spool), spool.counts().products) == (None, 0)


def test_a_discarded_set_leaves_nothing(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        shares = spool.products.begin_shares([product.id for product in shares_of(1, 2)], [9, 9], 1)
        shares.files[1].write(b"abc")
        assert spool.counts().bytes == 3
        shares.discard()
        assert names(spool.products.folder) == set() and spool.counts().bytes == 0
        spool.products.begin_shares([product.id for product in shares_of(1, 2)], [9, 9], 1)
    assert names(tmp_path / "products") == set()

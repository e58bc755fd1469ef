"""A spool of as many products as it may hold: refused or made room in, as with bytes.

Proves that `refuse` reserves a place for what is in progress and drops nothing, that `drop-lowest`
removes the least important only for a product that is complete, never what is being sent nor what
is more important, and that a camera whose frame found no place is to try again.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

from occulta.errors import Reason
from occulta.link.messages import FrameAbort
from onboard.config import Rule
from onboard.spool import Product, Spool
from tests.intake_support import CAMERA, OTHER_CAMERA, PLAIN, Onboard, begin, recovered
from tests.intake_support import refused as why
from tests.intake_support import store as take
from tests.spool_support import (
    GROUND,
    manifest_of,
    names,
    open_spool,
    product_of,
    queue,
    refused,
    still_queued,
    store,
    waiting,
)
from tests.support import private_bytes

refusal = contextmanager(refused)
DATA = private_bytes(1000)


def dropping(folder: Path, **changes: object) -> Spool:
    return open_spool(folder, when_full="drop-lowest", **changes)


def ids(products: list[Product]) -> list[int]:
    return [int.from_bytes(product.id, "big") for product in products]


def test_so_many_products_and_no_more(tmp_path: Path) -> None:
    with open_spool(tmp_path, max_products=2) as spool:
        first, _ = store(spool, 1)
        file = spool.products.begin(None, 0)  # one in progress has its place
        with refusal(Reason.SPOOL_FULL):
            spool.products.begin(None, 0)
        file.discard()
        store(spool, 2, priority=255)
        with refusal(Reason.SPOOL_FULL):
            spool.products.begin(None, 0)
        assert ids(waiting(spool)) == [1, 2] and spool.take_notices() == []
        spool.products.cancel(first.id)
        store(spool, 3)
    with open_spool(tmp_path, max_products=1) as spool:  # what is there stays
        assert ids(waiting(spool)) == [3, 2] and spool.take_notices() == []
        with refusal(Reason.SPOOL_FULL):
            spool.products.begin(None, 0)


def test_the_least_important_of_so_many_goes(tmp_path: Path) -> None:
    with dropping(tmp_path, max_products=2) as spool:
        queue(spool, "key", b"private")
        sent, _ = store(spool, 1, priority=200)
        dropped, _ = store(spool, 2, priority=100, private=100)
        spool.deliveries.mark_sending(sent.id, GROUND)
        spool.products.begin(None, 0).discard()
        assert ids(waiting(spool)) == [2]  # a frame that never came has cost nothing
        with refusal(Reason.SPOOL_FULL):
            spool.products.begin(None, 101)
        store(spool, 3, priority=100)
        assert ids(waiting(spool)) == [3] and still_queued(spool) == {"key": [(0, b"private")]}
        assert spool.take_notices() == [
            f"product {dropped.id.hex()} of frame frame-2 dropped: the spool is full"
        ]
        spool.deliveries.mark_sending(product_of(3, b"").id, GROUND)
        with refusal(Reason.SPOOL_FULL):
            spool.products.begin(None, 0)


def test_what_began_while_there_was_a_place(tmp_path: Path) -> None:
    """Two of one place, which only something less important could leave: nothing half is left."""
    with dropping(tmp_path, max_products=1) as spool:
        file, product = spool.products.begin(None, 7), product_of(2, b"")
        store(spool, 1, priority=6)
        with refusal(Reason.SPOOL_FULL):
            spool.products.commit(file, product, manifest_of(product))
        assert ids(waiting(spool)) == [1] and len(names(spool.products.folder)) == 1


def test_a_damaged_product_has_its_place(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        product, _ = store(spool, 1, priority=0)
    (tmp_path / "products" / product.id.hex() / "manifest").unlink()
    with open_spool(tmp_path, max_products=1) as spool:
        with refusal(Reason.SPOOL_FULL):
            spool.products.begin(None, 0)
        spool.products.cancel(product.id)
        store(spool, 2)
    with dropping(tmp_path, max_products=1) as spool:
        store(spool, 3)
        assert ids(waiting(spool)) == [3]


# --- through the intake of frames


def test_a_spool_of_so_many_products_is_full(tmp_path: Path) -> None:
    """To be tried again: there is room once something has left. What is in progress counts."""
    with Onboard(tmp_path, PLAIN, max_products=2) as onboard:
        first = take(onboard.frames, DATA[:10], "first")
        onboard.frames.receive(CAMERA, begin(), 0)
        full = why(onboard.frames.receive(OTHER_CAMERA, begin(camera=OTHER_CAMERA), 0))
        assert full == (Reason.SPOOL_FULL, True)
        take(onboard.frames, DATA)
        onboard.spool.deliveries.mark_sending(first, GROUND)
        onboard.spool.deliveries.mark_delivered(first, GROUND)
        take(onboard.frames, DATA, "next")
        assert onboard.spool.counts().products == 2


def test_a_frame_takes_the_place_of_one_less_important(tmp_path: Path) -> None:
    rule = Rule(scheme="sealed", camera=CAMERA, priority=5)
    changes = {"max_products": 1, "when_full": "drop-lowest"}
    with Onboard(tmp_path, rule, PLAIN, **changes) as onboard:
        take(onboard.frames, DATA, peer=OTHER_CAMERA)
        onboard.frames.receive(CAMERA, begin(), 0)
        onboard.frames.receive(CAMERA, FrameAbort("frame-1", ""), 0)
        assert onboard.spool.take_notices() == []  # only what is complete takes a place
        product = take(onboard.frames, DATA, "important")
        assert len(onboard.spool.take_notices()) == 1
        less = onboard.frames.receive(OTHER_CAMERA, begin("less", camera=OTHER_CAMERA), 0)
        assert why(less, "less") == (Reason.SPOOL_FULL, True)
        assert recovered(onboard, product) == (DATA, b"")

"""Products that cannot be read, and a spool whose state was damaged: what the downlink does.

Proves that what may pass costs no product, that a file which cannot be read does not take the
link, and that no damage keeps the downlink from starting.
"""

import errno
import os

import pytest

from occulta.link.cfdp import Entity, FilestoreError, Limits, Remote, TransactionId
from occulta.program.filestore import DiskFilestore
from onboard.downlink import MOST_FAULTS, NAMESPACE, Downlink
from onboard.transfers import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    MOST_PAUSES,
    Pauses,
    decode_transfers,
    encode_transfers,
)
from tests.cfdp_world import MemoryStore
from tests.spool_support import GROUND, OTHER, open_spool, store, waiting

SAT = 1
BEYOND = 100_000
"""Where what cannot be read begins."""


class Link:
    """Stands for a channel: every packet arrives, both ways."""

    connected = True

    def __init__(self, world, number):
        self.world, self.number = world, number
        self.remote, self.peer = self, "ground"
        self.entity = number

    def transmit(self, now):
        sat, ground = self.world.sat, self.world.ground
        pdus = sat.pdus_to_send(now, 1 << 16, self.number)
        for _, pdu in pdus:
            ground.receive(pdu, now)
            self.world.octets += len(pdu)
        for _, pdu in ground.pdus_to_send(now, 1 << 16, SAT):
            sat.receive(pdu, now)
        return len(pdus)


class World:
    """A downlink over a spool on a disk, and a ground that takes what comes."""

    def __init__(self, folder):
        self.folder, self.told, self.octets, self.now = folder, [], 0, 0.0
        self.ground_store = MemoryStore()
        self.ground = Entity(GROUND, [Remote(SAT)], self.ground_store)
        self.spool = open_spool(folder / "spool", max_bytes=1 << 24)

    def start(self, *destinations):
        """The downlink as of the start of a program."""
        numbers = destinations or (GROUND,)
        files = DiskFilestore(self.folder / "spool/products", self.folder / "in")
        self.sat = Entity(
            SAT, [Remote(number) for number in numbers], files,
            limits=Limits(max_transactions=0), durable=True,
        )
        self.downlink = Downlink(self.spool, self.sat, lambda *what: self.told.append(what))
        for number in numbers:
            self.downlink.add(Link(self, number), "always", self.now)
        self.downlink.load(self.now)

    def restart(self, *destinations):
        self.downlink.save()
        self.start(*destinations)

    def run(self, seconds, step=0.25):
        end = self.now + seconds
        while self.now < end:
            self.now += step
            self.downlink.update(self.now, 0.0)
            self.downlink.transmit(self.now)
            self.downlink.save()
            self.downlink.on_events(self.sat.events(), self.now)
            self.sat.handle_timer(self.now)
            self.ground.handle_timer(self.now)

    def kinds(self):
        return [what for what, _, _ in self.told]

    def arrived(self, product):
        return f"{product.id.hex()}/data" in self.ground_store.files


@pytest.fixture
def world(tmp_path):
    found = World(tmp_path)
    yield found
    found.spool.close()


# --- what may pass


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM])
def test_what_may_pass_costs_no_product(world, monkeypatch, code):
    products = [store(world.spool, number)[0] for number in (1, 2, 3)]
    opened = []

    def fail(path, *rest):
        opened.append(path)
        raise OSError(code, os.strerror(code))

    world.start()
    with monkeypatch.context() as patch:
        patch.setattr("occulta.program.filestore.os.open", fail)
        world.run(30)
    assert world.told == [] and waiting(world.spool) == products
    assert len(opened) == 3 * 5  # each at once, and after 1, 2, 4 and 8 s, with what a turn takes
    world.run(20)
    assert world.kinds() == ["product_delivered"] * 3
    assert all(world.arrived(product) for product in products)


@pytest.mark.parametrize("name", ["data", "manifest"])
@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_what_is_gone_or_cut_is_given_up_and_keeps_no_other(world, name, damage):
    product, other = store(world.spool, 1)[0], store(world.spool, 2)[0]
    path = world.spool.products.folder / product.id.hex() / name
    path.unlink() if damage == "gone" else os.truncate(path, 1)
    world.start()
    world.run(2)
    assert world.told == [
        ("product_unreadable", product.id, GROUND), ("product_delivered", other.id, GROUND)
    ]
    assert world.spool.counts().damaged == 1 and not world.arrived(product)
    (notice,) = world.spool.take_notices()
    assert f"its {name} " in notice


def test_names_that_no_pdu_can_say_harm_nothing(world):
    """A destination whose PDUs are too short for them."""
    product, _ = store(world.spool, 1)
    world.start()
    world.sat = Entity(SAT, [Remote(GROUND, max_pdu=64)], DiskFilestore(
        world.folder / "spool/products", world.folder / "in"
    ))
    world.downlink = Downlink(world.spool, world.sat, lambda *what: world.told.append(what))
    world.downlink.add(Link(world, GROUND), "always", 0.0)
    world.run(2)
    assert waiting(world.spool) == [product]
    assert "max_pdu" in world.spool.take_notices()[0]


# --- what cannot be read


def test_a_file_that_cannot_be_read_is_tried_less_and_less_then_given_up(world, monkeypatch):
    bad, _ = store(world.spool, 1, size=2 * BEYOND)
    read = os.pread

    def fail(file, size, offset):
        if offset + size > BEYOND:
            raise OSError(errno.EIO, "Input/output error")
        return read(file, size, offset)

    monkeypatch.setattr("occulta.program.filestore.os.pread", fail)
    world.start()
    world.run(10)
    assert world.kinds() == ["transfer_failed"] * 4
    good, _ = store(world.spool, 2)
    world.run(1)
    assert world.arrived(good)
    world.run(3 * LONGEST_PAUSE)
    assert world.kinds().count("transfer_failed") == MOST_FAULTS
    assert world.told[-1] == ("product_unreadable", bad.id, GROUND)
    assert world.octets < (MOST_FAULTS + 1) * 2 * BEYOND
    assert waiting(world.spool) == [] and world.spool.counts().damaged == 1
    assert any("cannot be read" in line for line in world.spool.take_notices())
    world.run(10)
    assert world.sat.transactions() == []


def test_what_the_ground_cannot_store_is_no_fault_of_the_file(world):
    product, _ = store(world.spool, 1)
    world.ground_store.full = True
    world.start()
    world.run(60)
    assert world.kinds().count("transfer_failed") > 2 * MOST_FAULTS
    world.ground_store.full = False
    world.run(2)
    assert world.arrived(product) and world.kinds()[-1] == "product_delivered"


def test_pauses_grow_and_are_bounded():
    pauses, key = Pauses(), (b"p", GROUND)
    lengths = []
    now = 0.0
    for _ in range(9):
        pauses.begin(key, now)
        lengths.append(next(s for s in (1, 2, 4, 8, 16, 32, 64) if not pauses.of(GROUND, now + s)))
        assert pauses.of(GROUND, now + lengths[-1] - 0.01) == [b"p"]
        assert pauses.of(OTHER, now) == []
        now += lengths[-1]
    assert lengths == [FIRST_PAUSE, 2, 4, 8, 16, 32, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]
    for number in range(2000):
        pauses.begin((b"%d" % number, GROUND), now)
    assert len(pauses.of(GROUND, now)) == 1024
    pauses.end((b"1999", GROUND))
    pauses.begin((b"1999", GROUND), now)
    assert b"1999" not in pauses.of(GROUND, now + FIRST_PAUSE)


def test_where_nothing_can_be_read_not_every_product_is_tried(world, monkeypatch):
    for number in range(MOST_PAUSES + 10):
        store(world.spool, number)
    tried = set()

    def fail(store, name):
        tried.add(name)
        raise FilestoreError("no file too many")

    monkeypatch.setattr(DiskFilestore, "open_source", fail)
    world.start()
    world.run(0.9, step=0.01)
    assert len(tried) == MOST_PAUSES


# --- a damaged state


def test_one_damaged_snapshot_and_a_damaged_list_cost_no_product(world):
    products = [store(world.spool, number, size=50_000)[0] for number in (1, 2)]
    world.start()
    world.downlink.update(1.0, 0.0)
    assert len(world.sat.transactions()) == 4
    world.downlink.save()
    key = SAT, 2
    data = world.spool.state.load_snapshots(NAMESPACE)[key]
    world.spool.state.save_snapshots(NAMESPACE, [(*key, data[:-1] + bytes([data[-1] ^ 1]))])
    world.start()
    assert world.spool.take_notices() == [
        "dropped: transaction 1-2: a damaged snapshot"
    ]
    world.spool.state.put({"transfers": b"\xc1xxxx"})
    world.restart()
    (notice,) = world.spool.take_notices()
    assert "the list of transfers is damaged" in notice
    world.run(5)
    assert all(world.arrived(product) for product in products)
    assert world.spool.counts().products == 0
    world.restart()
    assert world.spool.take_notices() == []  # what was damaged is gone


def test_a_list_of_transfers_that_was_altered_is_none():
    """A number that was altered could be that of a transaction which ended well."""
    transfers = {(bytes(16), GROUND): [TransactionId(SAT, 1), TransactionId(SAT, 2)]}
    data = encode_transfers(transfers)
    assert decode_transfers(data) == transfers
    altered = [data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
               for at in range(len(data)) for bit in range(8)]
    for one in [*altered, b"", data[:-1], data + b"\0", bytes(4)]:
        with pytest.raises(ValueError, match="checksum|truncated"):
            decode_transfers(one)


def test_a_destination_that_is_configured_no_more_waits_for_nothing(world):
    """What was to go there only is cancelled, whatever is under way; what goes elsewhere stays."""
    alone, _ = store(world.spool, 1, destinations=(OTHER,))
    both, _ = store(world.spool, 2, destinations=(GROUND, OTHER))
    world.start(GROUND, OTHER)
    world.downlink.update(1.0, 0.0)
    assert len(world.sat.transactions()) == 6
    world.restart(GROUND)
    assert world.spool.take_notices() == [
        "deliveries cancelled, their destinations are gone: 2",
        *(f"dropped: transaction 1-{number}: a transaction with entity 3, which is not configured"
          for number in (3, 4, 5, 6)),
    ]
    world.run(5)
    assert world.arrived(both) and not world.arrived(alone)
    assert world.spool.counts().products == 0 and world.spool.counts().damaged == 0

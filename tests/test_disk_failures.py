"""What the machines of both programs do while their disk takes nothing."""

import os

import pytest

from ground.outcome import Failure
from ground.product import State
from occulta.errors import OccultaError, Reason
from occulta.link.cfdp.constants import Condition, Delivery, FileStatus
from occulta.link.cfdp.events import TransactionFinished
from occulta.link.space_packet import PacketType, SpacePacket
from onboard.downlink import Downlink
from onboard.spool import files
from tests.cfdp_world import MemorySource
from tests.ground_world import World, outcome
from tests.spool_support import open_spool, store, waiting
from tests.test_channel import APIDS, Satellite

REPORT = SpacePacket(PacketType.TM, APIDS.telemetry, 0, b"report").encode()


class FullDisk:
    """In the place of what writes, while it is full."""

    def __init__(self, owner, name, monkeypatch):
        self.is_full = False
        write = getattr(owner, name)

        def write_or_fail(*arguments, **options):
            if self.is_full:
                raise OccultaError(Reason.DISK_FULL, "no room")
            return write(*arguments, **options)

        monkeypatch.setattr(owner, name, write_or_fail)


def fails(action, *arguments):
    with pytest.raises(OccultaError) as raised:
        action(*arguments)
    assert raised.value.reason is Reason.DISK_FULL


# --- products on their way down


class Contact:
    """A satellite with two products whose database may be full."""

    def __init__(self, folder, monkeypatch):
        self.satellite = Satellite()
        self.entity = self.satellite.entity
        self.spool = open_spool(folder)
        self.disk = FullDisk(self.spool._database, "_run", monkeypatch)
        self.products = [store(self.spool, number)[0] for number in (1, 2)]
        for product in self.products:
            for name in ("data", "manifest"):
                source = MemorySource(b"x")
                self.satellite.store.sources[f"{product.id.hex()}/{name}"] = source
        self.told = []
        self.downlink = Downlink(self.spool, self.entity, lambda *what: self.told.append(what))
        self.downlink.add(self.satellite.channel, "always", 0.0)

    def sent(self):
        self.downlink.transmit(0.0)
        return len(self.satellite.wire.packets)


@pytest.fixture
def contact(tmp_path, monkeypatch):
    found = Contact(tmp_path / "spool", monkeypatch)
    yield found
    found.disk.is_full = False
    found.spool.close()


def fill_at(contact, monkeypatch, owner, name):
    """It is full as soon as this is called."""
    call = getattr(owner, name)

    def full(*arguments):
        contact.disk.is_full = True
        return call(*arguments)

    monkeypatch.setattr(owner, name, full)


def test_a_transfer_that_cannot_be_noted_is_not_begun(contact, monkeypatch):
    fill_at(contact, monkeypatch, contact.spool.deliveries, "mark_sending")
    fails(contact.downlink.update, 0.0, 0.0)
    fails(contact.downlink.save)
    assert contact.sent() == 0
    assert not contact.downlink.is_sending(contact.satellite.channel.remote.entity)
    monkeypatch.undo()
    contact.downlink.save()
    assert waiting(contact.spool) == contact.products
    contact.downlink.update(0.0, 0.0)
    assert len(contact.spool.deliveries.sending()) == 2
    assert contact.sent() > 0


def test_nothing_is_sent_that_speaks_of_what_was_not_saved(contact):
    contact.downlink.update(0.0, 0.0)
    before = contact.sent()
    assert before > 0
    contact.entity.cancel(contact.entity.transactions()[0], 0.0)  # there is more to say
    contact.disk.is_full = True
    fails(contact.downlink.save)
    assert contact.sent() == before
    contact.disk.is_full = False
    contact.downlink.save()
    assert contact.sent() > before


def test_a_delivery_is_noted_once_there_is_room(contact):
    contact.downlink.update(0.0, 0.0)
    contact.sent()
    events = [finished(transaction) for transaction in contact.entity.transactions()[:2]]
    contact.disk.is_full = True
    fails(contact.downlink.on_events, events, 0.0)
    assert contact.told == [] and contact.downlink.counters["products_delivered"] == 0
    contact.disk.is_full = False
    contact.downlink.on_events([], 0.0)
    assert [line[0] for line in contact.told] == ["product_delivered"]
    assert contact.spool.counts().products == 1
    contact.downlink.on_events([], 0.0)
    assert len(contact.told) == 1


def finished(transaction):
    return TransactionFinished(
        transaction, condition=Condition.NO_ERROR, delivery=Delivery.COMPLETE,
        file_status=FileStatus.RETAINED, sender=True, name="x", size=1,
    )


def test_a_cancelled_product_goes_on_where_that_cannot_be_noted(contact):
    contact.downlink.update(0.0, 0.0)
    going = contact.entity.transactions()
    contact.disk.is_full = True
    fails(contact.downlink.cancel, contact.products[0].id, 0.0)
    assert contact.entity.transactions() == going
    contact.disk.is_full = False
    assert contact.downlink.cancel(contact.products[0].id, 0.0)


def test_a_product_whose_file_is_gone_is_damaged_and_its_frame_may_come_again(contact):
    product = contact.products[0]
    (contact.spool.products.folder / product.id.hex() / "data").unlink()
    contact.downlink.update(0.0, 0.0)
    assert contact.told[0][:2] == ("product_unreadable", product.id)
    assert contact.spool.counts().damaged == 1
    (line,) = contact.spool.take_notices()
    assert line.startswith(f"product {product.id.hex()} is damaged: ")
    assert contact.spool.products.known_frame(product.camera, product.frame_id) is None


# --- the state of a link


def test_keys_stay_where_they_are_while_no_state_can_be_saved(monkeypatch):
    satellite = Satellite()
    disk = FullDisk(satellite.channel, "_save", monkeypatch)
    disk.is_full = True
    for _ in range(2):
        fails(satellite.channel.rekey, 0.0)
    assert satellite.channel.send(REPORT)
    disk.is_full = False
    before = dict(satellite.states)
    assert satellite.channel.rekey(0.0)
    assert satellite.states["sender"] != before["sender"]


def test_nothing_is_sent_under_a_state_that_was_not_saved(monkeypatch):
    satellite = Satellite()
    disk = FullDisk(satellite.channel, "_save", monkeypatch)
    disk.is_full = True
    fails(satellite.channel.select_key, 2)
    fails(satellite.channel.send, REPORT)
    fails(satellite.channel.transmit, 0.0)
    assert satellite.wire.packets == []
    disk.is_full = False
    assert satellite.channel.send(REPORT)


# --- the spool's room


@pytest.mark.parametrize("policy", ["refuse", "drop-lowest"])
def test_no_more_products_than_allowed(tmp_path, policy):
    with open_spool(tmp_path, max_products=2, when_full=policy) as spool:
        products = [store(spool, number)[0] for number in (1, 2)]
        if policy == "refuse":
            refused_as_full(spool.products.begin, 1, 0)
            assert waiting(spool) == products
            spool.products.cancel(products[0].id)
            store(spool, 3)
        else:
            newest, _ = store(spool, 3)
            assert waiting(spool) == [products[1], newest]
            refused_as_full(spool.products.begin, 1, 200)  # less important than all
        assert spool.counts().products == 2


def test_a_frame_in_progress_costs_no_product_before_it_is_whole(tmp_path):
    with open_spool(tmp_path, max_products=1, when_full="drop-lowest") as spool:
        product, _ = store(spool, 1)
        spool.products.begin(1, 0).discard()
        assert waiting(spool) == [product]


def refused_as_full(action, *arguments):
    with pytest.raises(OccultaError) as raised:
        action(*arguments)
    assert raised.value.reason is Reason.SPOOL_FULL


def test_the_last_of_the_disk_is_left_to_the_database(tmp_path, monkeypatch):
    with open_spool(tmp_path) as spool:
        product, _ = store(spool, 1)
        file, item = spool.products.begin(None, 0), spool.items.begin("payload", "key", 3)
        found = os.statvfs(tmp_path)
        monkeypatch.setattr(files, "RESERVE", found.f_bavail * found.f_frsize * 2)
        for each in (file, item):
            fails(each.write, b"abc")
            each.discard()
        fails(spool.products.begin, 1, 0)
        fails(spool.items.begin, "payload", "key", 3)
        assert spool.deliveries.mark_sending(product.id, product.destinations[0])
        assert spool.deliveries.mark_delivered(product.id, product.destinations[0])
        assert waiting(spool) == []


# --- the archive


def test_a_recovery_that_had_no_room_is_tried_again(tmp_path):
    world = World(tmp_path)
    world.deliver(7)
    error = Failure(Reason.DISK_FULL.value, "no room", "")
    product = world.archive.next_to_recover()
    world.archive.begin_recovery(product.id)
    ended = world.archive.end_recovery(outcome(7, State.FAILED, error=error))
    assert ended.state is State.ARCHIVED
    assert world.archive.next_to_recover() == ended

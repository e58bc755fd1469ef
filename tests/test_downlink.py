"""Products on their way down, over a link on which nobody answers."""

import pytest

from onboard.downlink import Downlink
from onboard.renamed import hold_renamed
from tests.cfdp_world import MemorySource
from tests.spool_support import GROUND, OTHER, open_spool, store, waiting
from tests.test_channel import Satellite
from tests.test_spool_shares import THIRD, shares_of, store_shares


class Silence:
    """A satellite with one product, connected to a ground that says nothing."""

    def __init__(self, folder):
        self.satellite = Satellite()
        self.entity = self.satellite.entity
        self.spool = open_spool(folder)
        self.product, _ = store(self.spool, 1)
        for name in ("data", "manifest"):
            self.satellite.store.sources[f"{self.product.id.hex()}/{name}"] = MemorySource(b"x")
        self.told = []
        self.downlink = Downlink(self.spool, self.entity, lambda *what: self.told.append(what))
        self.downlink.add(self.satellite.channel, "always", 0.0)
        self.downlink.update(0.0, 0.0)
        self.downlink.transmit(0.0)

    def wait(self):
        """Until CFDP has given both files up, at one time; its events are still to be heard."""
        while self.entity.transactions():
            now = self.entity.next_timer()
            self.entity.handle_timer(now)
            self.downlink.transmit(now)
        return now


@pytest.fixture
def silence(tmp_path):
    found = Silence(tmp_path / "spool")
    yield found
    found.spool.close()


def test_both_files_of_a_product_may_fail_at_once(silence):
    now = silence.wait()
    silence.downlink.on_events(silence.entity.events(), now)
    assert silence.downlink.counters["transfers_failed"] == 1
    assert silence.told == [("transfer_failed", silence.product.id, GROUND)]
    assert waiting(silence.spool) == [silence.product]
    silence.downlink.update(now, 0.0)
    assert len(silence.entity.transactions()) == 2


def test_a_product_is_cancelled_whose_transfer_has_just_failed(silence):
    now = silence.wait()
    silence.downlink.cancel(silence.product.id, now)
    silence.downlink.on_events(silence.entity.events(), now)
    assert silence.told == []
    assert waiting(silence.spool) == []


# --- a number that another destination has


def names_of(spool, number, name):
    """What the spool has remembered, and then a configuration that gives the number to `name`."""
    for each in ("former", name):
        hold_renamed(spool, {number: each, THIRD: "third"})


@pytest.mark.parametrize("is_sent", [False, True])
def test_shares_do_not_go_to_whoever_has_their_holders_number(tmp_path, is_sent):
    with open_spool(tmp_path) as spool:
        share, _ = shares_of(1, 2)
        store_shares(spool, shares_of(1, 2))
        if is_sent:
            spool.deliveries.mark_sending(share.id, GROUND)
        names_of(spool, GROUND, "latter")
        assert (waiting(spool), spool.deliveries.sending()) == ([], [])
        assert len(waiting(spool, OTHER)) == 1
        assert spool.take_notices() == [
            f"destination {GROUND} was former, for which shares wait, and is latter now:"
            f" it is on hold until resume destination={GROUND}"
        ]
    with open_spool(tmp_path) as spool:
        hold_renamed(spool, {GROUND: "latter", THIRD: "third"})
        assert (waiting(spool), spool.take_notices()) == ([], [])
        spool.deliveries.resume(GROUND)
        hold_renamed(spool, {GROUND: "latter", THIRD: "third"})
        assert waiting(spool) == [share]


def test_what_is_no_share_goes_on_and_so_does_a_name_that_stays(tmp_path):
    with open_spool(tmp_path) as spool:
        product, _ = store(spool, 1)
        names_of(spool, GROUND, "latter")
        assert waiting(spool) == [product]
        store_shares(spool, shares_of(2, 3))
        names_of(spool, OTHER, "former")
        assert len(waiting(spool, OTHER)) == 1 and spool.take_notices() == []


def test_names_that_cannot_be_read_hold_nothing(tmp_path):
    with open_spool(tmp_path) as spool:
        store_shares(spool, shares_of(1, 2))
        spool.state.put({"destinations": b"\xc1"})
        hold_renamed(spool, {GROUND: "latter"})
        assert len(waiting(spool)) == 1
        assert spool.take_notices() == ["the names that destinations had cannot be read"]


def test_a_start_under_another_name_sends_no_share(tmp_path):
    with open_spool(tmp_path) as spool:
        store_shares(spool, shares_of(1, 2))
        satellite = Satellite()
        for name in ("data", "manifest"):
            share = shares_of(1)[0].id.hex()
            satellite.store.sources[f"{share}/{name}"] = MemorySource(b"x")
        downlink = Downlink(spool, satellite.entity, lambda *what: None)
        downlink.add(satellite.channel, "always", 0.0)
        hold_renamed(spool, {GROUND: "former"})
        downlink.load(0.0)
        downlink.update(0.0, 0.0)
        assert satellite.entity.transactions() == []
        spool.deliveries.resume(GROUND)
        downlink.update(1.0, 0.0)
        assert len(satellite.entity.transactions()) == 2

"""Products on their way down, over a link on which nobody answers."""

import pytest

from onboard.downlink import Downlink
from tests.cfdp_world import MemorySource
from tests.spool_support import GROUND, open_spool, store, waiting
from tests.test_channel import Satellite


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

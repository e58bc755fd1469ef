"""Products on their way down: from the spool into CFDP, per destination and contact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Literal

from occulta.errors import OccultaError
from occulta.link.cfdp import Entity, FilestoreError, PutRequest, Snapshot, TransactionId
from occulta.link.cfdp.constants import Condition, Delivery
from occulta.link.cfdp.events import Abandoned, Event, Fault, TransactionFinished
from occulta.program.channel import Channel
from onboard.config import Contact
from onboard.renamed import hold_renamed
from onboard.spool import DATA, MANIFEST, Product, Spool
from onboard.transfers import MOST_PAUSES, Key, Pauses, decode_transfers, encode_transfers

NAMESPACE = "cfdp"
_FILES = (DATA, MANIFEST)
_AT_ONCE = 16
"""Products under way per destination: enough to fill the link while answers are awaited."""
MOST_FAULTS = 8
"""Transfers of one product that may end because its files cannot be read; then it is damaged."""
_TRANSFERS = "transfers"
Contacts = Literal["always", "connected"] | tuple[Contact, ...]
Announce = Callable[[str, bytes, int], object]
"""Told what happened to a product on its way to a destination."""


def in_contact(contacts: Contacts, connected: bool, wall: float) -> bool:
    """Whether a destination can be reached now; `wall` in seconds since 1970.

    In a window it must be connected too: else a ground that does not come would use up the limits
    of transactions in progress.
    """
    if isinstance(contacts, str):
        return contacts == "always" or connected
    return connected and any(window.start <= wall < window.end for window in contacts)


class Downlink:
    """Sends every product to each of its destinations, two files each, until both were received.

    A product's files travel as `<id>/data` and `<id>/manifest`.
    """

    def __init__(self, spool: Spool, entity: Entity, announce: Announce) -> None:
        self.counters: Counter[str] = Counter()
        self._spool = spool
        self._entity = entity
        self._announce = announce
        self._channels: dict[int, Channel] = {}
        self._contacts: dict[int, Contacts] = {}
        self._in_contact: dict[int, bool] = {}
        self._transfers: dict[TransactionId, Key] = {}
        self._done: dict[Key, set[TransactionId]] = {}
        """Transactions of a transfer that have not ended."""
        self._all: dict[Key, list[TransactionId]] = {}
        self._ended: dict[Key, bool] = {}
        """Transfers that have ended, and how, until the spool knows."""
        self._unsaved: dict[TransactionId, Snapshot] = {}
        """What the spool could not take: nothing is sent that may speak of it."""
        self._pauses = Pauses()
        self._faults: Counter[Key] = Counter()
        """How often files could not be read while they were sent."""

    def add(self, channel: Channel, contacts: Contacts, now: float) -> None:
        """A destination. Until its contact begins its time stands still."""
        number = channel.remote.entity
        self._channels[number] = channel
        self._contacts[number] = contacts
        self._in_contact[number] = False
        self._entity.freeze(number, now)

    def has_contact(self, destination: int) -> bool:
        """Whether a destination can be reached."""
        return self._in_contact[destination]

    def is_sending(self, destination: int) -> bool:
        """Whether transfers to a destination in contact are under way."""
        return self._in_contact[destination] and any(n == destination for _, n in self._done)

    # Restart.

    def load(self, now: float) -> None:
        """Take up the transfers of the last run; what was lost of them begins again.

        What was to go to destinations that there are no more is cancelled; shares for one that has
        another name now are held.
        """
        cancelled = self._spool.deliveries.cancel_elsewhere(self._channels)
        if cancelled:
            self._spool.note(f"deliveries cancelled, their destinations are gone: {cancelled}")
        hold_renamed(self._spool, {n: c.remote.peer for n, c in self._channels.items()})
        found = self._spool.state.load_snapshots(NAMESPACE)
        snapshots = {TransactionId(*key): data for key, data in found.items()}
        for line in self._entity.load(snapshots, now):
            self._spool.note(f"dropped: {line}")
        transfers = self._load_transfers()
        for key in self._spool.deliveries.sending():
            self._take_up(key, transfers.get(key, []), now)
        for transaction in set(self._entity.transactions()) - set(self._transfers):
            self._entity.cancel(transaction, now)  # its product is gone

    def _load_transfers(self) -> dict[Key, list[TransactionId]]:
        data = self._spool.state.get(_TRANSFERS)
        try:
            return {} if data is None else decode_transfers(data)
        except ValueError as error:
            self._spool.note(f"the list of transfers is damaged, they begin again: {error}")
            return {}

    def _take_up(self, key: Key, transactions: list[TransactionId], now: float) -> None:
        going = set(self._entity.transactions()).intersection(transactions)
        ended = [t for t in transactions if t not in going]
        well = all(self._entity.outcome(t) is Condition.NO_ERROR for t in ended)
        if not (transactions and well):
            self._spool.deliveries.mark_waiting(*key)
        elif going:
            self._done[key] = going
            self._transfers.update(dict.fromkeys(going, key))
            self._all[key] = transactions
        else:
            self._ended[key] = True
            self._settle()

    # The loop.

    def update(self, now: float, wall: float) -> None:
        """Begin and end contacts, begin transfers, send what fits."""
        for number, channel in self._channels.items():
            contact = in_contact(self._contacts[number], channel.connected, wall)
            if contact is not self._in_contact[number]:
                self._in_contact[number] = contact
                (self._entity.thaw if contact else self._entity.freeze)(number, now)
                self.counters["contacts"] += contact
            if contact:
                self._begin_transfers(number, now)

    def transmit(self, now: float) -> int:
        """Send what the links have room for; packets."""
        if self._unsaved:
            return 0
        reachable = (c for number, c in self._channels.items() if self._in_contact[number])
        return sum(channel.transmit(now) for channel in reachable)

    def _begin_transfers(self, destination: int, now: float) -> None:
        underway = sum(number == destination for _, number in self._done)
        while underway < _AT_ONCE and not self._unsaved:
            paused = self._pauses.of(destination, now)
            if len(paused) >= MOST_PAUSES:
                return
            product = self._spool.deliveries.next_waiting(destination, paused)
            if product is None or not self._begin(product, destination, now):
                return
            underway += 1

    def _begin(self, product: Product, destination: int, now: float) -> bool:
        key = product.id, destination
        started: list[TransactionId] = []
        try:
            fault = self._spool.products.find_fault(product.id)
            if fault is not None:
                self._give_up(key, fault, now)
                return False
            for name in reversed(_FILES):  # the small one first: it says what comes
                path = f"{product.id.hex()}/{name}"
                request = PutRequest(destination, path, path, priority=product.priority)
                started.append(self._entity.put(request, now))
        except (FilestoreError, OSError, ValueError) as error:  # the machine's fault, for now
            self._cancel(set(started), now)
            self._pauses.begin(key, now)
            self._spool.note(f"product {product.id.hex()} cannot be sent now: {error}")
            return False
        self._done[key] = set(started)
        self._transfers.update(dict.fromkeys(started, key))
        self._all[key] = started
        try:
            self._note_begun(key)
        except OccultaError:
            self._cancel(self._forget(key), now)
            raise
        return True

    def _note_begun(self, key: Key) -> None:
        self._gather()
        with self._spool.transaction():
            self._spool.deliveries.mark_sending(*key)
            self._spool.state.put({_TRANSFERS: encode_transfers(self._all)})
            self._write()
        self._unsaved.clear()

    def on_events(self, events: Iterable[Event], now: float) -> None:
        """What CFDP says of the transfers; raises OccultaError, and goes on when called again."""
        for event in events:
            if isinstance(event, TransactionFinished | Abandoned):
                self._note_end(event, now)
            elif isinstance(event, Fault) and event.condition is Condition.FILESTORE_REJECTION:
                self._note_fault(event, now)
        self._settle()
        for key in [key for key, count in self._faults.items() if count >= MOST_FAULTS]:
            self._give_up(key, "its files cannot be read", now)

    def _note_fault(self, event: Fault, now: float) -> None:
        """A file cannot be read here; what the other end cannot store comes in its Finished."""
        key = self._transfers.get(event.transaction)
        if key is not None:
            self._faults[key] += 1
            self._pauses.begin(key, now)

    def _note_end(self, event: TransactionFinished | Abandoned, now: float) -> None:
        key = self._transfers.pop(event.transaction, None)
        if key is None:
            return
        complete = isinstance(event, TransactionFinished) and event.delivery is Delivery.COMPLETE
        waited = self._done.get(key)
        if waited is None:
            return
        waited.discard(event.transaction)
        if not complete:  # one file did not arrive: both begin again later
            self._cancel(self._forget(key), now)
            self._ended[key] = False
        elif not waited:
            self._forget(key)
            self._ended[key] = True

    def _settle(self) -> None:
        deliveries = self._spool.deliveries
        for key, is_delivered in list(self._ended.items()):
            (deliveries.mark_delivered if is_delivered else deliveries.mark_waiting)(*key)
            del self._ended[key]
            if is_delivered:
                self._forgive(key)
            self.counters["products_delivered" if is_delivered else "transfers_failed"] += 1
            self._announce("product_delivered" if is_delivered else "transfer_failed", *key)

    def _forgive(self, key: Key) -> None:
        self._pauses.end(key)
        self._faults.pop(key, None)

    def _give_up(self, key: Key, why: str, now: float) -> None:
        """A product cannot be sent anywhere; it stays to be looked at."""
        product_id, destination = key
        self._spool.products.give_up(product_id, why)
        self._leave(product_id, now)
        self._announce("product_unreadable", product_id, destination)

    def _forget(self, key: Key) -> set[TransactionId]:
        self._all.pop(key, None)
        left = self._done.pop(key, set())
        for transaction in left:
            self._transfers.pop(transaction, None)
        return left

    def cancel(self, product_id: bytes, now: float) -> bool:
        """Cancel a product everywhere; False if there is none. Raises OccultaError."""
        is_known = self._spool.products.cancel(product_id)
        self._leave(product_id, now)
        return is_known

    def _leave(self, product_id: bytes, now: float) -> None:
        """Begin and finish no transfer of a product any more."""
        for key in [key for key in self._done if key[0] == product_id]:
            self._cancel(self._forget(key), now)
        for key in [key for key in self._ended if key[0] == product_id]:
            del self._ended[key]
        for number in self._channels:
            self._forgive((product_id, number))

    def _cancel(self, transactions: set[TransactionId], now: float) -> None:
        """Some may have ended too, and their events are still to come."""
        for transaction in transactions.intersection(self._entity.transactions()):
            self._entity.cancel(transaction, now)

    def save(self) -> None:
        """Make durable what changed since the last call; raises OccultaError."""
        self._gather()
        if self._unsaved:
            self._write()
            self._unsaved.clear()

    def _gather(self) -> None:
        self._unsaved.update({found.key: found for found in self._entity.snapshots()})

    def _write(self) -> None:
        self._spool.state.save_snapshots(
            NAMESPACE, [(*found.key, found.data) for found in self._unsaved.values()]
        )

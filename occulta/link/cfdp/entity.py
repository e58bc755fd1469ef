"""A CFDP entity: many transactions with several remotes (CCSDS 727.0-B-5).

Bytes and time in, bytes and events out. Whoever drives it calls

- `receive(pdu, now)` for each PDU that arrived;
- `handle_timer(now)` when `next_timer()` has come;
- `pdus_to_send(now, room)` as the link has room for, and sends what it returns;
- `events()` after each of these;
- `snapshots()` to make the state durable, and `load()` after a restart.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from occulta.link.cfdp.constants import Condition, Direction, Directive, Mode, Response
from occulta.link.cfdp.constants import TransactionStatus as Status
from occulta.link.cfdp.decode import decode
from occulta.link.cfdp.events import Event
from occulta.link.cfdp.pdu import (
    SMALL_FILE,
    Ack,
    Body,
    Eof,
    FileData,
    Finished,
    Header,
    Metadata,
    TransactionId,
    encode,
)
from occulta.link.cfdp.receiver import Receiver
from occulta.link.cfdp.request import PutRequest, Report
from occulta.link.cfdp.restore import restore_receiver, restore_sender, save_receiver, save_sender
from occulta.link.cfdp.saved import (
    FORMAT,
    Saved,
    SavedClosed,
    SavedEntity,
    SavedReceiver,
    SavedSender,
    decode_saved,
    encode_saved,
)
from occulta.link.cfdp.sender import Sender
from occulta.link.cfdp.settings import DEFAULT_LIMITS, Limits, Remote
from occulta.link.cfdp.store import FileSource, Filestore, FilestoreError
from occulta.link.cfdp.transaction import Port, Transaction
from occulta.link.drops import Drop, DropCounts, PacketError

ENTITY_KEY = TransactionId(-1, -1)
"""The key of the snapshot that holds the entity's own state."""


class Outgoing(NamedTuple):
    """A PDU and the remote it goes to."""

    remote: int
    pdu: bytes


class Snapshot(NamedTuple):
    """What to keep under a key; None: nothing any more."""

    key: TransactionId
    data: bytes | None


class _Closed(NamedTuple):
    remote: int
    sender: bool
    condition: Condition


class Entity:
    """The local entity `entity`, its remotes and their transactions.

    With `durable`, what is put and every answer goes out only after a snapshot of it was taken: a
    sequence number that a peer has seen is never given away again, and what a peer was told is
    still true after a restart. Files are opened through `store`.

    Sequence numbers go on from the snapshots, or else begin at `first_sequence`. Peers answer for
    transactions that they know, so after the loss of all snapshots a number drawn at random from
    the whole range has to be given: one that was used lately would be taken for the old one.
    """

    def __init__(
        self, entity: int, remotes: Iterable[Remote], store: Filestore, *,
        limits: Limits = DEFAULT_LIMITS, durable: bool = False, first_sequence: int = 1,
    ) -> None:
        self.entity = entity
        self.drops: DropCounts = Counter()
        """PDUs that were of no use, by reason."""
        self._limits = limits
        self._store = store
        self._durable = durable
        self._events: deque[Event] = deque()
        self._remotes = {remote.entity: remote for remote in remotes}
        self._ports = {
            number: Port(store, limits, self._events, durable) for number in self._remotes
        }
        self._frozen: set[int] = set()
        self._open: dict[TransactionId, Transaction] = {}
        self._by_key: dict[bytes, Receiver] = {}
        self._closed: OrderedDict[TransactionId, _Closed] = OrderedDict()
        self._next_sequence = first_sequence
        self._entity_dirty = True
        self._closed_dirty: set[TransactionId] = set()
        self._kept: set[TransactionId] = set()
        self._forgotten: set[TransactionId] = set()
        self._closings = 0

    # What a user asks for (727.0-B-5, 3.4).

    def put(self, request: PutRequest, now: float) -> TransactionId:
        """Send a file; raises ValueError for what no PDU can say, FilestoreError."""
        remote = self._remotes.get(request.destination)
        if remote is None:
            raise ValueError(f"no remote entity {request.destination}")
        source = self._store.open_source(request.source_name)
        try:
            sender = self._new_sender(request, remote, source, now)
        except (ValueError, FilestoreError):
            source.close()
            raise
        self._begin(sender, now)
        return sender.id

    def _new_sender(
        self, request: PutRequest, remote: Remote, source: FileSource, now: float
    ) -> Sender:
        size = source.size()
        large = remote.large_when_unknown if size is None else size > SMALL_FILE
        header = Header(
            self.entity, self._take_sequence(remote), remote.entity, Direction.TO_RECEIVER,
            remote.mode if request.mode is None else request.mode,
            large, remote.crc, remote.entity_width, remote.sequence_width,
        )
        sender = Sender(header, remote, self._ports[remote.entity], request, source, now)
        if len(encode(header, sender.metadata())) > remote.max_pdu:
            raise ValueError("names and messages do not fit max_pdu")
        sender.held = self._durable
        return sender

    def _take_sequence(self, remote: Remote) -> int:
        circle = 1 << 8 * remote.sequence_width
        for _ in range(circle):
            sequence = self._next_sequence % circle
            self._next_sequence += 1
            self._entity_dirty = True
            if TransactionId(self.entity, sequence) not in self._open:
                return sequence
        raise ValueError("every sequence number is in use")

    def cancel(self, transaction: TransactionId, now: float) -> None:
        """Cancel (3.4.2); raises KeyError where nothing is open under this id."""
        self._open[transaction].cancel(now)
        self._sweep()

    def suspend(self, transaction: TransactionId, now: float) -> None:
        """Suspend (3.4.3); raises KeyError."""
        self._open[transaction].suspend(now)

    def resume(self, transaction: TransactionId, now: float) -> None:
        """Resume (3.4.4); raises KeyError."""
        self._open[transaction].resume(now)

    def prompt(self, transaction: TransactionId, response: Response) -> None:
        """Ask the receiver of a file for NAKs or its progress (4.6.5.2); raises KeyError."""
        sender = self._open[transaction]
        if not isinstance(sender, Sender):
            raise ValueError("only a sender prompts")
        sender.prompt(response)

    def freeze(self, remote: int, now: float) -> None:
        """Loss of signal: the remote's timers stand still and nothing is sent (4.12)."""
        self._frozen.add(remote)
        for transaction in self._of(remote):
            transaction.freeze(now)

    def thaw(self, remote: int, now: float) -> None:
        """Acquisition of signal: what awaits an answer is sent again."""
        self._frozen.discard(remote)
        for transaction in self._of(remote):
            transaction.thaw(now)

    def report(self, transaction: TransactionId) -> Report:
        """How a transaction stands (3.4.5); raises KeyError."""
        machine = self._open[transaction]
        return Report(
            transaction, machine.remote.entity, machine.sender, machine.state, machine.condition,
            machine.suspended, machine.progress, machine.size,
        )

    def transactions(self) -> list[TransactionId]:
        """Ids of what is open, the oldest first."""
        return list(self._open)

    def outcome(self, transaction: TransactionId) -> Condition | None:
        """How a transaction ended; None if it is open, unknown or forgotten."""
        closed = self._closed.get(transaction)
        return None if closed is None else closed.condition

    # The verbs of every link machine.

    def receive(self, pdu: bytes, now: float) -> None:
        """Take a PDU. What is of no use is counted in `drops` by its reason; nothing is raised."""
        try:
            if not self._receive_data(pdu, now):
                self._receive(*decode(pdu), now)
        except PacketError as error:
            self.drops[error.drop] += 1
            self._sweep()  # it may have been the last of its transaction

    def pdus_to_send(self, now: float, room: int, remote: int | None = None) -> list[Outgoing]:
        """PDUs of at most `room` octets in all, for one remote or for each in turn.

        Answers and directives go before file data. A PDU is sent only if it fits as a whole, file
        data only while `room` holds the remote's largest PDU.
        """
        outgoing: list[Outgoing] = []
        for number in self._remotes if remote is None else (remote,):
            if number not in self._frozen:
                pdus: list[bytes] = []
                room = self._fill(number, pdus, room, now)
                outgoing += [Outgoing(number, pdu) for pdu in pdus]
        return outgoing

    def next_timer(self) -> float | None:
        """When `handle_timer` is to be called; None if nothing is waited for."""
        times = [at for t in self._open.values() if (at := t.next_timer()) is not None]
        return min(times, default=None)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        for transaction in list(self._open.values()):
            due = transaction.next_timer()
            if due is not None and due <= now:
                transaction.handle_timer(now)
        self._sweep()

    def events(self) -> Iterator[Event]:
        """What happened since the last call."""
        while self._events:
            yield self._events.popleft()

    # Receiving.

    def _receive_data(self, pdu: bytes, now: float) -> bool:
        """The short way for what is nearly everything: file data of a known transaction."""
        if len(pdu) < 4 or pdu[0] & 0b1111_1010 != 0b0011_0000 or pdu[3] & 0b1000_1000:
            return False
        widths = pdu[3]
        size = 7 + (widths >> 3 & 14) + (widths & 7)
        receiver = self._by_key.get(pdu[3:size])
        if receiver is None or len(pdu) != size + (pdu[1] << 8 | pdu[2]):
            return False
        header = receiver.header
        start = size + (8 if header.large else 4)
        if (pdu[0] & 1) != header.large or (pdu[0] >> 2 & 1) != header.mode or len(pdu) < start:
            return False
        receiver.note_heard(now)
        receiver.file_data(int.from_bytes(pdu[size:start], "big"), pdu[start:], now)
        if receiver.closed:
            self._sweep()
        return True

    def _receive(self, header: Header, body: Body, now: float) -> None:
        inward = header.direction is Direction.TO_RECEIVER
        local, remote = header.destination, header.source
        if not inward:
            local, remote = remote, local
        if local != self.entity:
            raise PacketError(Drop.WRONG_ENTITY, f"a PDU for entity {local}")
        if remote not in self._remotes:
            raise PacketError(Drop.UNKNOWN_REMOTE, f"entity {remote}")
        if self._remotes[remote].crc and not header.crc:  # one flipped bit would switch it off
            raise PacketError(Drop.PDU_CRC, "without the checksum that was agreed")
        transaction = self._open.get(header.transaction)
        if transaction is None:
            transaction = self._unknown(header, body, remote, now)
        if transaction is not None:
            self._check(header, transaction, remote)
            transaction.receive(body, now)
            self._sweep()

    def _check(self, header: Header, transaction: Transaction, remote: int) -> None:
        """The header must be the one that the transaction began with."""
        known = transaction.header
        if transaction.remote.entity != remote:
            raise PacketError(Drop.WRONG_ENTITY, "another entity's transaction")
        if (header.direction is Direction.TO_SENDER) is not transaction.sender:
            raise PacketError(Drop.PDU_DIRECTION, "towards the wrong end")
        if header.mode is not known.mode or header.large is not known.large:
            raise PacketError(Drop.PDU_FIELD, "mode or file size flag changed")

    def _unknown(
        self, header: Header, body: Body, remote: int, now: float
    ) -> Transaction | None:
        """A PDU of no open transaction: a new one, or an answer to what has ended (4.7.2)."""
        closed = self._closed.get(header.transaction)
        status = Status.UNRECOGNIZED if closed is None else Status.TERMINATED
        if isinstance(body, Finished) and header.mode is Mode.ACKNOWLEDGED:
            self._answer(header, remote, Ack(Directive.FINISHED, body.condition, status))
            return None
        cancelled = isinstance(body, Eof) and body.condition is not Condition.NO_ERROR
        if isinstance(body, Eof) and (closed or cancelled) and header.mode is Mode.ACKNOWLEDGED:
            self._answer(header, remote, Ack(Directive.EOF, body.condition, status))
            return None
        if closed is not None:
            raise PacketError(Drop.CLOSED_TRANSACTION, "it has ended")
        if not isinstance(body, Metadata | FileData | Eof) or cancelled:
            raise PacketError(Drop.UNKNOWN_TRANSACTION, type(body).__name__)
        return self._new_receiver(header, remote, now)

    def _answer(self, header: Header, remote: int, ack: Ack) -> None:
        back = _reversed(header)
        self._ports[remote].post(encode(back, ack))

    def _new_receiver(self, header: Header, remote: int, now: float) -> Receiver:
        receiving = sum(not transaction.sender for transaction in self._of(remote))
        if receiving >= self._limits.max_transactions:
            raise PacketError(Drop.TOO_MANY_TRANSACTIONS, f"{receiving} are open")
        receiver = Receiver(_reversed(header), self._remotes[remote], self._ports[remote], now)
        self._begin(receiver, now)
        return receiver

    def _begin(self, transaction: Transaction, now: float) -> None:
        self._open[transaction.id] = transaction
        if transaction.remote.entity in self._frozen:
            transaction.freeze(now)
        if isinstance(transaction, Receiver) and not transaction.header.crc:
            self._by_key[_key(transaction.header)] = transaction

    # Sending.

    def _of(self, remote: int) -> list[Transaction]:
        return [t for t in self._open.values() if t.remote.entity == remote]

    def _fill(self, remote: int, out: list[bytes], room: int, now: float) -> int:
        outbox = self._ports[remote].outbox
        while outbox and len(outbox[0]) <= room:
            out.append(outbox.popleft())
            room -= len(out[-1])
        transactions = self._of(remote)
        senders = [t for t in transactions if isinstance(t, Sender)]
        # One whose turn has not come is not announced: the receiver would wait for its data.
        waiting = {sender for sender in senders if not sender.has_begun}
        for transaction in transactions:
            if transaction not in waiting:
                room = transaction.control(out, room, now)
        is_full = False
        for sender in sorted(senders, key=lambda t: t.request.priority):
            if sender in waiting and is_full:
                continue
            if sender in waiting:
                room = sender.control(out, room, now)
            room = sender.data(out, room, now)
            room = sender.control(out, room, now)
            is_full = is_full or sender.has_more
        self._sweep()
        return room

    # The end of transactions, and restarts.

    def _sweep(self) -> None:
        """Close what has ended, and remember it."""
        for transaction in [t for t in self._open.values() if t.closed]:
            del self._open[transaction.id]
            self._by_key.pop(_key(transaction.header), None)
            self._remember(transaction)

    def _remember(self, transaction: Transaction) -> None:
        key = transaction.id
        self._closed[key] = _Closed(
            transaction.remote.entity, transaction.sender, transaction.condition
        )
        self._closed.move_to_end(key)
        self._closed_dirty.add(key)
        half = 1 << 8 * transaction.header.sequence_width - 1
        if half < self._limits.max_history:  # numbers come round, and must be forgotten by then
            same = [one for one in self._closed if one.source == key.source]
            for one in same[:-half]:
                self._forget(one)
        self._trim()

    def _trim(self) -> None:
        while len(self._closed) > self._limits.max_history:
            self._forget(next(iter(self._closed)))

    def _forget(self, key: TransactionId) -> None:
        if self._closed.pop(key, None) is not None:
            self._closed_dirty.discard(key)
            if key in self._kept:
                self._forgotten.add(key)

    def snapshots(self) -> list[Snapshot]:
        """What changed since the last call, to be kept durably, all of it or nothing, at once.

        Data received is made durable first, so that a range is never remembered whose data is
        lost. Keys are stable; a later snapshot replaces an earlier one.
        """
        found = [Snapshot(key, None) for key in sorted(self._forgotten)]
        self._kept -= self._forgotten
        self._forgotten.clear()
        if self._entity_dirty:
            data = encode_saved(SavedEntity(FORMAT, self._next_sequence))
            found.append(Snapshot(ENTITY_KEY, data))
            self._entity_dirty = False
        for key in [key for key in self._closed if key in self._closed_dirty]:
            self._closings += 1
            data = encode_saved(SavedClosed(FORMAT, *self._closed[key], self._closings))
            found.append(Snapshot(key, data))
        self._closed_dirty.clear()
        for transaction in self._open.values():
            if transaction.dirty:
                found.append(Snapshot(transaction.id, _save(transaction)))
                transaction.dirty = False
        self._kept.update(snapshot.key for snapshot in found if snapshot.data is not None)
        for port in self._ports.values():
            port.saved()
        return found

    def load(self, snapshots: Mapping[TransactionId, bytes], now: float) -> list[str]:
        """Take up what was saved; returns what was dropped of it, a line each.

        That is what was damaged, and transactions with remotes that are not configured any more.
        A file that is no longer there ends its transaction by a filestore fault (sending) or is
        asked for from its start (receiving).
        """
        saved: dict[TransactionId, Saved] = {}
        dropped: list[str] = []
        for key, data in snapshots.items():
            try:
                saved[key] = decode_saved(data)
            except ValueError as error:
                self._drop(key, str(error), dropped)
        entity = saved.pop(ENTITY_KEY, None)
        if isinstance(entity, SavedEntity):
            self._next_sequence = entity.next_sequence
        closed = [(key, s) for key, s in saved.items() if isinstance(s, SavedClosed)]
        for key, ended in sorted(closed, key=lambda pair: pair[1].order):
            self._closed[key] = _Closed(ended.remote, ended.sender, ended.condition)
            self._closings = ended.order
        self._kept.update(saved)
        self._trim()
        going = [
            (key, s) for key, s in saved.items() if isinstance(s, SavedSender | SavedReceiver)
        ]
        for key, one in sorted(going, key=lambda pair: self._order(pair[1])):
            try:
                self._restore(key, one, now)
            except ValueError as error:
                self._drop(key, str(error), dropped)
        self._sweep()
        return dropped

    def _drop(self, key: TransactionId, why: str, dropped: list[str]) -> None:
        """Do without a snapshot, and have it removed."""
        if key == ENTITY_KEY:  # another one takes its place
            dropped.append(f"the next sequence number: {why}")
            return
        dropped.append(f"transaction {key.source}-{key.sequence}: {why}")
        self._kept.add(key)
        self._forgotten.add(key)

    def _order(self, saved: SavedSender | SavedReceiver) -> tuple[int, int]:
        """The oldest of one source first; own numbers may have come round."""
        header = saved.header
        first = self._next_sequence if isinstance(saved, SavedSender) else 0
        return header.source, (header.sequence - first) % (1 << 8 * header.sequence_width)

    def _restore(
        self, key: TransactionId, saved: SavedSender | SavedReceiver, now: float
    ) -> None:
        if saved.header.transaction != key:
            raise ValueError("a snapshot of another transaction")
        number = saved.header.destination
        if isinstance(saved, SavedReceiver):
            number = saved.header.source
        remote = self._remotes.get(number)
        if remote is None:
            raise ValueError(f"a transaction with entity {number}, which is not configured")
        port = self._ports[number]
        if isinstance(saved, SavedSender):
            self._begin(restore_sender(saved, remote, port, now), now)
        else:
            self._begin(restore_receiver(saved, remote, port, now), now)


def _save(transaction: Transaction) -> bytes:
    transaction.held = False
    if isinstance(transaction, Sender):
        return encode_saved(save_sender(transaction))
    assert isinstance(transaction, Receiver)
    return encode_saved(save_receiver(transaction))


def _reversed(header: Header) -> Header:
    """The header of PDUs in the other direction; entity ids stay where they are (5.1)."""
    other = Direction.TO_RECEIVER if header.direction else Direction.TO_SENDER
    return Header(
        header.source, header.sequence, header.destination, other, header.mode, header.large,
        header.crc, header.entity_width, header.sequence_width,
    )


def _key(header: Header) -> bytes:
    """The octets of a fixed header that tell a transaction: widths, ids, sequence number."""
    return encode(header, FileData(0, b""))[3 : header.size]

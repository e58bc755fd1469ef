"""Transactions to snapshots and back."""

from __future__ import annotations

from occulta.link.cfdp.checksum import Checksum
from occulta.link.cfdp.constants import ChecksumType, Condition
from occulta.link.cfdp.intervals import Intervals
from occulta.link.cfdp.receiver import Receiver
from occulta.link.cfdp.saved import FORMAT, SavedReceiver, SavedSender, SavedSum
from occulta.link.cfdp.sender import CARRYING, Sender
from occulta.link.cfdp.settings import Remote
from occulta.link.cfdp.states import State
from occulta.link.cfdp.store import FileSource, FilestoreError
from occulta.link.cfdp.transaction import Port, Transaction


class _NoSource:
    """Stands for a file that is gone: every access fails."""

    def __init__(self, why: str) -> None:
        self._why = why

    def size(self) -> int | None:
        return 0

    def read(self, offset: int, size: int) -> bytes:
        raise FilestoreError(self._why)

    def close(self) -> None:
        pass


def save_sender(sender: Sender) -> SavedSender:
    """A snapshot of a sending transaction."""
    checksum = sender.checksum
    return SavedSender(
        FORMAT, sender.header, sender.state, sender.condition, sender.suspended, sender.request,
        sender.closure, sender.declared, sender.sent,
        SavedSum(checksum.kind, checksum.value, checksum.offset), list(sender.asked),
    )


def restore_sender(saved: SavedSender, remote: Remote, port: Port, now: float) -> Sender:
    """A sending transaction as it was; metadata go out again, and an EOF without its answer.

    If the file is gone the transaction is cancelled by a filestore fault.
    """
    source: FileSource
    try:
        source = port.store.open_source(saved.request.source_name)
    except FilestoreError as error:
        source = _NoSource(str(error))
    sender = Sender(saved.header, remote, port, saved.request, source, now)
    sender.state = saved.state
    sender.condition = saved.condition
    sender.closure = saved.closure
    sender.declared = saved.declared
    sender.sent = saved.sent
    sender.checksum = Checksum(saved.checksum.kind, saved.checksum.value, saved.checksum.offset)
    sender.asked = Intervals(saved.asked)
    _wake(sender, saved, now)
    if isinstance(source, _NoSource) and sender.state in CARRYING:
        sender.fault(Condition.FILESTORE_REJECTION, now, final=True)
    return sender


def save_receiver(receiver: Receiver) -> SavedReceiver:
    """A snapshot of a receiving transaction, its data made durable before."""
    received = list(receiver.received)
    if receiver.sink is not None:
        try:
            receiver.sink.sync()
        except FilestoreError:
            received = []  # what may not last must be asked for again
    return SavedReceiver(
        FORMAT, receiver.header, receiver.state, receiver.condition, receiver.suspended,
        receiver.metadata, receiver.eof, received, receiver.outcome,
    )


def restore_receiver(saved: SavedReceiver, remote: Remote, port: Port, now: float) -> Receiver:
    """A receiving transaction as it was; what it still needs is asked for at once.

    If the data are gone all of it is asked for.
    """
    receiver = Receiver(saved.header, remote, port, now)
    receiver.state = saved.state
    receiver.condition = saved.condition
    receiver.outcome = saved.outcome
    receiver.eof = saved.eof
    receiver.metadata = saved.metadata
    receiver.received = Intervals(saved.received)
    if saved.metadata is not None and receiver.problem_of(saved.metadata) is None:
        receiver.checksum = Checksum(ChecksumType(saved.metadata.checksum_type))
    if receiver.size is not None and receiver.size >= receiver.received.end:
        receiver.limit = min(receiver.limit, receiver.size)
    if saved.state in (State.RECEIVING, State.COMPLETING, State.VERIFYING):
        _find_data(receiver)
    else:
        receiver.timers.clear()
    _wake(receiver, saved, now)
    return receiver


def _find_data(receiver: Receiver) -> None:
    try:
        receiver.sink = receiver.port.store.open_sink(receiver.id, True)
    except FilestoreError:
        # A new file must not be taken for the one that was saved, should the machine fail again.
        receiver.held = receiver.port.durable and len(receiver.received) > 0
        receiver.received = Intervals()
    if receiver.state is State.VERIFYING and not receiver.received.covers(0, receiver.limit):
        receiver.state = State.COMPLETING


def _wake(transaction: Transaction, saved: SavedSender | SavedReceiver, now: float) -> None:
    if saved.suspended:
        transaction.suspended = True
        transaction.timers.halt(now)
    else:
        transaction.repeat(now)

"""The receiving end of a transaction (CCSDS 727.0-B-5, 4.6.1.2, 4.6.3, 4.6.4)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from occulta.link.cfdp.checksum import Checksum
from occulta.link.cfdp.constants import (
    ChecksumType,
    Condition,
    Delivery,
    Directive,
    FileStatus,
    Response,
    TransactionStatus,
)
from occulta.link.cfdp.events import MetadataReceived, TransactionFinished
from occulta.link.cfdp.intervals import Intervals
from occulta.link.cfdp.naks import NakQueue
from occulta.link.cfdp.names import is_safe_name
from occulta.link.cfdp.pdu import (
    MAX_OFFSET,
    SMALL_FILE,
    Ack,
    Body,
    Eof,
    FileData,
    Finished,
    Header,
    KeepAlive,
    Metadata,
    Prompt,
    encode,
)
from occulta.link.cfdp.responses import responses_to
from occulta.link.cfdp.settings import Remote
from occulta.link.cfdp.states import RECEIVER, Input, State
from occulta.link.cfdp.store import FileSink, FilestoreError
from occulta.link.cfdp.timers import Timer
from occulta.link.cfdp.transaction import Port, Transaction, put
from occulta.link.drops import Drop, PacketError

SLICE = 1 << 18
"""Octets read back at once for the checksum."""
_GATHERING = (State.RECEIVING, State.COMPLETING)


class Receiver(Transaction):
    """Receives a file into a sink, asks for what is missing, verifies, publishes, reports."""

    table = RECEIVER
    sender = False

    def __init__(self, header: Header, remote: Remote, port: Port, now: float) -> None:
        super().__init__(header, remote, port, State.RECEIVING)
        self.metadata: Metadata | None = None
        self.eof: Eof | None = None
        self.received = Intervals()
        self.sink: FileSink | None = None
        self.outcome: Finished | None = None
        """What the Finished PDU says, once it is known."""
        self.naks = NakQueue(header, remote)
        self.attempts = 0
        """Unanswered Finished PDUs, or rounds of NAKs or checks without any progress."""
        self.limit = min(port.limits.max_file_size, MAX_OFFSET if header.large else SMALL_FILE)
        """Where the file ends at the latest."""
        self.checksum: Checksum | None = None
        """Over the contiguous front, as far as it was read back."""
        self._finished_due = False
        self._horizon = 0
        self._progressed = False
        self.note_heard(now)
        self.timers.start(Timer.INACTIVITY, now, remote.inactivity)
        if remote.keep_alive_interval is not None and self.acknowledged:
            self.timers.start(Timer.KEEP_ALIVE, now, remote.keep_alive_interval)

    @property
    def progress(self) -> int:
        return self.received.total

    @property
    def size(self) -> int | None:
        if self.eof is not None:
            return self.eof.size
        return self.metadata.size if self.metadata is not None else None

    @property
    def _known_end(self) -> int:
        """How far the file reaches at least."""
        return self.received.end if self.eof is None else self.eof.size

    # What the peer says.

    def receive(self, body: Body, now: float) -> None:
        self.note_heard(now)
        if isinstance(body, FileData):
            self.file_data(body.offset, body.data, now)
        elif isinstance(body, Metadata):
            self._on_metadata(body, now)
        elif isinstance(body, Eof):
            self._on_eof(body, now)
        elif isinstance(body, Ack):
            self._on_ack()
        elif isinstance(body, Prompt):
            self._on_prompt(body, now)
        else:
            raise self.unexpected(type(body).__name__)

    def file_data(self, offset: int, data: bytes, now: float) -> None:
        """Keep what is new of a File Data PDU; raises PacketError.

        What was received first stays. What lies beyond the declared size is refused before it is
        written; behind EOF that is also a fault (4.6.1.2.6).
        """
        if self.state not in _GATHERING:
            raise self.unexpected("file data")
        if self.held:
            raise PacketError(Drop.UNEXPECTED_PDU, "the loss of the file has not been saved")
        end = offset + len(data)
        if end > self.limit:
            if self.eof is not None:
                self.fault(Condition.FILE_SIZE_ERROR, now)
            raise PacketError(Drop.BEYOND_FILE_SIZE, f"data up to {end} of {self.limit}")
        high = self.received.end
        try:
            if not self._keep(offset, data, high):
                return
        except FilestoreError:
            self.fault(Condition.FILESTORE_REJECTION, now)
            return
        self.dirty = self._progressed = True
        if offset > high:
            self._gap_seen(offset, now)
        if self.state is State.COMPLETING and self._is_complete():
            self._complete(now)

    def _keep(self, offset: int, data: bytes, high: int) -> bool:
        """Write what is new; False if nothing is."""
        end = offset + len(data)
        if not data or (offset < high and self.received.covers(offset, end)):
            return False
        sink = self._open_sink()
        if offset >= high:  # in order, or behind a gap
            if offset > high and len(self.received) >= self.port.limits.max_fragments:
                raise PacketError(Drop.TOO_FRAGMENTED, f"{len(self.received)} ranges")
            sink.write(offset, data)
        else:
            if (len(self.received) >= self.port.limits.max_fragments
                    and not self.received.joins(offset, end)):
                raise PacketError(Drop.TOO_FRAGMENTED, f"{len(self.received)} ranges")
            for start, stop in list(self.received.gaps(offset, end)):
                sink.write(start, data[start - offset : stop - offset])
        self.received.add(offset, end)
        if self.checksum is not None:
            end = min(self.received.front, self.checksum.offset + SLICE)
            self._read_back(sink, end, least=SLICE)
        return True

    def _open_sink(self) -> FileSink:
        if self.sink is None:
            self.sink = self.port.store.open_sink(self.id, False)
        return self.sink

    def _on_metadata(self, metadata: Metadata, now: float) -> None:
        if self.metadata is not None:
            if metadata != self.metadata:
                raise self._conflict(Drop.CONFLICTING_METADATA)
            return
        if self.state not in _GATHERING:
            raise self.unexpected("Metadata")
        self.metadata = metadata
        self.dirty = self._progressed = True
        self.port.events.append(MetadataReceived(self.id, metadata))
        problem = self.problem_of(metadata)
        if problem is not None:
            self.fault(problem, now, final=True)
            return
        self.limit = min(self.limit, self.limit if metadata.size is None else metadata.size)
        self.checksum = Checksum(ChecksumType(metadata.checksum_type))
        if self.state is State.COMPLETING and self._is_complete():
            self._complete(now)

    def problem_of(self, metadata: Metadata) -> Condition | None:
        """Why the file that metadata announces cannot be accepted."""
        size, eof = metadata.size, self.eof
        if not is_safe_name(metadata.destination_name):
            return Condition.FILESTORE_REJECTION
        if metadata.checksum_type not in list(ChecksumType):
            return Condition.UNSUPPORTED_CHECKSUM
        if size is not None and (size > self.limit or size < self.received.end):
            return Condition.FILE_SIZE_ERROR
        if size is not None and eof is not None and size != eof.size:
            return Condition.FILE_SIZE_ERROR
        return None

    def _on_eof(self, eof: Eof, now: float) -> None:
        if eof.condition is not Condition.NO_ERROR:
            self._on_eof_cancel(eof, now)
            return
        if self.eof is not None:
            if eof != self.eof:
                raise self._conflict(Drop.CONFLICTING_EOF)
            self._acknowledge(eof)
            return
        self._acknowledge(eof)
        if self.state is not State.RECEIVING:  # cancelled here: Finished is on its way
            return
        self.eof = eof
        self.move(Input.EOF)
        declared = None if self.metadata is None else self.metadata.size
        if not self.received.end <= eof.size <= self.limit or declared not in (None, eof.size):
            self.fault(Condition.FILE_SIZE_ERROR, now, final=True)
            return
        self.limit = eof.size
        self.timers.stop(Timer.KEEP_ALIVE)
        if self._is_complete():
            self._complete(now)
        else:
            self._something_missing(now)

    def _conflict(self, drop: Drop) -> PacketError:
        """It says something else than before.

        A sender that has lost its state may number another file as this one, and must not take
        Finished for an answer about that: there is none any more.
        """
        if self.state is State.FINISHING:
            self.end()
        return PacketError(drop, "it says something else")

    def _on_eof_cancel(self, eof: Eof, now: float) -> None:
        """The sender has cancelled (4.6.6.1)."""
        self._acknowledge(eof)
        if self.state in _GATHERING or self.state is State.VERIFYING:
            self._conclude(eof.condition, now, self.header.source)

    def _acknowledge(self, eof: Eof) -> None:
        if self.acknowledged:
            self.post(Ack(Directive.EOF, eof.condition, TransactionStatus.ACTIVE))

    def _on_ack(self) -> None:
        if self.state is not State.FINISHING:
            raise self.unexpected("ACK of Finished")
        self.end()

    def _on_prompt(self, prompt: Prompt, now: float) -> None:
        """4.6.4.6, 4.6.5.2."""
        if not self.acknowledged or self.state not in _GATHERING:
            raise self.unexpected("Prompt")
        if prompt.response is Response.KEEP_ALIVE:
            self.post(KeepAlive(self.received.front))
        else:
            self._ask_again(now)

    # What is missing.

    def _gap_seen(self, offset: int, now: float) -> None:
        """Data arrived behind a gap: lost, or only late?"""
        immediate = self.remote.immediate_nak and self.acknowledged
        if immediate and not self.timers.runs(Timer.GAP):
            self._horizon = offset
            self.timers.start(Timer.GAP, now, self.remote.reorder_window)

    def _something_missing(self, now: float) -> None:
        """EOF is here, and the file is not complete."""
        self._progressed = False
        if self.acknowledged:
            self._horizon = self.limit
            self.timers.start(Timer.GAP, now, self.remote.reorder_window)
        else:
            self.timers.start(Timer.CHECK, now, self.remote.check_interval)

    def _gap_stands(self, now: float) -> None:
        """The reorder window has passed."""
        if self.state not in _GATHERING:
            return
        self.naks.want(self.received, self._horizon)
        if self.state is State.COMPLETING:
            if self.metadata is None:
                self.naks.want_metadata()
            self.timers.start(Timer.NAK, now, self.remote.nak_interval)
        elif not self.received.covers(self._horizon, self.received.end):
            self._gap_seen(self.received.end, now)

    def _ask_again(self, now: float) -> None:
        """All that is missing, whether it was asked for or not."""
        self.naks.new_round()
        if self.metadata is None:
            self.naks.want_metadata()
        self.naks.want(self.received, self._known_end)
        if self.state is State.COMPLETING:
            self.timers.start(Timer.NAK, now, self.remote.nak_interval)

    def _no_answer(self, now: float, limit: int, condition: Condition) -> bool:
        """A round has passed; True while the limit of rounds without progress is not reached."""
        self.attempts = 0 if self._progressed else self.attempts + 1
        self._progressed = False
        if self.attempts < limit:
            return True
        self.attempts = 0
        self.fault(condition, now)
        return self.state is State.COMPLETING

    # Completion.

    def _is_complete(self) -> bool:
        """True when metadata and all data are here, once an EOF was accepted.

        One whose size was a fault may be here too if the fault did not end the transaction.
        """
        accepted = self.eof is not None and self.eof.size == self.limit
        return accepted and self.checksum is not None and self.received.covers(0, self.limit)

    def _complete(self, now: float) -> None:
        self.move(Input.COMPLETE)
        for timer in (Timer.GAP, Timer.NAK, Timer.CHECK, Timer.INACTIVITY):
            self.timers.stop(timer)
        self._verify(now)

    def _verify(self, now: float) -> None:
        """Read back one slice; with the last one compare and publish (4.6.1.2.8)."""
        assert self.checksum is not None and self.eof is not None and self.metadata is not None
        try:
            sink = self._open_sink()
            self._read_back(sink, min(self.limit, self.checksum.offset + SLICE), least=1)
            if self.checksum.offset < self.limit:
                self.timers.start(Timer.VERIFY, now, 0)
                return
            if self.checksum.value != self.eof.checksum and self._is_checked():
                self.fault(Condition.FILE_CHECKSUM_FAILURE, now, final=True)
                return
            sink.commit(self.metadata.destination_name, self.limit)
        except FilestoreError:
            self.fault(Condition.FILESTORE_REJECTION, now, final=True)
            return
        self.sink = None
        self._report(Finished(Condition.NO_ERROR, Delivery.COMPLETE, FileStatus.RETAINED))

    def _is_checked(self) -> bool:
        return self.checksum is not None and self.checksum.kind is not ChecksumType.NULL

    def _read_back(self, sink: FileSink, end: int, least: int) -> None:
        """Carry the checksum on to `end` if that is at least `least` octets away."""
        assert self.checksum is not None
        size = end - self.checksum.offset
        if size < least:
            return
        data = sink.read(self.checksum.offset, size)
        if len(data) != size:
            raise FilestoreError("the file being received has lost data")
        self.checksum.update(data)

    def cancel(self, now: float, condition: Condition = Condition.CANCEL_REQUEST) -> None:
        if self.state in (State.FINISHING, State.CLOSED):
            return
        self._conclude(condition, now, self.header.destination)

    def _conclude(self, condition: Condition, now: float, entity: int) -> None:
        """End without the file, or with what there is of it if that is asked for.

        `entity` is the one that cancelled (5.2.3).
        """
        self.end_suspension(now)
        status = FileStatus.DISCARDED
        if condition is Condition.FILESTORE_REJECTION:
            status = FileStatus.REJECTED
        try:
            if self.sink is not None and self._retain(condition):
                assert self.metadata is not None
                self.sink.commit(self.metadata.destination_name, self.received.end)
                status = FileStatus.RETAINED
            elif self.sink is not None:
                self.sink.discard()
        except FilestoreError:
            status = FileStatus.REJECTED
        self.sink = None
        where = None if condition is Condition.UNSUPPORTED_CHECKSUM else entity
        self._report(Finished(condition, Delivery.INCOMPLETE, status, (), where))

    def _retain(self, condition: Condition) -> bool:
        wanted = self.remote.retain_incomplete and condition is not Condition.FILESTORE_REJECTION
        return wanted and self.metadata is not None and is_safe_name(self.metadata.destination_name)

    def _report(self, outcome: Finished) -> None:
        """Tell the user, and the peer where it waits for that."""
        metadata = self.metadata
        self.outcome = self._with_responses(outcome)
        self.condition = outcome.condition
        self.port.events.append(TransactionFinished(
            self.id, outcome.condition, outcome.delivery, outcome.file_status, False,
            "" if metadata is None else metadata.destination_name, self.received.total,
            None if self.checksum is None else self.checksum.kind,
        ))
        self.timers.clear()
        self.attempts = 0
        if self.acknowledged or (metadata is not None and metadata.closure):
            self.move(Input.REPORT)
            self._finished_due = True
            self.held = self.port.durable
        else:
            self.end()

    def _with_responses(self, outcome: Finished) -> Finished:
        """With as many filestore responses as the largest PDU holds."""
        responses = () if self.metadata is None else responses_to(self.metadata.options)
        for count in range(len(responses), 0, -1):
            full = replace(outcome, responses=responses[:count])
            if len(encode(self.header, full)) <= self.remote.max_pdu:
                return full
        return outcome

    # What is sent.

    def control(self, out: list[bytes], room: int, now: float) -> int:
        if self.held or self.timers.halted or self.closed:
            return room
        if self._finished_due and self.outcome is not None:
            left = put(out, room, encode(self.header, self.outcome))
            if left >= 0:
                room = left
                self._finished_sent(now)
        elif self.naks and self.state in _GATHERING:
            for pdu in self.naks.pdus(self.received, self.metadata is not None, self._known_end):
                left = put(out, room, pdu)
                if left < 0:
                    break
                room = left
        return room

    def _finished_sent(self, now: float) -> None:
        self._finished_due = False
        self.attempts += 1
        if self.acknowledged:
            self.timers.start(Timer.ACK, now, self.remote.ack_interval)
        else:
            self.end()

    # Time.

    def expired(self, timer: Timer, now: float) -> None:
        if timer is Timer.GAP:
            self._gap_stands(now)
        elif timer is Timer.VERIFY:
            self._verify(now)
        elif timer is Timer.NAK:
            if self._no_answer(now, self.remote.nak_limit, Condition.NAK_LIMIT):
                self._ask_again(now)
        elif timer is Timer.CHECK:
            if self._no_answer(now, self.remote.check_limit, Condition.CHECK_LIMIT):
                self.timers.start(Timer.CHECK, now, self.remote.check_interval)
        elif timer is Timer.KEEP_ALIVE and self.remote.keep_alive_interval is not None:
            self.post(KeepAlive(self.received.front))
            self.timers.start(Timer.KEEP_ALIVE, now, self.remote.keep_alive_interval)
        elif timer is Timer.ACK:
            self._unanswered(now)

    def _unanswered(self, now: float) -> None:
        """The peer does not acknowledge Finished (4.7.1); the outcome stands all the same."""
        if self.attempts < self.remote.ack_limit:
            self._finished_due = True
        else:
            self.abandon(Condition.POSITIVE_ACK_LIMIT)

    def repeat(self, now: float) -> None:
        self.attempts = 0
        self.note_heard(now)
        if self.state is State.FINISHING:
            self._finished_due = True
        elif self.state is State.COMPLETING and self.acknowledged:
            self._ask_again(now)
        elif self.state is State.COMPLETING:
            self.timers.start(Timer.CHECK, now, self.remote.check_interval)
        elif self.state is State.VERIFYING:
            self.timers.start(Timer.VERIFY, now, 0)

    def release(self) -> None:
        if self.sink is not None:
            with suppress(FilestoreError):
                self.sink.discard()
            self.sink = None

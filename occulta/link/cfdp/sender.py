"""The sending end of a transaction (CCSDS 727.0-B-5, 4.6.1.1, 4.6.3, 4.6.4)."""

from __future__ import annotations

from contextlib import suppress

from occulta.link.cfdp.checksum import Checksum
from occulta.link.cfdp.constants import (
    Condition,
    Delivery,
    Directive,
    FileStatus,
    Response,
    TlvType,
    TransactionStatus,
)
from occulta.link.cfdp.events import EofSent, TransactionFinished
from occulta.link.cfdp.intervals import Intervals
from occulta.link.cfdp.pdu import (
    CRC_SIZE,
    SMALL_FILE,
    Ack,
    Body,
    Eof,
    FileData,
    Finished,
    Header,
    KeepAlive,
    Metadata,
    Nak,
    Prompt,
    Tlv,
    encode,
    fixed_header,
)
from occulta.link.cfdp.request import PutRequest
from occulta.link.cfdp.settings import Remote
from occulta.link.cfdp.states import SENDER, Input, State
from occulta.link.cfdp.store import FileSource, FilestoreError
from occulta.link.cfdp.timers import Timer
from occulta.link.cfdp.transaction import Port, Transaction, put
from occulta.link.drops import Drop, PacketError

READ_AHEAD = 1 << 16
"""Octets read at once in the first pass."""
CARRYING = (State.SENDING, State.AWAITING_ACK, State.AWAITING_FINISHED)
"""States in which the file is still wanted."""
_OVER = (TransactionStatus.TERMINATED, TransactionStatus.UNRECOGNIZED)
"""What a receiver says of itself that will not send a Finished PDU."""


class Sender(Transaction):
    """Sends a file: metadata, data once, EOF; then what is asked for again."""

    table = SENDER
    sender = True

    def __init__(
        self, header: Header, remote: Remote, port: Port, request: PutRequest,
        source: FileSource, now: float,
    ) -> None:
        super().__init__(header, remote, port, State.SENDING)
        self.request = request
        self.source = source
        self.closure = remote.closure if request.closure is None else request.closure
        self.declared = source.size()
        self.sent = 0
        self.checksum = Checksum(remote.checksum_type)
        self.asked = Intervals()
        """Ranges to be sent again."""
        self.attempts = 0
        """EOF PDUs without an answer."""
        self._metadata_due = True
        self._eof_due = False
        self._prompt: Response | None = None
        self._chunk = b""
        self._chunk_pos = 0
        room = remote.max_pdu - header.size - CRC_SIZE * header.crc - self._width
        if room < 1:
            raise ValueError("max_pdu leaves no room for data")
        self._segment = room
        self._prefix = fixed_header(header, room + self._width, file_data=True)
        self.note_heard(now)

    @property
    def _width(self) -> int:
        return 8 if self.header.large else 4

    @property
    def progress(self) -> int:
        return self.sent

    @property
    def size(self) -> int | None:
        return self.declared if self.declared is not None else self.source.size()

    # What the peer says.

    @property
    def has_begun(self) -> bool:
        """Whether the receiver was told of the file, or is to be told that there will be none."""
        return self.sent > 0 or not self._metadata_due or self.state not in CARRYING

    @property
    def has_more(self) -> bool:
        """Whether data that was never sent waits for room."""
        if self.held or self.timers.halted or self._eof_due or self.state is not State.SENDING:
            return False
        return self.size is not None or self._chunk_pos < len(self._chunk)

    def receive(self, body: Body, now: float) -> None:
        self.note_heard(now)
        if isinstance(body, Nak):
            self._on_nak(body)
        elif isinstance(body, Ack):
            self._on_ack(body, now)
        elif isinstance(body, Finished):
            self._on_finished(body)
        elif isinstance(body, KeepAlive):
            self._on_keep_alive(body, now)
        else:
            raise self.unexpected(type(body).__name__)

    def _on_nak(self, nak: Nak) -> None:
        """4.6.4.5: what lies beyond what was sent once is on its way anyhow."""
        if self.state not in CARRYING or not self.acknowledged:
            raise self.unexpected("NAK")
        self.dirty = True
        for start, end in nak.requests:
            if start == end == 0:
                self._metadata_due = True
            if len(self.asked) >= self.port.limits.max_fragments:
                raise PacketError(Drop.TOO_FRAGMENTED, f"{len(self.asked)} ranges asked for")
            self.asked.add(start, min(end, self.sent))

    def _on_ack(self, ack: Ack, now: float) -> None:
        cancelling = self.state is State.CANCELLING
        if self.acknowledged and self.state is State.AWAITING_FINISHED and ack.status in _OVER:
            self._end_unfinished()
            return
        late = cancelling and ack.condition is Condition.NO_ERROR
        if late or self.state not in (State.AWAITING_ACK, State.CANCELLING):
            raise self.unexpected("ACK of EOF")  # late: of the EOF before the cancellation
        self.move(Input.EOF_ACKED)
        self._eof_due = False
        self.timers.stop(Timer.ACK)
        self.timers.start(Timer.INACTIVITY, now, self.remote.inactivity)
        if ack.status in _OVER:
            (self._give_up if cancelling else self._end_unfinished)()

    def _end_unfinished(self) -> None:
        """The receiver has ended, with whatever outcome, and will never send Finished."""
        self.condition = Condition.INACTIVITY
        self._give_up()

    def _on_finished(self, finished: Finished) -> None:
        early = self.state is State.SENDING and finished.condition is Condition.NO_ERROR
        if early or not (self.acknowledged or self.closure):
            raise self.unexpected("Finished")
        if self.acknowledged:
            status = TransactionStatus.TERMINATED
            self.post(Ack(Directive.FINISHED, finished.condition, status))
        self.move(Input.FINISHED)
        self.timers.clear()
        self._tell(finished.condition, finished.delivery, finished.file_status)
        self.release()

    def _on_keep_alive(self, body: KeepAlive, now: float) -> None:
        """4.6.5.3."""
        if self.state not in CARRYING:
            raise self.unexpected("Keep Alive")
        if body.progress > self.sent:
            raise PacketError(Drop.PDU_FIELD, "progress beyond what was sent")
        allowed = self.remote.keep_alive_discrepancy
        if allowed is not None and self.sent - body.progress > allowed:
            self.fault(Condition.KEEP_ALIVE_LIMIT, now)

    # What is sent.

    def prompt(self, response: Response) -> None:
        """Ask the receiver for its NAKs or its progress (4.6.5.2)."""
        self._prompt = response

    def control(self, out: list[bytes], room: int, now: float) -> int:
        if self.held or self.timers.halted or self.closed:
            return room
        if self._metadata_due and self.state in CARRYING:
            room = put(out, room, encode(self.header, self.metadata()))
            self._metadata_due = room < 0
        if room >= 0 and self._prompt is not None and self.acknowledged:
            room = put(out, room, encode(self.header, Prompt(self._prompt)))
            self._prompt = self._prompt if room < 0 else None
        if room >= 0 and self._eof_due:
            room = put(out, room, encode(self.header, self._eof()))
            if room >= 0:
                self._eof_sent(now)
        return max(room, 0)

    def metadata(self) -> Metadata:
        """What the Metadata PDU says."""
        request = self.request
        options = tuple(Tlv(TlvType.MESSAGE_TO_USER, message) for message in request.messages)
        names = request.source_name, request.destination_name
        return Metadata(self.declared, *names, self.checksum.kind, self.closure, options)

    def _eof(self) -> Eof:
        error = self.condition is not Condition.NO_ERROR
        entity = self.header.source if error else None
        return Eof(self.condition, self.checksum.value, self.sent, entity)

    def _eof_sent(self, now: float) -> None:
        self._eof_due = False
        if self.state is State.SENDING:
            self.port.events.append(EofSent(self.id))
        if self.acknowledged:
            self._await_ack(now)
        elif self.state is State.CANCELLED or not self.closure:
            if self.state is State.SENDING:
                self.move(Input.EOF_SENT_LAST)
            self._give_up()
        elif self.state is State.SENDING:
            self.move(Input.EOF_SENT_CLOSURE)
            self.timers.start(Timer.CHECK, now, self.remote.check_interval)

    def _await_ack(self, now: float) -> None:
        self.attempts += 1
        self.timers.start(Timer.ACK, now, self.remote.ack_interval)
        if self.state is State.SENDING:
            self.move(Input.EOF_SENT)

    def data(self, out: list[bytes], room: int, now: float) -> int:
        """Append file data as far as `room` octets go; return what is left.

        What is asked for again goes before what was never sent.
        """
        if self.held or self.timers.halted or self.state not in CARRYING or self._metadata_due:
            return room
        before = len(out)
        try:
            left = self._send_again(out, room)
            return self._send_on(out, left, now) if self.state is State.SENDING else left
        except FilestoreError:
            self.fault(Condition.FILESTORE_REJECTION, now, final=True)
            return room - sum(map(len, out[before:]))

    def _send_again(self, out: list[bytes], room: int) -> int:
        while self.asked and room >= self.remote.max_pdu:
            start, end = self.asked.first(self._segment)
            data = self.source.read(start, end - start)
            if len(data) != end - start:
                raise FilestoreError("the file is shorter than it was")
            pdu = self._file_data(start, data)
            out.append(pdu)
            room -= len(pdu)
            self.asked.remove(start, end)
            self.dirty = True
        return room

    def _send_on(self, out: list[bytes], room: int, now: float) -> int:
        segment, largest = self._segment, self.remote.max_pdu
        while room >= largest:
            if self._chunk_pos == len(self._chunk) and not self._read_on(now):
                break
            piece = self._chunk[self._chunk_pos : self._chunk_pos + segment]
            pdu = self._file_data(self.sent, piece)
            out.append(pdu)
            room -= len(pdu)
            self._chunk_pos += len(piece)
            self.sent += len(piece)
            self.dirty = True
        return room

    def _file_data(self, offset: int, data: bytes) -> bytes:
        if len(data) == self._segment and not self.header.crc:
            return self._prefix + offset.to_bytes(self._width, "big") + data
        return encode(self.header, FileData(offset, data))

    def _read_on(self, now: float) -> bool:
        """Read the next chunk; False if there is none, or none yet."""
        data = self.source.read(self.sent, READ_AHEAD - READ_AHEAD % self._segment or self._segment)
        size = self.size
        if size is None:
            data = data[: len(data) - len(data) % self._segment]
        else:
            data = data[: size - self.sent]
        if self.sent + len(data) > SMALL_FILE and not self.header.large:
            self.fault(Condition.FILE_SIZE_ERROR, now, final=True)
            return False
        self.checksum.update(data[self.checksum.offset - self.sent :])
        self._chunk, self._chunk_pos = data, 0
        if not data and size is not None:
            self._finish_pass(size, now)
        return bool(data)

    def _finish_pass(self, size: int, now: float) -> None:
        if self.sent < size:
            self.fault(Condition.FILE_SIZE_ERROR, now, final=True)
        else:
            self._eof_due = True

    # Time.

    def expired(self, timer: Timer, now: float) -> None:
        if timer is Timer.ACK:
            self._unanswered(now)
        elif timer is Timer.CHECK:
            self.attempts += 1
            self.timers.start(Timer.CHECK, now, self.remote.check_interval)
            if self.attempts >= self.remote.check_limit:
                self.attempts = 0
                self.fault(Condition.CHECK_LIMIT, now)

    def _unanswered(self, now: float) -> None:
        """4.7.1."""
        if self.attempts < self.remote.ack_limit:
            self._eof_due = True
            return
        self.attempts = 0
        self._eof_due = self.state is State.AWAITING_ACK
        self.fault(Condition.POSITIVE_ACK_LIMIT, now)

    def repeat(self, now: float) -> None:
        self.attempts = 0
        self.note_heard(now)
        answered = self.state in (State.SENDING, State.AWAITING_FINISHED)
        if not answered and (self.acknowledged is not (self.state is State.CANCELLED)):
            self._eof_due = True
        if self.state is State.AWAITING_FINISHED and not self.acknowledged:
            self.timers.start(Timer.CHECK, now, self.remote.check_interval)
        elif self.state is not State.SENDING:
            self.timers.start(Timer.INACTIVITY, now, self.remote.inactivity)

    # The end.

    def fault(self, condition: Condition, now: float, *, final: bool = False) -> None:
        if self.state in CARRYING:
            super().fault(condition, now, final=final)
        else:  # a peer that does not even answer a cancellation
            self._give_up()

    def cancel(self, now: float, condition: Condition = Condition.CANCEL_REQUEST) -> None:
        if self.state not in CARRYING:
            return
        self.end_suspension(now)
        self.condition = condition
        self.timers.clear()
        self.timers.start(Timer.INACTIVITY, now, self.remote.inactivity)
        self.note_heard(now)
        self.attempts = 0
        self.move(Input.CANCEL if self.acknowledged else Input.CANCEL_LAST)
        self._eof_due = True

    def _give_up(self) -> None:
        """Nothing more will be heard of the outcome."""
        self._tell(self.condition, Delivery.INCOMPLETE, FileStatus.UNREPORTED)
        if not self.closed:
            self.end()
        else:
            self.release()

    def _tell(self, condition: Condition, delivery: Delivery, status: FileStatus) -> None:
        self.condition = condition
        self.port.events.append(TransactionFinished(
            self.id, condition, delivery, status, True, self.request.destination_name,
            self.sent, self.checksum.kind,
        ))

    def release(self) -> None:
        self._chunk = b""
        with suppress(FilestoreError):  # it was only read
            self.source.close()

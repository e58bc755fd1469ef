"""Every transition of a transaction, in two tables. Machines change state nowhere else."""

from __future__ import annotations

from enum import Enum, auto


class State(Enum):
    """Where a transaction stands."""

    SENDING = "sending"
    """Sender: the first pass over the file."""
    AWAITING_ACK = "awaiting ACK of EOF"
    AWAITING_FINISHED = "awaiting Finished"
    CANCELLING = "awaiting ACK of EOF (cancel)"
    CANCELLED = "awaiting Finished of a cancelled transaction"
    RECEIVING = "receiving"
    """Receiver: EOF has not arrived."""
    COMPLETING = "completing"
    """Receiver: EOF is here, data or metadata are missing."""
    VERIFYING = "verifying"
    """Receiver: everything is here, the checksum is being computed."""
    FINISHING = "awaiting ACK of Finished"
    CLOSED = "closed"


class Input(Enum):
    """What moves a transaction on."""

    EOF_SENT = auto()
    """An EOF was sent that will be acknowledged (Class 2)."""
    EOF_SENT_CLOSURE = auto()
    """An EOF was sent that a Finished will answer (Class 1 with closure)."""
    EOF_SENT_LAST = auto()
    """An EOF was sent that nothing answers (Class 1)."""
    EOF_ACKED = auto()
    FINISHED = auto()
    """A Finished PDU arrived."""
    CANCEL = auto()
    CANCEL_LAST = auto()
    """A cancellation that nobody acknowledges (Class 1)."""
    EOF = auto()
    """An EOF without error arrived."""
    COMPLETE = auto()
    """Metadata and all data are here."""
    REPORT = auto()
    """The outcome is known and a Finished PDU will tell it."""
    END = auto()
    """Nothing more is to be exchanged, or the peer does not answer."""


_S, _I = State, Input

SENDER: dict[tuple[State, Input], State] = {
    (_S.SENDING, _I.EOF_SENT): _S.AWAITING_ACK,
    (_S.SENDING, _I.EOF_SENT_CLOSURE): _S.AWAITING_FINISHED,
    (_S.SENDING, _I.EOF_SENT_LAST): _S.CLOSED,
    (_S.SENDING, _I.FINISHED): _S.CLOSED,
    (_S.SENDING, _I.CANCEL): _S.CANCELLING,
    (_S.SENDING, _I.CANCEL_LAST): _S.CANCELLED,
    (_S.SENDING, _I.END): _S.CLOSED,
    (_S.AWAITING_ACK, _I.EOF_ACKED): _S.AWAITING_FINISHED,
    (_S.AWAITING_ACK, _I.FINISHED): _S.CLOSED,
    (_S.AWAITING_ACK, _I.CANCEL): _S.CANCELLING,
    (_S.AWAITING_ACK, _I.END): _S.CLOSED,
    (_S.AWAITING_FINISHED, _I.FINISHED): _S.CLOSED,
    (_S.AWAITING_FINISHED, _I.CANCEL): _S.CANCELLING,
    (_S.AWAITING_FINISHED, _I.CANCEL_LAST): _S.CANCELLED,
    (_S.AWAITING_FINISHED, _I.END): _S.CLOSED,
    (_S.CANCELLING, _I.EOF_ACKED): _S.CANCELLED,
    (_S.CANCELLING, _I.FINISHED): _S.CLOSED,
    (_S.CANCELLING, _I.END): _S.CLOSED,
    (_S.CANCELLED, _I.FINISHED): _S.CLOSED,
    (_S.CANCELLED, _I.END): _S.CLOSED,
}

RECEIVER: dict[tuple[State, Input], State] = {
    (_S.RECEIVING, _I.EOF): _S.COMPLETING,
    (_S.RECEIVING, _I.REPORT): _S.FINISHING,
    (_S.RECEIVING, _I.END): _S.CLOSED,
    (_S.COMPLETING, _I.COMPLETE): _S.VERIFYING,
    (_S.COMPLETING, _I.REPORT): _S.FINISHING,
    (_S.COMPLETING, _I.END): _S.CLOSED,
    (_S.VERIFYING, _I.REPORT): _S.FINISHING,
    (_S.VERIFYING, _I.END): _S.CLOSED,
    (_S.FINISHING, _I.END): _S.CLOSED,
}

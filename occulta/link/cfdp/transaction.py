"""What both ends of a transaction have in common: state, time, faults, suspension."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field

from occulta.link.cfdp.constants import Condition, FaultAction, Mode
from occulta.link.cfdp.events import Abandoned, Event, Fault, Resumed, Suspended
from occulta.link.cfdp.pdu import Body, Header, TransactionId, encode
from occulta.link.cfdp.settings import Limits, Remote
from occulta.link.cfdp.states import Input, State
from occulta.link.cfdp.store import Filestore
from occulta.link.cfdp.timers import Timer, Timers
from occulta.link.drops import Drop, PacketError

MAX_OUTBOX = 1_024
"""Answers waiting for one remote; beyond, the oldest are dropped: peers ask again."""


@dataclass
class Port:
    """What an entity shares with the transactions with one remote."""

    store: Filestore
    limits: Limits
    events: deque[Event]
    durable: bool = False
    """Nothing is answered before the state that the answer speaks of was saved."""
    outbox: deque[bytes] = field(default_factory=lambda: deque(maxlen=MAX_OUTBOX))
    """Answers to be sent at the next opportunity."""
    unsaved: deque[bytes] = field(default_factory=lambda: deque(maxlen=MAX_OUTBOX))
    """Answers to be sent once the state is saved."""

    def post(self, pdu: bytes) -> None:
        """Answer as soon as that is allowed."""
        (self.unsaved if self.durable else self.outbox).append(pdu)

    def saved(self) -> None:
        """The state was saved: what waited for that may go."""
        self.outbox.extend(self.unsaved)
        self.unsaved.clear()


class Transaction(ABC):
    """One end of a transaction.

    `header` is that of PDUs sent from here. Subclasses hold the table of transitions.
    """

    table: dict[tuple[State, Input], State]
    sender: bool

    def __init__(self, header: Header, remote: Remote, port: Port, state: State) -> None:
        self.header = header
        self.remote = remote
        self.port = port
        self.state = state
        self.condition = Condition.NO_ERROR
        self.timers = Timers()
        self.held = False
        """Nothing is sent, nor a file begun, until the transaction was saved."""
        self.suspended = False
        self.frozen = False
        self.dirty = True
        """Something changed since the last snapshot."""
        self.heard = 0.0
        """When the peer was heard last, in the transaction's own time."""

    @property
    def id(self) -> TransactionId:
        """The transaction's id."""
        return self.header.transaction

    @property
    def acknowledged(self) -> bool:
        """True in Class 2."""
        return self.header.mode is Mode.ACKNOWLEDGED

    @property
    def closed(self) -> bool:
        """True once nothing more is to be exchanged."""
        return self.state is State.CLOSED

    def move(self, event: Input) -> None:
        """Change state as the table says."""
        self.state = self.table[self.state, event]
        self.dirty = True

    def post(self, body: Body) -> None:
        """Send an answer at the next opportunity."""
        self.port.post(encode(self.header, body))

    # Time.

    def next_timer(self) -> float | None:
        """When `handle_timer` is to be called, at the latest."""
        return self.timers.next()

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        for timer in self.timers.expired(now):
            if not self.timers.take(timer, now):  # the one before it has stopped or halted it
                continue
            if timer is Timer.INACTIVITY:
                self._check_inactivity(now)
            else:
                self.expired(timer, now)

    def note_heard(self, now: float) -> None:
        """The peer is alive."""
        self.heard = self.timers.local(now)

    def _check_inactivity(self, now: float) -> None:
        """The timer runs on from where the peer was last heard, so that PDUs need not restart it.

        4.10.
        """
        due = self.heard + self.remote.inactivity
        if not self.timers.passed(due, now):
            self.timers.start_at(Timer.INACTIVITY, due)
            return
        self.timers.start(Timer.INACTIVITY, now, self.remote.inactivity)
        self.fault(Condition.INACTIVITY, now)

    # Suspension: by the user, a fault, or loss of signal.

    def suspend(self, now: float, condition: Condition = Condition.SUSPEND_REQUEST) -> None:
        """Send nothing and let time stand still (4.11.2.4)."""
        if self.suspended or self.closed:
            return
        self.suspended = self.dirty = True
        self.timers.halt(now)
        self.port.events.append(Suspended(self.id, condition))

    def resume(self, now: float) -> None:
        """Go on (4.6.7); what awaits an answer is repeated."""
        if not self.suspended:
            return
        self.suspended = False
        self.dirty = True
        self.port.events.append(Resumed(self.id))
        self._go_on(now)

    def end_suspension(self, now: float) -> None:
        """What is cancelled is not suspended any more: its end has to be told."""
        if self.suspended:
            self.suspended = False
            if not self.frozen:
                self.timers.go_on(now)

    def freeze(self, now: float) -> None:
        """Loss of signal: no PDU can go out, no answer can come (4.12)."""
        self.frozen = True
        self.timers.halt(now)

    def thaw(self, now: float) -> None:
        """Acquisition of signal; what awaits an answer is repeated."""
        if self.frozen:
            self.frozen = False
            self._go_on(now)

    def _go_on(self, now: float) -> None:
        if not (self.suspended or self.frozen):
            self.timers.go_on(now)
            self.repeat(now)

    # Faults.

    def fault(self, condition: Condition, now: float, *, final: bool = False) -> None:
        """Declare a fault and do what is configured for it (4.8).

        One that is `final` leaves nothing to go on with: to ignore it is to cancel.
        """
        action = self.remote.faults.get(condition, FaultAction.CANCEL)
        if final and action is FaultAction.IGNORE:
            action = FaultAction.CANCEL
        self.port.events.append(Fault(self.id, condition, action))
        if action is FaultAction.CANCEL:
            self.cancel(now, condition)
        elif action is FaultAction.SUSPEND:
            self.suspend(now, condition)
        elif action is FaultAction.ABANDON:
            self.abandon(condition)

    def abandon(self, condition: Condition) -> None:
        """Give up without a word to the peer (4.8.2)."""
        self.condition = condition
        self.port.events.append(Abandoned(self.id, condition, self.progress))
        self.end()

    def end(self) -> None:
        """Nothing more is to be exchanged."""
        self.move(Input.END)
        self.timers.clear()
        self.release()

    def unexpected(self, what: str) -> PacketError:
        """A PDU that has no meaning in this state."""
        return PacketError(Drop.UNEXPECTED_PDU, f"{what} while {self.state.value}")

    # What the two ends do each in their way.

    @property
    @abstractmethod
    def progress(self) -> int:
        """Octets sent at least once, or received."""

    @property
    @abstractmethod
    def size(self) -> int | None:
        """Octets of the file, None while unknown."""

    @abstractmethod
    def receive(self, body: Body, now: float) -> None:
        """Take a PDU from the peer; raises PacketError."""

    @abstractmethod
    def control(self, out: list[bytes], room: int, now: float) -> int:
        """Append the directives that are due, as far as `room` octets go; return what is left."""

    @abstractmethod
    def expired(self, timer: Timer, now: float) -> None:
        """A timer has run out."""

    @abstractmethod
    def repeat(self, now: float) -> None:
        """Send again what awaits an answer."""

    @abstractmethod
    def cancel(self, now: float, condition: Condition = Condition.CANCEL_REQUEST) -> None:
        """End the transaction with this condition (4.11.2.2, 4.11.2.3)."""

    @abstractmethod
    def release(self) -> None:
        """Let go of the file."""


def put(out: list[bytes], room: int, pdu: bytes) -> int:
    """Append a PDU if it fits; return the room left, or -1 if it does not fit."""
    if len(pdu) > room:
        return -1
    out.append(pdu)
    return room - len(pdu)

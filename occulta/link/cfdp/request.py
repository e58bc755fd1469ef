"""What a user asks an entity to send, and what an entity tells of a transaction under way."""

from __future__ import annotations

from dataclasses import dataclass

from occulta.link.cfdp.constants import Condition, Mode
from occulta.link.cfdp.pdu import TransactionId
from occulta.link.cfdp.states import State


@dataclass(frozen=True, slots=True)
class PutRequest:
    """A file to be sent (Put.request, 727.0-B-5, 3.4.1).

    `source_name` is for the filestore and is told to the peer, `destination_name` is what the peer
    shall call it. `mode` and `closure` are the remote's settings where None. Of several files for
    one remote the one with the lowest `priority` goes first, then the oldest. `messages` are
    messages to the user, at most 255 octets each.
    """

    destination: int
    source_name: str
    destination_name: str
    mode: Mode | None = None
    closure: bool | None = None
    priority: int = 0
    messages: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """A transaction under way (Report.indication, 3.4.13); sizes in octets."""

    transaction: TransactionId
    remote: int
    sender: bool
    state: State
    condition: Condition
    suspended: bool
    progress: int
    """Sent at least once, or received."""
    size: int | None

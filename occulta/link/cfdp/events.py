"""What an entity tells its user (the indications of CCSDS 727.0-B-5, 3.4)."""

from __future__ import annotations

from dataclasses import dataclass

from occulta.link.cfdp.constants import (
    ChecksumType,
    Condition,
    Delivery,
    FaultAction,
    FileStatus,
)
from occulta.link.cfdp.pdu import Metadata, TransactionId


@dataclass(frozen=True, slots=True)
class TransactionEvent:
    """Something happened to a transaction."""

    transaction: TransactionId


@dataclass(frozen=True, slots=True)
class EofSent(TransactionEvent):
    """The whole file was sent once (3.4.7)."""


@dataclass(frozen=True, slots=True)
class MetadataReceived(TransactionEvent):
    """The receiver knows what is coming (3.4.9)."""

    metadata: Metadata


@dataclass(frozen=True, slots=True)
class TransactionFinished(TransactionEvent):
    """The end of a transaction, as this side knows it (3.4.8).

    At the receiver a delivery that is COMPLETE was verified by the checksum of type `checksum`
    (with NULL only by its length) and published as `name`. At the sender the words are the
    receiver's; in Class 1 without closure nobody's: delivery INCOMPLETE, file status UNREPORTED.
    """

    condition: Condition
    delivery: Delivery
    file_status: FileStatus
    sender: bool
    name: str
    size: int
    checksum: ChecksumType | None = None


@dataclass(frozen=True, slots=True)
class Fault(TransactionEvent):
    """A fault was declared (3.4.14)."""

    condition: Condition
    action: FaultAction


@dataclass(frozen=True, slots=True)
class Suspended(TransactionEvent):
    """The transaction was suspended (3.4.11)."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class Resumed(TransactionEvent):
    """The transaction goes on (3.4.12)."""


@dataclass(frozen=True, slots=True)
class Abandoned(TransactionEvent):
    """The transaction was given up without a word to the peer (3.4.15)."""

    condition: Condition
    progress: int


Event = (
    EofSent | MetadataReceived | TransactionFinished | Fault | Suspended | Resumed | Abandoned
)

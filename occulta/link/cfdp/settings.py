"""What is configured: the local entity, each remote entity, and every limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from occulta.link.cfdp.constants import ChecksumType, Condition, FaultAction, Mode

_MAX_PDU = 65_536
_LEAST_PDU = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what peers can make an entity hold."""

    max_file_size: int = 1 << 40
    """Octets of one received file."""
    max_transactions: int = 64
    """Receiving transactions open at once with one remote; 0 receives nothing."""
    max_fragments: int = 1 << 16
    """Separate ranges of one file."""
    max_history: int = 4_096
    """Closed transactions remembered."""


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Remote:
    """A remote entity (727.0-B-5, clause 8): times in seconds, sizes in octets.

    Limits count how often something is sent without an answer. Raises ValueError.
    """

    entity: int
    entity_width: int = 2
    sequence_width: int = 4
    mode: Mode = Mode.ACKNOWLEDGED
    closure: bool = False
    """Unacknowledged mode: ask for a Finished PDU."""
    checksum_type: ChecksumType = ChecksumType.CRC_32
    crc: bool = False
    """Protect each PDU by a CRC; not needed where the link authenticates packets."""
    max_pdu: int = 1_024
    """Largest PDU sent."""
    large_when_unknown: bool = True
    """Give files of unknown size 64-bit offsets; off, they end at 4 GiB."""
    ack_interval: float = 5.0
    ack_limit: int = 10
    nak_interval: float = 5.0
    nak_limit: int = 10
    nak_segments: int = 58
    """Most requests in one NAK PDU; F Prime takes no more."""
    immediate_nak: bool = True
    reorder_window: float = 0.2
    """How long a gap stands before it counts as a loss."""
    check_interval: float = 5.0
    check_limit: int = 4
    inactivity: float = 300.0
    keep_alive_interval: float | None = None
    keep_alive_discrepancy: int | None = None
    """Octets the receiver may lie behind before the sender declares a fault."""
    retain_incomplete: bool = False
    """Publish what was received of a cancelled file; only its receipt says it is incomplete."""
    faults: Mapping[Condition, FaultAction] = field(default_factory=dict)
    """What to do on a fault, if not to cancel; IGNORE cancels where nothing is left to go on with.
    """

    def __post_init__(self) -> None:
        if not (1 <= self.entity_width <= 8 and 1 <= self.sequence_width <= 8):
            raise ValueError("widths are 1 to 8 octets")
        if self.entity >> 8 * self.entity_width or self.entity < 0:
            raise ValueError(f"entity {self.entity} does not fit {self.entity_width} octets")
        if not _LEAST_PDU <= self.max_pdu <= _MAX_PDU:
            raise ValueError(f"max_pdu is {_LEAST_PDU} to {_MAX_PDU} octets")
        counts = (self.ack_limit, self.nak_limit, self.check_limit, self.nak_segments)
        times: tuple[float, ...] = (
            self.ack_interval, self.nak_interval, self.check_interval, self.inactivity,
        )
        if self.keep_alive_interval is not None:
            times += (self.keep_alive_interval,)
        if min(counts) < 1 or min(times) <= 0 or self.reorder_window < 0:
            raise ValueError("limits and intervals must be positive")

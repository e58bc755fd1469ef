"""Telemetry: reports, and the packets they travel in (ECSS-E-ST-70-41C).

    TM[1,1] TM[1,3] TM[1,7]  a telecommand was accepted, started, completed
    TM[1,2] TM[1,4] TM[1,8]  it was not
    TM[3,25]                 housekeeping
    TM[5,1] to TM[5,4]       events by severity
    TM[17,2]                 are-you-alive report
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, unique
from functools import partial
from typing import ClassVar

from occulta.link.drops import Drop, PacketError
from occulta.link.pus.fields import (
    Bits,
    Fields,
    Layout,
    Text,
    Unsigned,
    attributes,
    pack,
    unpack,
)
from occulta.link.pus.housekeeping import Housekeeping, pack_values, unpack_values
from occulta.link.pus.packet import (
    PUS_VERSION,
    REQUEST_ID,
    TM_HEADER,
    RequestId,
    assemble,
    dissect,
)
from occulta.link.space_packet import PacketType

MAX_TEXT = 200
"""Octets of UTF-8 in an event's text or a failure's detail; one line, no control characters."""


@unique
class Stage(IntEnum):
    """How far a telecommand got; the subtype of the report of success (6.1.4)."""

    ACCEPTANCE = 1
    START = 3
    COMPLETION = 7


@unique
class Severity(IntEnum):
    """The subtype of an event report (6.5.4)."""

    INFORMATIVE = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4


@dataclass(frozen=True, slots=True)
class Success:
    """TM[1,1], TM[1,3], TM[1,7]: a telecommand passed a stage (8.1.2)."""

    stage: Stage
    request: RequestId

    @property
    def message_type(self) -> tuple[int, int]:
        """Service and subtype."""
        return 1, self.stage


@dataclass(frozen=True, slots=True)
class Failure:
    """TM[1,2], TM[1,4], TM[1,8]: a telecommand failed at a stage (8.1.2).

    `code` is 0..65535, the number of a `Drop` or of a `Reason`.
    """

    stage: Stage
    request: RequestId
    code: int
    detail: str

    @property
    def message_type(self) -> tuple[int, int]:
        """Service and subtype."""
        return 1, self.stage + 1


@dataclass(frozen=True, slots=True)
class Event:
    """TM[5,1] to TM[5,4]: something happened (8.5.2).

    `definition_id` 0..65535 says what, `parameter` 0..2^32 - 1 goes with it.
    """

    severity: Severity
    definition_id: int
    parameter: int
    text: str

    @property
    def message_type(self) -> tuple[int, int]:
        """Service and subtype."""
        return 5, self.severity


@dataclass(frozen=True, slots=True)
class Alive:
    """TM[17,2]: the answer to TC[17,1] (8.17.2.2)."""

    message_type: ClassVar = (17, 2)


Report = Success | Failure | Housekeeping | Event | Alive


@dataclass(frozen=True, slots=True)
class Telemetry:
    """A report and the packet's headers; `time` is seconds since 1970-01-01 UTC."""

    apid: int
    sequence_count: int
    time_status: int
    message_count: int
    destination: int
    time: float
    report: Report


_FAILURE: Fields = (
    REQUEST_ID,
    Unsigned("code", 16, "", "Number of the reason"),
    Text("detail", MAX_TEXT, "What was wrong"),
)
_EVENT: Fields = (
    Unsigned("definition_id", 16, "", "Which event"),
    Unsigned("parameter", 32, "", "A number that goes with the event"),
    Text("text", MAX_TEXT, "The event in words"),
)
_STRUCTURE_ID = Unsigned("structure_id", 16, "", "Which housekeeping structure follows")

REPORTS: tuple[Layout[Report], ...] = (
    *(
        Layout(1, stage, f"{stage.name.lower()}_success", f"Successful {stage.name.lower()}",
               (REQUEST_ID,), partial(Success, stage))
        for stage in Stage
    ),
    *(
        Layout(1, stage + 1, f"{stage.name.lower()}_failure", f"Failed {stage.name.lower()}",
               _FAILURE, partial(Failure, stage))
        for stage in Stage
    ),
    Layout(3, 25, "housekeeping", "Housekeeping parameter report", (_STRUCTURE_ID,), Housekeeping),
    *(
        Layout(5, severity, f"{severity.name.lower()}_event", f"Event, {severity.name.lower()}",
               _EVENT, partial(Event, severity))
        for severity in Severity
    ),
    Layout(17, 2, "alive", "Are-you-alive connection test report", (), Alive),
)
"""Every report. The parameters of a housekeeping report follow it, by its structure."""

_BY_TYPE = {(layout.service, layout.subtype): layout for layout in REPORTS}


def encode_telemetry(
    report: Report, *, apid: int, sequence_count: int, time: float, message_count: int = 0,
    destination: int = 0, time_status: int = 0,
) -> bytes:
    """The packet of a report made at `time`, seconds since 1970-01-01 UTC; raises ValueError.

    `message_count` counts the reports of one type to one destination, 16 bits, wrapping;
    `destination` is 0..65535, `time_status` 0..15 (7.4.3.1).
    """
    layout = _BY_TYPE[report.message_type]
    secondary = pack(TM_HEADER, {
        "pus_version": PUS_VERSION, "time_status": time_status, "service_type": layout.service,
        "message_subtype": layout.subtype, "message_count": message_count,
        "destination": destination, "time": time,
    })
    message = pack(layout.fields, attributes(layout.fields, report))
    if isinstance(report, Housekeeping):
        message += pack_values(report)
    return assemble(PacketType.TM, apid, sequence_count, secondary + message)


def decode_telemetry(packet: bytes) -> Telemetry:
    """The report in a packet.

    Raises PacketError: PACKET_TRUNCATED, PACKET_VERSION, PACKET_LENGTH, PACKET_SEGMENTED,
    PACKET_TYPE for a telecommand, PUS_TRUNCATED, PUS_CHECKSUM, PUS_VERSION, UNKNOWN_SERVICE for a
    service or subtype that is not here, PUS_FIELD for anything wrong in the report.
    """
    primary, secondary, bits = dissect(packet, PacketType.TM)
    found = secondary["service_type"], secondary["message_subtype"]
    layout = _BY_TYPE.get(found)
    if layout is None:
        raise PacketError(Drop.UNKNOWN_SERVICE, f"TM[{found[0]},{found[1]}]")
    return Telemetry(
        primary.apid, primary.sequence_count, secondary["time_status"],
        secondary["message_count"], secondary["destination"], secondary["time"],
        _read_report(layout, bits),
    )


def _read_report(layout: Layout[Report], bits: Bits) -> Report:
    values = unpack(layout.fields, bits)
    if layout.make is Housekeeping:
        values["values"] = unpack_values(values["structure_id"], bits)
    bits.finish()
    return layout.make(**values)

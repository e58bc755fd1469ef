"""Telecommands: requests, and the packets they travel in (ECSS-E-ST-70-41C).

    TC[17,1]              are you alive
    TC[3,27]              one housekeeping report now
    TC[200,1] [200,2]     the scheme of a rule, the priority of a product
    TC[200,3] [200,4]     hold and resume a destination
    TC[200,5] [200,6]     cancel a product, purge by priority
    TC[200,7] [200,8]     which link key to use, and which no more

Service 200 is the mission's own (6.1: 128 to 255). Products are named by their 16 octets of id,
destinations by their CFDP entity id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from occulta.link.drops import Drop, PacketError
from occulta.link.messages import PRODUCT_ID_SIZE
from occulta.link.pus.fields import (
    Field,
    Layout,
    Octets,
    Text,
    Unsigned,
    attributes,
    pack,
    unpack,
)
from occulta.link.pus.packet import (
    PUS_VERSION,
    TC_HEADER,
    Ack,
    RequestId,
    assemble,
    dissect,
)
from occulta.link.space_packet import PacketType

MAX_NAME = 64
"""Octets of UTF-8 in the name of a rule, scheme or profile; at least one."""


@dataclass(frozen=True, slots=True)
class AreYouAlive:
    """TC[17,1]: answered by TM[17,2] (8.17.2.1)."""

    message_type: ClassVar = (17, 1)


@dataclass(frozen=True, slots=True)
class ReportHousekeeping:
    """TC[3,27]: answered by one TM[3,25] (8.3.2.27).

    A request names one structure, so it carries no count of structures.
    """

    message_type: ClassVar = (3, 27)

    structure_id: int


@dataclass(frozen=True, slots=True)
class SetScheme:
    """TC[200,1]: frames that match the rule get this scheme and profile from now on."""

    message_type: ClassVar = (200, 1)

    rule: str
    scheme: str
    profile: str


@dataclass(frozen=True, slots=True)
class SetPriority:
    """TC[200,2]: a product's priority, 0..255; 0 is sent first."""

    message_type: ClassVar = (200, 2)

    product_id: bytes
    priority: int


@dataclass(frozen=True, slots=True)
class Hold:
    """TC[200,3]: send a destination nothing more for now; 0 means all."""

    message_type: ClassVar = (200, 3)

    destination: int


@dataclass(frozen=True, slots=True)
class Resume:
    """TC[200,4]: send to a destination again; 0 means all."""

    message_type: ClassVar = (200, 4)

    destination: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """TC[200,5]: give up sending a product, and remove it."""

    message_type: ClassVar = (200, 5)

    product_id: bytes


@dataclass(frozen=True, slots=True)
class Purge:
    """TC[200,6]: cancel all that waits with this priority number, 0..255, or a higher one.

    What is being sent goes on.
    """

    message_type: ClassVar = (200, 6)

    priority: int


@dataclass(frozen=True, slots=True)
class SelectLinkKey:
    """TC[200,7]: use this link key towards a destination from now on."""

    message_type: ClassVar = (200, 7)

    destination: int
    key_id: int


@dataclass(frozen=True, slots=True)
class RetireLinkKey:
    """TC[200,8]: erase a link key of a destination, for good."""

    message_type: ClassVar = (200, 8)

    destination: int
    key_id: int


Command = (
    AreYouAlive | ReportHousekeeping | SetScheme | SetPriority | Hold | Resume | Cancel | Purge
    | SelectLinkKey | RetireLinkKey
)


@dataclass(frozen=True, slots=True)
class Telecommand:
    """A request, who sent it, and which reports of success they want."""

    request: RequestId
    acknowledge: Ack
    source: int
    command: Command


def _name(name: str, description: str) -> Text:
    return Text(name, MAX_NAME, description, least=1)


_PRODUCT_ID = Octets("product_id", PRODUCT_ID_SIZE, "Id of the product")
_PRIORITY = Unsigned("priority", 8, "", "Priority, 0 is sent first")
_DESTINATION = Unsigned("destination", 16, "", "CFDP entity id")
_KEY_ID = Unsigned("key_id", 16, "", "Id of the link key")
_DESTINATIONS = Unsigned("destination", 16, "", "CFDP entity id, 0 for all")


def _layout(command: type[Command], name: str, description: str, *fields: Field) -> Layout[Command]:
    service, subtype = command.message_type
    return Layout(service, subtype, name, description, fields, command)


COMMANDS: tuple[Layout[Command], ...] = (
    _layout(AreYouAlive, "are_you_alive", "Perform an are-you-alive connection test"),
    _layout(
        ReportHousekeeping, "report_housekeeping", "Generate one housekeeping report",
        Unsigned("structure_id", 16, "", "Which housekeeping structure"),
    ),
    _layout(
        SetScheme, "set_scheme", "Set the scheme and profile of a rule",
        _name("rule", "Name of the rule, or its number"), _name("scheme", "Name of the scheme"),
        _name("profile", "Name of the profile, none for schemes without"),
    ),
    _layout(
        SetPriority, "set_priority", "Set the priority of a product", _PRODUCT_ID, _PRIORITY,
    ),
    _layout(Hold, "hold", "Send a destination nothing more for now", _DESTINATIONS),
    _layout(Resume, "resume", "Send to a destination again", _DESTINATIONS),
    _layout(Cancel, "cancel", "Give up sending a product, and remove it", _PRODUCT_ID),
    _layout(
        Purge, "purge", "Cancel all that waits with this priority number or a higher one",
        _PRIORITY,
    ),
    _layout(
        SelectLinkKey, "select_link_key", "Use a link key towards a destination", _DESTINATION,
        _KEY_ID,
    ),
    _layout(
        RetireLinkKey, "retire_link_key", "Erase a link key of a destination", _DESTINATION,
        _KEY_ID,
    ),
)

_BY_TYPE = {(layout.service, layout.subtype): layout for layout in COMMANDS}


def encode_telecommand(
    command: Command, *, apid: int, sequence_count: int, acknowledge: Ack = Ack.ALL,
    source: int = 0,
) -> bytes:
    """The packet of a request from `source`, 0..65535; raises ValueError."""
    layout = _BY_TYPE[command.message_type]
    secondary = pack(TC_HEADER, {
        "pus_version": PUS_VERSION, "acknowledge": acknowledge, "service_type": layout.service,
        "message_subtype": layout.subtype, "source": source,
    })
    message = pack(layout.fields, attributes(layout.fields, command))
    return assemble(PacketType.TC, apid, sequence_count, secondary + message)


def decode_telecommand(packet: bytes) -> Telecommand:
    """The request in a packet.

    Raises PacketError as `decode_telemetry` does, PACKET_TYPE for telemetry. To report a refusal,
    take the id from `RequestId.of`.
    """
    _, secondary, bits = dissect(packet, PacketType.TC)
    found = secondary["service_type"], secondary["message_subtype"]
    layout = _BY_TYPE.get(found)
    if layout is None:
        raise PacketError(Drop.UNKNOWN_SERVICE, f"TC[{found[0]},{found[1]}]")
    values = unpack(layout.fields, bits)
    bits.finish()
    return Telecommand(
        RequestId.of(packet), Ack(secondary["acknowledge"]), secondary["source"],
        layout.make(**values),
    )

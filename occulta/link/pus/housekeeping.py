"""Housekeeping parameter report structures: what TM[3,25] can hold (ECSS-E-ST-70-41C, 6.3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from occulta.link.drops import Drop, PacketError
from occulta.link.pus.fields import Bits, Fields, Unsigned, pack, unpack


@dataclass(frozen=True, slots=True)
class Structure:
    """The parameters of one kind of housekeeping report."""

    structure_id: int
    name: str
    description: str
    fields: Fields


ONBOARD = Structure(1, "onboard", "The daemon since its start", (
    Unsigned("uptime", 32, "s", "Time since the start"),
    Unsigned("frames_in", 32, "", "Frames that arrived from cameras and folders"),
    Unsigned("frames_protected", 32, "", "Frames that became products"),
    Unsigned("frames_discarded", 32, "", "Frames refused, given up or broken off"),
    Unsigned("blocks", 64, "", "Blocks of 8x8 samples processed"),
    Unsigned("hidden_bytes", 64, "B", "Private data hidden in frames"),
    Unsigned("private_waiting_bytes", 64, "B", "Private data waiting for a frame"),
    Unsigned("spool_items", 32, "", "Products in the spool"),
    Unsigned("spool_bytes", 64, "B", "Size of the spool"),
    Unsigned("resident_kib", 32, "KiB", "Resident memory"),
    Unsigned("packets_sent", 64, "", "Link packets sent"),
    Unsigned("packets_received", 64, "", "Link packets received and not dropped"),
    Unsigned("transactions_open", 16, "", "CFDP transactions not yet finished"),
    Unsigned("contact", 8, "", "1 during a contact, else 0", maximum=1),
    Unsigned("selected_key", 16, "", "Id of the link key in use"),
))

LINK_DROPS = Structure(2, "link_drops", "Packets dropped since the start, by reason", tuple(
    Unsigned(drop.name.lower(), 32, "", f"Drop {drop.value}") for drop in sorted(Drop)
))

STRUCTURES = {structure.structure_id: structure for structure in (ONBOARD, LINK_DROPS)}


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """TM[3,25]: the values of one structure, by the names in its table (8.3.2.25)."""

    message_type: ClassVar = (3, 25)

    structure_id: int
    values: Mapping[str, int]


def link_drops(counts: Mapping[Drop, int]) -> Housekeeping:
    """Structure 2 from the counts of drops; a reason not counted is 0, one beyond 32 bits stays."""
    values = {drop.name.lower(): min(counts.get(drop, 0), 0xFFFF_FFFF) for drop in Drop}
    return Housekeeping(LINK_DROPS.structure_id, values)


def pack_values(report: Housekeeping) -> bytes:
    """The parameters of a report; raises ValueError unless they are just those of its table."""
    structure = STRUCTURES.get(report.structure_id)
    if structure is None:
        raise ValueError(f"no housekeeping structure {report.structure_id}")
    if report.values.keys() != {field.name for field in structure.fields}:
        raise ValueError(f"not the parameters of structure {report.structure_id}")
    return pack(structure.fields, report.values)


def unpack_values(structure_id: int, bits: Bits) -> dict[str, Any]:
    """The parameters of a structure; raises PacketError (PUS_TRUNCATED, PUS_FIELD)."""
    structure = STRUCTURES.get(structure_id)
    if structure is None:
        raise PacketError(Drop.PUS_FIELD, f"no housekeeping structure {structure_id}")
    return unpack(structure.fields, bits)

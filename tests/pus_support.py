"""One of every PUS message, and ways to make any: what the tests of PUS and of the XTCE share."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from occulta.link import pus
from occulta.link.pus.fields import Unsigned
from occulta.link.pus.housekeeping import STRUCTURES, Structure
from occulta.link.space_packet import Apids, PacketType

TELEMETRY_APID, COMMAND_APID = Apids().telemetry, Apids().commands
TIME = 1_700_000_000.25

REQUEST = pus.RequestId(COMMAND_APID, 0x1234)
ONBOARD_VALUES = {field.name: number for number, field in enumerate(pus.ONBOARD.fields, 2)}
ONBOARD_VALUES["contact"] = 1
REPORTS: list[pus.Report] = [
    *(pus.Success(stage, REQUEST) for stage in pus.Stage),
    *(pus.Failure(stage, REQUEST, 404, "no such rule: näher") for stage in pus.Stage),
    pus.Housekeeping(1, ONBOARD_VALUES),
    pus.link_drops({}),
    *(pus.Event(severity, 7, 0xFFFF_FFFF, "spool full") for severity in pus.Severity),
    pus.Event(pus.Severity.HIGH, 0, 0, ""),
    pus.Alive(),
]
COMMANDS: list[pus.Command] = [
    pus.AreYouAlive(),
    pus.ReportHousekeeping(2),
    pus.SetScheme("clouds", "reversible", "exact-ü"),
    pus.SetPriority(bytes(range(16)), 200),
    pus.Hold(0),
    pus.Resume(65535),
    pus.Cancel(b"\xff" * 16),
    pus.Purge(3),
    pus.SelectLinkKey(2, 0xABC),
    pus.RetireLinkKey(3, 0xFFF),
]

U8, U16, U32 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32))
IDS = st.binary(min_size=16, max_size=16)
_TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]))


def _texts(least: int, most: int) -> st.SearchStrategy[str]:
    return _TEXT.filter(lambda text: least <= len(text.encode()) <= most)


def _values(structure: Structure) -> st.SearchStrategy[pus.Housekeeping]:
    def numbers(field: Any) -> st.SearchStrategy[int]:
        assert isinstance(field, Unsigned)
        return st.integers(0, (1 << field.bits) - 1 if field.maximum is None else field.maximum)

    values = {field.name: numbers(field) for field in structure.fields}
    return st.builds(
        pus.Housekeeping, st.just(structure.structure_id), st.fixed_dictionaries(values)
    )


REQUESTS = st.builds(
    pus.RequestId, st.integers(0, 2047), st.integers(0, 16383), st.integers(0, 7),
    st.integers(0, 1), st.integers(0, 1), st.integers(0, 3),
)
STAGES, SEVERITIES = st.sampled_from(pus.Stage), st.sampled_from(pus.Severity)
DETAILS, NAMES = _texts(0, 200), _texts(1, 64)

ANY_REPORT: st.SearchStrategy[pus.Report] = st.one_of(
    st.builds(pus.Success, STAGES, REQUESTS),
    st.builds(pus.Failure, STAGES, REQUESTS, U16, DETAILS),
    *(_values(structure) for structure in STRUCTURES.values()),
    st.builds(pus.Event, SEVERITIES, U16, U32, DETAILS),
    st.just(pus.Alive()),
)
ANY_COMMAND: st.SearchStrategy[pus.Command] = st.one_of(
    st.just(pus.AreYouAlive()),
    st.builds(pus.ReportHousekeeping, U16),
    st.builds(pus.SetScheme, NAMES, NAMES, NAMES),
    st.builds(pus.SetPriority, IDS, U8),
    st.builds(pus.Hold, U16),
    st.builds(pus.Resume, U16),
    st.builds(pus.Cancel, IDS),
    st.builds(pus.Purge, U8),
    st.builds(pus.SelectLinkKey, U16, U16),
    st.builds(pus.RetireLinkKey, U16, U16),
)


def telemetry(report: pus.Report, **changed: Any) -> bytes:
    """A packet of the report."""
    given: dict[str, Any] = {
        "apid": TELEMETRY_APID, "sequence_count": 5, "time": TIME, "message_count": 3,
        "destination": 9, "time_status": 1,
    }
    return pus.encode_telemetry(report, **given | changed)


def telecommand(command: pus.Command, **changed: Any) -> bytes:
    """A packet of the command."""
    given: dict[str, Any] = {
        "apid": COMMAND_APID, "sequence_count": 6, "acknowledge": pus.Ack.ACCEPTANCE, "source": 8,
    }
    return pus.encode_telecommand(command, **given | changed)


def packets() -> list[tuple[PacketType, bytes]]:
    """One packet of every message."""
    return [
        *((PacketType.TM, telemetry(report)) for report in REPORTS),
        *((PacketType.TC, telecommand(command)) for command in COMMANDS),
    ]

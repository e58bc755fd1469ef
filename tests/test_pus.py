"""PUS: every report and request comes back, everything else is refused by name.

Proves octets against the standard's layout and against an independent library, that each limit
holds exactly, that damage of any kind gives the reason it should, and that nothing but a
PacketError comes out of any octets.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.link import pus
from occulta.link.drops import Drop, PacketError
from occulta.link.pus.housekeeping import LINK_DROPS, STRUCTURES
from occulta.link.pus.packet import assemble
from occulta.link.pus.telecommands import COMMANDS as COMMAND_LAYOUTS
from occulta.link.pus.telemetry import REPORTS as REPORT_LAYOUTS
from occulta.link.space_packet import HEADER_SIZE, PacketType, SpacePacket
from tests.pus_support import (
    ANY_COMMAND,
    ANY_REPORT,
    COMMANDS,
    ONBOARD_VALUES,
    REPORTS,
    REQUEST,
    TIME,
    U16,
    packets,
    telecommand,
    telemetry,
)

pytestmark = pytest.mark.arm64

EXAMPLES = settings(deadline=None, derandomize=True, database=None, max_examples=150)
TM, TC = PacketType.TM, PacketType.TC
DECODERS: dict[PacketType, Any] = {TM: pus.decode_telemetry, TC: pus.decode_telecommand}
SECONDARY = {TM: 13, TC: 5}
PACKETS = packets()


def dropped(packet_type: PacketType, packet: bytes) -> Drop:
    with pytest.raises(PacketError) as caught:
        DECODERS[packet_type](packet)
    return caught.value.drop


def forged(packet_type: PacketType, service: int, subtype: int, message: bytes = b"") -> bytes:
    """A packet that is right all around, whatever is in it."""
    rest = bytes(10 if packet_type is TM else 2)
    return assemble(packet_type, 1, 0, bytes([0x20, service, subtype]) + rest + message)


def cut(packet: bytes) -> bytes:
    """Secondary header and message."""
    return SpacePacket.decode(packet).data[:-2]


# --- octets


def test_a_telecommand_has_the_octets_that_others_expect() -> None:
    packet = pus.encode_telecommand(pus.AreYouAlive(), apid=1, sequence_count=22)
    assert packet == bytes.fromhex("1801c01600062f11010000ab62")


def test_a_report_has_its_octets() -> None:
    report = pus.Failure(pus.Stage.START, pus.RequestId(0x66, 0x1234), 404, "né")
    packet = telemetry(report, time=2.5)
    assert packet[:-2] == bytes.fromhex(
        "0865 c005 0018"  # TM, secondary header, APID 101; unsegmented, 5; 25 octets
        "21 01 04 0003 0009 00000002 8000"  # PUS-C, status 1; TM[1,4]; count; destination; time
        "1866 d234 0194 03 6ec3a9"  # the telecommand's first four octets; code; detail
    )


@pytest.mark.parametrize(
    ("command", "octets"),
    [
        (pus.AreYouAlive(), "11 01 0008"),
        (pus.ReportHousekeeping(2), "03 1b 0008 0002"),
        (pus.SetScheme("a", "bc", "d"), "c8 01 0008 0161 026263 0164"),
        (pus.SetPriority(b"\1" * 16, 200), "c8 02 0008" + "01" * 16 + "c8"),
        (pus.Hold(0), "c8 03 0008 0000"),
        (pus.Resume(300), "c8 04 0008 012c"),
        (pus.Cancel(b"\2" * 16), "c8 05 0008" + "02" * 16),
        (pus.Purge(3), "c8 06 0008 03"),
        (pus.SelectLinkKey(2, 0xABC), "c8 07 0008 0002 0abc"),
        (pus.RetireLinkKey(3, 0xFFF), "c8 08 0008 0003 0fff"),
    ],
)
def test_a_request_has_its_octets(command: pus.Command, octets: str) -> None:
    assert cut(telecommand(command)) == b"\x21" + bytes.fromhex(octets)


def test_every_message_is_tried() -> None:
    assert {type(command) for command in COMMANDS} == set(pus.Command.__args__)
    reports = {layout.service * 256 + layout.subtype for layout in REPORT_LAYOUTS}
    assert {packet[7] * 256 + packet[8] for kind, packet in PACKETS if kind is TM} == reports
    assert {report.structure_id for report in REPORTS if isinstance(report, pus.Housekeeping)} == (
        set(STRUCTURES)
    )


def test_message_types_and_names_are_unique() -> None:
    for layouts in (REPORT_LAYOUTS, COMMAND_LAYOUTS):
        assert len({(layout.service, layout.subtype) for layout in layouts}) == len(layouts)
        assert len({layout.name for layout in layouts}) == len(layouts)


# --- round trips


@given(ANY_REPORT, U16, U16, st.integers(0, 16383), st.integers(0, 15), st.integers(0, 2047))
@EXAMPLES
def test_a_report_comes_back(
    report: pus.Report, message_count: int, destination: int, sequence: int, status: int, apid: int,
) -> None:
    packet = pus.encode_telemetry(
        report, apid=apid, sequence_count=sequence, time=TIME, message_count=message_count,
        destination=destination, time_status=status,
    )
    assert pus.decode_telemetry(packet) == pus.Telemetry(
        apid, sequence, status, message_count, destination, TIME, report
    )


@given(ANY_COMMAND, U16, st.integers(0, 16383), st.integers(0, 15), st.integers(0, 2047))
@EXAMPLES
def test_a_request_comes_back(
    command: pus.Command, source: int, sequence: int, flags: int, apid: int
) -> None:
    packet = pus.encode_telecommand(
        command, apid=apid, sequence_count=sequence, acknowledge=pus.Ack(flags), source=source
    )
    assert pus.decode_telecommand(packet) == pus.Telecommand(
        pus.RequestId(apid, sequence), pus.Ack(flags), source, command
    )


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (0.0, 0.0), (0.5, 0.5), (2**32 - 2**-16, 2**32 - 2**-16),
        (1 + 2**-16 + 2**-17, 1 + 2**-16),  # cut, never rounded up
        (TIME, TIME),
    ],
)
def test_time_is_kept_to_2_to_the_minus_16_seconds(time: float, expected: float) -> None:
    assert pus.decode_telemetry(telemetry(pus.Alive(), time=time)).time == expected


def test_a_report_names_the_telecommand_it_is_about() -> None:
    packet = telecommand(pus.Hold(0), sequence_count=0x1234)
    request = pus.decode_telecommand(packet).request
    assert request == REQUEST == pus.RequestId.of(packet)
    assert cut(telemetry(pus.Success(pus.Stage.ACCEPTANCE, request)))[13:] == packet[:4]


def test_a_refused_telecommand_still_has_an_id() -> None:
    packet = forged(TC, 200, 99)
    assert dropped(TC, packet) is Drop.UNKNOWN_SERVICE
    assert pus.RequestId.of(packet) == pus.RequestId(1, 0)
    with pytest.raises(PacketError) as caught:
        pus.RequestId.of(packet[:6])
    assert caught.value.drop is Drop.PACKET_TRUNCATED


# --- housekeeping


def test_link_drops_has_every_drop_in_order() -> None:
    assert [field.name for field in LINK_DROPS.fields] == [
        drop.name.lower() for drop in sorted(Drop, key=lambda drop: drop.value)
    ]


def test_counts_of_drops_stay_at_their_greatest() -> None:
    report = pus.link_drops({Drop.REPLAYED: 1 << 40, Drop.MAC_MISMATCH: 0xFFFF_FFFE})
    read = pus.decode_telemetry(telemetry(report)).report
    assert isinstance(read, pus.Housekeeping)
    assert read.values["replayed"] == 0xFFFF_FFFF
    assert read.values["mac_mismatch"] == 0xFFFF_FFFE
    assert sum(read.values.values()) == 0xFFFF_FFFF + 0xFFFF_FFFE


def test_a_structure_has_its_width() -> None:
    # 6 numbers of 4 octets, 6 of 8, 2 of 2 and one octet.
    assert len(cut(telemetry(pus.Housekeeping(1, ONBOARD_VALUES)))) == 13 + 2 + 24 + 48 + 4 + 1
    assert len(cut(telemetry(pus.link_drops({})))) == 13 + 2 + 4 * len(Drop)


@pytest.mark.parametrize("structure_id", [0, 3, 0xFFFF])
def test_an_unknown_structure_is_refused(structure_id: int) -> None:
    packet = forged(TM, 3, 25, structure_id.to_bytes(2, "big") + bytes(300))
    assert dropped(TM, packet) is Drop.PUS_FIELD


def test_contact_is_yes_or_no() -> None:
    message = bytearray(cut(telemetry(pus.Housekeeping(1, ONBOARD_VALUES))))
    assert message[-3] == 1
    message[-3] = 2
    assert dropped(TM, assemble(TM, 1, 0, bytes(message))) is Drop.PUS_FIELD


# --- misuse


@pytest.mark.parametrize(
    "report",
    [
        pus.Success(pus.Stage.START, pus.RequestId(2048, 0)),
        pus.Success(pus.Stage.START, pus.RequestId(0, 16384)),
        pus.Failure(pus.Stage.START, REQUEST, 65536, ""),
        pus.Failure(pus.Stage.START, REQUEST, -1, ""),
        pus.Failure(pus.Stage.START, REQUEST, 1, "x" * 201),
        pus.Failure(pus.Stage.START, REQUEST, 1, "é" * 101),
        pus.Event(pus.Severity.LOW, 65536, 0, ""),
        pus.Event(pus.Severity.LOW, 0, 1 << 32, ""),
        pus.Event(pus.Severity.LOW, 0, 0, "two\nlines"),
        pus.Event(pus.Severity.LOW, 0, 0, "\x9b31m"),
        pus.Event(pus.Severity.LOW, 0, 0, "\ud800"),
        pus.Housekeeping(3, {}),
        pus.Housekeeping(1, {}),
        pus.Housekeeping(1, ONBOARD_VALUES | {"more": 1}),
        pus.Housekeeping(1, ONBOARD_VALUES | {"contact": 2}),
        pus.Housekeeping(1, ONBOARD_VALUES | {"uptime": 1 << 32}),
        pus.Housekeeping(1, ONBOARD_VALUES | {"uptime": -1}),
        pus.Housekeeping(1, ONBOARD_VALUES | {"uptime": 1.5}),
    ],
    ids=str,
)
def test_a_report_out_of_range_is_not_sent(report: pus.Report) -> None:
    with pytest.raises(ValueError):
        telemetry(report)


@pytest.mark.parametrize(
    "changed",
    [
        {"apid": 2048}, {"sequence_count": 16384}, {"time": -1.0}, {"time": 2.0**32},
        {"time": math.nan}, {"time": math.inf}, {"message_count": 65536}, {"destination": 65536},
        {"time_status": 16},
    ],
    ids=str,
)
def test_a_header_out_of_range_is_not_sent(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        telemetry(pus.Alive(), **changed)


@pytest.mark.parametrize(
    "command",
    [
        pus.ReportHousekeeping(65536),
        pus.SetScheme("", "b", "c"),
        pus.SetScheme("a", "b" * 65, "c"),
        pus.SetScheme("a", "b", "c\0"),
        pus.SetPriority(bytes(15), 0),
        pus.SetPriority(bytes(16), 256),
        pus.Hold(-1),
        pus.Resume(65536),
        pus.Cancel(bytes(17)),
        pus.Purge(256),
        pus.SelectLinkKey(0, 65536),
        pus.RetireLinkKey(65536, 0),
    ],
    ids=str,
)
def test_a_request_out_of_range_is_not_sent(command: pus.Command) -> None:
    with pytest.raises(ValueError):
        telecommand(command)
    with pytest.raises(ValueError):
        telecommand(pus.AreYouAlive(), source=65536)


# --- damage


@pytest.mark.parametrize(("packet_type", "packet"), PACKETS)
def test_a_cut_packet_is_dropped(packet_type: PacketType, packet: bytes) -> None:
    for size in range(len(packet)):
        expected = Drop.PACKET_TRUNCATED if size <= HEADER_SIZE else Drop.PACKET_LENGTH
        assert dropped(packet_type, packet[:size]) is expected


@pytest.mark.parametrize(("packet_type", "packet"), PACKETS)
def test_a_message_that_ends_early_is_dropped(packet_type: PacketType, packet: bytes) -> None:
    whole = cut(packet)
    for size in range(len(whole)):
        shorter = assemble(packet_type, 1, 0, whole[:size])
        assert dropped(packet_type, shorter) is Drop.PUS_TRUNCATED


@pytest.mark.parametrize(("packet_type", "packet"), PACKETS)
def test_a_message_that_goes_on_is_dropped(packet_type: PacketType, packet: bytes) -> None:
    longer = assemble(packet_type, 1, 0, cut(packet) + b"\0")
    assert dropped(packet_type, longer) is Drop.PUS_FIELD


@pytest.mark.parametrize(("packet_type", "packet"), PACKETS)
def test_no_bit_can_be_changed(packet_type: PacketType, packet: bytes) -> None:
    number = int.from_bytes(packet, "big")
    for bit in range(8 * len(packet)):
        changed = (number ^ 1 << bit).to_bytes(len(packet), "big")
        drop = dropped(packet_type, changed)
        if bit < 8 * (len(packet) - HEADER_SIZE):
            assert drop is Drop.PUS_CHECKSUM


def test_telemetry_is_no_telecommand() -> None:
    assert dropped(TC, telemetry(pus.Alive())) is Drop.PACKET_TYPE
    assert dropped(TM, telecommand(pus.AreYouAlive())) is Drop.PACKET_TYPE


@pytest.mark.parametrize(("packet_type", "packet"), PACKETS)
def test_a_packet_without_secondary_header_is_dropped(
    packet_type: PacketType, packet: bytes
) -> None:
    bare = SpacePacket(packet_type, 1, 0, cut(packet)).encode()
    assert dropped(packet_type, bare) is Drop.PUS_VERSION


@pytest.mark.parametrize("packet_type", PacketType)
@pytest.mark.parametrize("version", [0, 1, 3, 15])
def test_another_pus_version_is_dropped(packet_type: PacketType, version: int) -> None:
    data = bytes([version << 4, 17, 1 if packet_type is TC else 2]) + bytes(10)
    packet = assemble(packet_type, 1, 0, data[: SECONDARY[packet_type]])
    assert dropped(packet_type, packet) is Drop.PUS_VERSION


@pytest.mark.parametrize(
    ("packet_type", "service", "subtype"),
    [(TM, 17, 1), (TM, 1, 5), (TM, 5, 5), (TM, 0, 0), (TM, 255, 255), (TM, 200, 1),
     (TC, 17, 2), (TC, 200, 0), (TC, 200, 9), (TC, 3, 25), (TC, 0, 0), (TC, 255, 255)],
)
def test_an_unknown_service_is_dropped(
    packet_type: PacketType, service: int, subtype: int
) -> None:
    assert dropped(packet_type, forged(packet_type, service, subtype)) is Drop.UNKNOWN_SERVICE


@pytest.mark.parametrize(
    ("packet_type", "service", "subtype", "message"),
    [
        (TM, 5, 1, bytes(6) + b"\xc9" + b"x" * 201),
        (TM, 5, 1, bytes(6) + b"\x01\xff"),
        (TM, 5, 1, bytes(6) + b"\x02\xc0\x80"),
        (TM, 5, 1, bytes(6) + b"\x03\xed\xa0\x80"),
        (TM, 5, 1, bytes(6) + b"\x01\x1b"),
        (TM, 5, 1, bytes(6) + b"\x02\xc2\x9b"),
        (TC, 200, 1, b"\x00\x01b\x01c"),
        (TC, 200, 1, b"\x41" + b"a" * 65 + b"\x01b\x01c"),
    ],
    ids=["long", "not UTF-8", "overlong", "surrogate", "ESC", "CSI", "no name", "long name"],
)
def test_a_text_out_of_bounds_is_dropped(
    packet_type: PacketType, service: int, subtype: int, message: bytes
) -> None:
    assert dropped(packet_type, forged(packet_type, service, subtype, message)) is Drop.PUS_FIELD


@given(st.binary(max_size=60), st.sampled_from(PacketType))
@EXAMPLES
def test_noise_is_dropped(noise: bytes, packet_type: PacketType) -> None:
    dropped(packet_type, noise)


@given(st.data(), st.sampled_from(PacketType), st.binary(max_size=300))
@EXAMPLES
def test_noise_within_a_packet_is_a_message_or_dropped(
    data: st.DataObject, packet_type: PacketType, message: bytes
) -> None:
    layouts = REPORT_LAYOUTS if packet_type is TM else COMMAND_LAYOUTS
    layout = data.draw(st.sampled_from(layouts))
    packet = forged(packet_type, layout.service, layout.subtype, message)
    try:
        read = DECODERS[packet_type](packet)
    except PacketError as error:
        assert error.drop in {Drop.PUS_FIELD, Drop.PUS_TRUNCATED}  # noqa: PT017
        return
    again = (
        pus.encode_telemetry(read.report, apid=1, sequence_count=0, time=0.0) if packet_type is TM
        else pus.encode_telecommand(
            read.command, apid=1, sequence_count=0, acknowledge=pus.Ack.NONE)
    )
    assert again == packet

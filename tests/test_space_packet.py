"""Space packets: what is sent comes back, everything else is refused by name.

Proves the header bit by bit against the standard's layout and against an independent library, that
each limit holds exactly, and that whatever octets arrive only a PacketError with its reason comes
out.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacepackets.ccsds import spacepacket as independent

from occulta.link.drops import Drop, PacketError
from occulta.link.space_packet import (
    HEADER_SIZE,
    IDLE_APID,
    MAX_DATA,
    Apids,
    PacketHeader,
    PacketType,
    SequenceCounter,
    SpacePacket,
    header,
    read_header,
)

EXAMPLES = settings(deadline=None, derandomize=True, database=None, max_examples=200)
TM, TC = PacketType.TM, PacketType.TC
PACKET = SpacePacket(TC, 0x123, 0x2345, b"data", secondary_header=True)

PACKETS = st.builds(
    SpacePacket, st.sampled_from(PacketType), st.integers(0, 2047), st.integers(0, 16383),
    st.binary(min_size=1, max_size=64), st.booleans(),
)


def dropped(packet: bytes) -> Drop:
    with pytest.raises(PacketError) as caught:
        SpacePacket.decode(packet)
    return caught.value.drop


# --- what is sent


def test_each_field_has_its_place() -> None:
    assert PACKET.encode() == bytes.fromhex("1923 e345 0003") + b"data"
    assert header(TM, 0, 0, 1) == bytes.fromhex("0000 c000 0000")
    assert header(TC, 0, 0, 1) == bytes.fromhex("1000 c000 0000")
    assert header(TM, 0, 0, 1, secondary_header=True) == bytes.fromhex("0800 c000 0000")
    assert header(TM, 2047, 0, 1) == bytes.fromhex("07ff c000 0000")
    assert header(TM, 0, 16383, 1) == bytes.fromhex("0000 ffff 0000")
    assert header(TM, 0, 0, 65536) == bytes.fromhex("0000 c000 ffff")


@given(PACKETS)
@EXAMPLES
def test_a_packet_comes_back(packet: SpacePacket) -> None:
    assert SpacePacket.decode(packet.encode()) == packet


@pytest.mark.parametrize("size", [1, MAX_DATA])
def test_the_shortest_and_the_longest_packet_come_back(size: int) -> None:
    packet = SpacePacket(TM, IDLE_APID, 0, bytes(size))
    assert len(packet.encode()) == HEADER_SIZE + size
    assert SpacePacket.decode(packet.encode()) == packet


@given(PACKETS)
@EXAMPLES
def test_the_header_alone_is_the_header_of_the_packet(packet: SpacePacket) -> None:
    alone = header(
        packet.packet_type, packet.apid, packet.sequence_count, len(packet.data),
        secondary_header=packet.secondary_header,
    )
    assert alone + packet.data == packet.encode()
    assert read_header(packet.encode()) == PacketHeader(
        packet.packet_type, packet.apid, packet.sequence_count, packet.secondary_header
    )


@given(PACKETS)
@EXAMPLES
def test_an_independent_library_reads_and_writes_the_same(packet: SpacePacket) -> None:
    read = independent.SpacePacketHeader.unpack(packet.encode())
    assert (read.ccsds_version, read.packet_type, read.sec_header_flag) == (
        0, packet.packet_type, packet.secondary_header
    )
    assert read.seq_flags is independent.SequenceFlags.UNSEGMENTED
    assert (read.apid, read.seq_count) == (packet.apid, packet.sequence_count)
    assert read.packet_len == len(packet.encode())
    written = independent.SpacePacketHeader(
        independent.PacketType(packet.packet_type), packet.apid, packet.sequence_count,
        len(packet.data) - 1, packet.secondary_header,
    )
    assert SpacePacket.decode(bytes(written.pack()) + packet.data) == packet


@pytest.mark.parametrize(
    "packet",
    [
        SpacePacket(TM, -1, 0, b"x"),
        SpacePacket(TM, 2048, 0, b"x"),
        SpacePacket(TM, 0, -1, b"x"),
        SpacePacket(TM, 0, 16384, b"x"),
        SpacePacket(TM, 0, 0, b""),
        SpacePacket(TM, 0, 0, bytes(MAX_DATA + 1)),
    ],
    ids=["APID below", "APID above", "count below", "count above", "no data", "too much data"],
)
def test_what_does_not_fit_is_not_sent(packet: SpacePacket) -> None:
    with pytest.raises(ValueError):
        packet.encode()


# --- what arrives


@pytest.mark.parametrize("size", range(len(PACKET.encode())))
def test_a_cut_packet_is_dropped(size: int) -> None:
    expected = Drop.PACKET_TRUNCATED if size <= HEADER_SIZE else Drop.PACKET_LENGTH
    assert dropped(PACKET.encode()[:size]) is expected


def test_the_buffer_holds_one_packet_exactly() -> None:
    assert dropped(PACKET.encode() + b"x") is Drop.PACKET_LENGTH
    assert dropped(PACKET.encode() * 2) is Drop.PACKET_LENGTH


@pytest.mark.parametrize("version", range(1, 8))
def test_another_version_is_dropped(version: int) -> None:
    packet = bytearray(PACKET.encode())
    packet[0] |= version << 5
    assert dropped(bytes(packet)) is Drop.PACKET_VERSION


@pytest.mark.parametrize("flags", [0b00, 0b01, 0b10])
def test_a_segment_is_dropped(flags: int) -> None:
    packet = bytearray(PACKET.encode())
    packet[2] = packet[2] & 0x3F | flags << 6
    assert dropped(bytes(packet)) is Drop.PACKET_SEGMENTED


@given(st.binary(max_size=40))
@EXAMPLES
def test_whatever_arrives_is_a_packet_or_dropped(data: bytes) -> None:
    try:
        packet = SpacePacket.decode(data)
    except PacketError:
        return
    assert packet.encode() == data


# --- sequence counts and APIDs


def test_the_sequence_count_wraps_after_14_bits() -> None:
    counter = SequenceCounter(16382)
    assert [counter.next() for _ in range(4)] == [16382, 16383, 0, 1]


def test_a_counter_goes_on_where_it_was_saved() -> None:
    counter = SequenceCounter()
    assert [counter.next(), counter.next()] == [0, 1]
    assert counter.value == 2
    assert SequenceCounter(counter.value).next() == 2


def test_a_message_count_wraps_after_16_bits() -> None:
    counter = SequenceCounter(65535, bits=16)
    assert [counter.next(), counter.next()] == [65535, 0]


@pytest.mark.parametrize(("value", "bits"), [(-1, 14), (16384, 14), (65536, 16)])
def test_a_count_that_never_was_is_not_loaded(value: int, bits: int) -> None:
    with pytest.raises(ValueError):
        SequenceCounter(value, bits=bits)


def test_default_apids() -> None:
    assert (Apids().files, Apids().telemetry, Apids().commands) == (100, 101, 102)
    assert Apids(0, 1, 2046).commands == 2046


@pytest.mark.parametrize("apids", [(1, 1, 2), (1, 2, 1), (2, 1, 1), (-1, 1, 2), (1, 2, 2047)])
def test_apids_are_distinct_and_not_idle(apids: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError):
        Apids(*apids)

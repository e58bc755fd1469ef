"""CFDP PDUs: every field comes back, every damage has its reason, the bytes are the standard's.

Proves round trips over all PDUs, widths and flags; byte equality with the independent PDUs of
`spacepackets`; the drop reason of every truncation, flipped bit and field out of range; and that
nothing but PacketError leaves the decoder.
"""

import struct
from binascii import crc_hqx

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacepackets.cfdp import pdu as independent
from spacepackets.cfdp.conf import PduConfig
from spacepackets.cfdp.defs import CrcFlag, LargeFileFlag, TransmissionMode
from spacepackets.cfdp.defs import Direction as PeerDirection
from spacepackets.cfdp.pdu.file_data import FileDataParams
from spacepackets.cfdp.pdu.finished import FinishedParams
from spacepackets.cfdp.tlv import CfdpTlv, EntityIdTlv, FileStoreRequestTlv
from spacepackets.cfdp.tlv.defs import FilestoreActionCode, FilestoreResponseStatusCode
from spacepackets.util import UnsignedByteField

from occulta.link.cfdp.constants import (
    Condition,
    Delivery,
    Direction,
    Directive,
    FileStatus,
    Mode,
    TlvType,
)
from occulta.link.cfdp.decode import decode
from occulta.link.cfdp.pdu import (
    Ack,
    Body,
    Eof,
    FileData,
    Finished,
    Header,
    KeepAlive,
    Metadata,
    Nak,
    Prompt,
    Tlv,
    encode,
    frame,
)
from occulta.link.cfdp.responses import responses_to
from occulta.link.drops import Drop, PacketError
from tests.cfdp_pdus import BODIES, header_for, pdus

EXAMPLES = settings(deadline=None, derandomize=True, database=None, max_examples=300)
KINDS = [type(body).__name__ + str(at) for at, body in enumerate(BODIES)]
every_body = pytest.mark.parametrize("body", BODIES, ids=KINDS)


def dropped(pdu: bytes) -> Drop | None:
    """Why a PDU is refused; None if it is not."""
    try:
        decode(pdu)
    except PacketError as error:
        return error.drop
    return None


def with_field(body: Body, field: bytes, **fields: object) -> bytes:
    """A PDU with the header of `body` and another data field."""
    return frame(header_for(body, **fields), field, file_data=isinstance(body, FileData))


# --- there and back


@EXAMPLES
@given(pdus())
def test_every_field_comes_back(pdu: tuple[Header, Body]) -> None:
    header, body = pdu
    octets = encode(header, body)
    assert decode(octets) == (header, body)
    assert len(octets) == header.size + int.from_bytes(octets[1:3], "big")
    assert (crc_hqx(octets, 0xFFFF) == 0) >= header.crc


@pytest.mark.parametrize("entity", range(1, 9))
@pytest.mark.parametrize("sequence", range(1, 9))
def test_every_width_with_its_largest_numbers(entity: int, sequence: int) -> None:
    header = Header(
        256**entity - 1, 256**sequence - 1, 256**entity - 2, Direction.TO_RECEIVER,
        Mode.UNACKNOWLEDGED, entity_width=entity, sequence_width=sequence,
    )
    octets = encode(header, FileData(7, b"x"))
    assert len(octets) == 4 + 2 * entity + sequence + 5
    assert decode(octets) == (header, FileData(7, b"x"))


def test_no_size_and_a_size_of_nothing_are_written_alike() -> None:
    """5.2.5: a size of 0 stands for an unbounded file too; the decoder calls both unknown."""
    nothing, unknown = Metadata(0, "a", "b"), Metadata(None, "a", "b")
    octets = encode(header_for(nothing), nothing)
    assert octets == encode(header_for(unknown), unknown)
    assert decode(octets)[1] == unknown


@pytest.mark.parametrize(("body", "fields"), [
    (KeepAlive(1 << 32), {}),
    (KeepAlive(1 << 64), {"large": True}),
    (KeepAlive(-1), {}),
    (Nak(0, 1 << 32, ()), {}),
    (Nak(0, 9, ((0, 1 << 64),)), {"large": True}),
    (FileData(1 << 32, b""), {}),
    (FileData(0, bytes(0xFFFF - 3)), {}),
    (FileData(0, bytes(0xFFFF - 5)), {"crc": True}),
    (Eof(Condition.NO_ERROR, 1 << 32, 0), {}),
    (Eof(Condition.INACTIVITY, 0, 0, fault_entity=1 << 16), {}),
    (Metadata(1, "é" * 128, ""), {}),
    (Finished(Condition.NO_ERROR, Delivery.COMPLETE, FileStatus.RETAINED, (bytes(256),)), {}),
    (KeepAlive(1), {"source": 1 << 16}),
    (KeepAlive(1), {"sequence": 1 << 32}),
    (KeepAlive(1), {"destination": 1 << 8, "entity_width": 1}),
])
def test_what_does_not_fit_is_misuse(body: Body, fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="field"):
        encode(header_for(body, **fields), body)


def test_the_longest_file_data() -> None:
    body = FileData(0, bytes(0xFFFF - 4))
    assert decode(encode(header_for(body), body))[1] == body


# --- the same octets as an independent implementation


def peer_conf(header: Header) -> PduConfig:
    width = header.entity_width
    return PduConfig(
        UnsignedByteField(header.source, width), UnsignedByteField(header.destination, width),
        UnsignedByteField(header.sequence, header.sequence_width), TransmissionMode(header.mode),
        LargeFileFlag(header.large), CrcFlag(header.crc), PeerDirection(header.direction),
    )


def peer_pdu(header: Header, body: Body) -> bytes:
    """The PDU as `spacepackets` builds it."""
    conf = peer_conf(header)
    match body:
        case Metadata():
            params = independent.MetadataParams(
                body.closure, body.checksum_type, body.size or 0,  # type: ignore[arg-type]
                body.source_name, body.destination_name,
            )
            options = [CfdpTlv(kind, value) for kind, value in body.options]
            made = independent.MetadataPdu(conf, params, options)  # type: ignore[arg-type]
        case Eof():
            made = independent.EofPdu(
                conf, body.checksum, body.size, fault_tlv(header, body.fault_entity),
                body.condition,  # type: ignore[arg-type]
            )
        case Finished():
            made = independent.FinishedPdu(conf, FinishedParams(
                body.condition, body.delivery, body.file_status, [],  # type: ignore[arg-type]
                fault_tlv(header, body.fault_entity),
            ))
        case Ack():
            made = independent.AckPdu(conf, body.directive, body.condition, body.status)  # type: ignore[arg-type]
        case Nak():
            made = independent.NakPdu(conf, body.start, body.end, list(body.requests))
        case Prompt():
            made = independent.PromptPdu(conf, body.response)  # type: ignore[arg-type]
        case KeepAlive():
            made = independent.KeepAlivePdu(conf, body.progress)
        case FileData():
            made = independent.FileDataPdu(conf, FileDataParams(body.data, body.offset))
    return bytes(made.pack())


def fault_tlv(header: Header, entity: int | None) -> EntityIdTlv | None:
    return None if entity is None else EntityIdTlv(entity.to_bytes(header.entity_width, "big"))


def peer_can_say(pdu: tuple[Header, Body]) -> bool:
    """It knows four widths, TLV types of the standard, and faults only beside an error."""
    header, body = pdu
    if not {header.entity_width, header.sequence_width} <= {1, 2, 4, 8}:
        return False
    if isinstance(body, Metadata):
        return all(kind in (0, 1, 2, 4, 5, 6) for kind, _ in body.options)
    if isinstance(body, Finished):
        no_fault = body.condition in (Condition.NO_ERROR, Condition.UNSUPPORTED_CHECKSUM)
        return not body.responses and not (no_fault and body.fault_entity is not None)
    return True


@EXAMPLES
@given(pdus().filter(peer_can_say))
def test_octets_are_those_of_spacepackets(pdu: tuple[Header, Body]) -> None:
    assert encode(*pdu).hex() == peer_pdu(*pdu).hex()


@pytest.mark.parametrize("width", [1, 2, 4, 8])
@pytest.mark.parametrize("crc", [False, True])
@pytest.mark.parametrize("large", [False, True])
@every_body
def test_octets_of_each_kind(body: Body, large: bool, crc: bool, width: int) -> None:
    if isinstance(body, Finished) and body.responses:
        body = Finished(body.condition, body.delivery, body.file_status, (), body.fault_entity)
    header = header_for(body, large=large, crc=crc, entity_width=width, sequence_width=width)
    assert encode(header, body).hex() == peer_pdu(header, body).hex()


@pytest.mark.parametrize("action", FilestoreActionCode, ids=lambda action: action.name)
def test_filestore_requests_are_answered_in_terms_of_spacepackets(
    action: FilestoreActionCode,
) -> None:
    """Its reader finds "not performed" for the same names; two names give the same octets too."""
    request = FileStoreRequestTlv(action, "old", "new")
    value, = responses_to([Tlv(TlvType.FILESTORE_REQUEST, bytes(request.value))])
    assert value[0] == action << 4 | FilestoreResponseStatusCode.NOT_PERFORMED
    if action.name.endswith("SNP"):
        body = Finished(Condition.NO_ERROR, Delivery.COMPLETE, FileStatus.RETAINED, (value,))
        header = header_for(body, crc=True)
        theirs = independent.FinishedPdu.unpack(encode(header, body))
        answer, = theirs.file_store_responses
        assert (answer.first_file_name, answer.second_file_name) == ("old", "new")
        assert bytes(answer.value) == value
    else:
        assert value == bytes([value[0]]) + b"\x03old" + b"\0" + b"\0"


# --- every damage has its reason

# How much of a data field is a whole one: optional parameters come and go as a whole.
WHOLE: dict[str, set[int]] = {
    "Metadata0": {30, 39, 41}, "Metadata1": {8}, "Eof2": {10}, "Eof3": {10, 14},
    "Finished4": {2}, "Finished5": {2, 8, 10, 14}, "Ack6": {3}, "Ack7": {3},
    "Nak8": {9, 17, 25, 33}, "Nak9": {9}, "Prompt10": {2}, "Prompt11": {2}, "KeepAlive12": {5},
    "FileData13": {4}, "FileData14": set(range(4, 261)),
}


@every_body
@pytest.mark.parametrize("crc", [False, True])
def test_cut_anywhere(body: Body, crc: bool) -> None:
    """Within the header it is truncated; behind it the length field tells."""
    octets = encode(header_for(body, crc=crc), body)
    size = header_for(body).size
    assert {dropped(octets[:end]) for end in range(size)} == {Drop.PDU_TRUNCATED}
    assert {dropped(octets[:end]) for end in range(size, len(octets))} == {Drop.PDU_LENGTH}
    assert dropped(octets + b"\0") is Drop.PDU_LENGTH
    assert dropped(octets) is None


@pytest.mark.parametrize("crc", [False, True])
@pytest.mark.parametrize("at", range(len(BODIES)), ids=KINDS)
def test_a_data_field_cut_anywhere(at: int, crc: bool) -> None:
    """The length field, and the CRC, agree with what is left."""
    field = BODIES[at].field(header_for(BODIES[at]))
    whole = {
        end for end in range(len(field) + 1)
        if dropped(with_field(BODIES[at], field[:end], crc=crc)) is None
    }
    assert whole == WHOLE[KINDS[at]]
    assert max(whole) == len(field)
    for end in set(range(len(field))) - whole:
        assert dropped(with_field(BODIES[at], field[:end], crc=crc)) is Drop.PDU_TRUNCATED


@pytest.mark.parametrize(("at", "drop"), [
    (0, Drop.PDU_TRUNCATED), (2, Drop.PDU_TRUNCATED), (4, Drop.PDU_TRUNCATED),
    (6, Drop.PDU_LENGTH), (8, Drop.PDU_TRUNCATED), (10, Drop.PDU_LENGTH), (12, Drop.PDU_LENGTH),
])
def test_octets_behind_the_last_field(at: int, drop: Drop) -> None:
    body = BODIES[at]
    assert dropped(with_field(body, body.field(header_for(body)) + b"\0")) is drop


@pytest.mark.parametrize("version", [0, 2, 3, 4, 5, 6, 7])
def test_version(version: int) -> None:
    octets = bytearray(encode(header_for(BODIES[2]), BODIES[2]))
    octets[0] = version << 5 | octets[0] & 31
    assert dropped(bytes(octets)) is Drop.PDU_VERSION


@pytest.mark.parametrize("by", [-1, 1, 256])
def test_length_field(by: int) -> None:
    octets = bytearray(encode(header_for(BODIES[14]), BODIES[14]))
    octets[1:3] = (int.from_bytes(octets[1:3], "big") + by).to_bytes(2, "big")
    assert dropped(bytes(octets)) is Drop.PDU_LENGTH


@every_body
def test_every_flipped_bit_under_a_crc(body: Body) -> None:
    """The header's own fields are judged first; the flag that says there is a CRC has no guard."""
    octets = encode(header_for(body, crc=True), body)
    for bit in range(8 * len(octets)):
        flipped = bytearray(octets)
        flipped[bit >> 3] ^= 0x80 >> (bit & 7)
        wanted = {Drop.PDU_CRC}
        if bit < 3:
            wanted = {Drop.PDU_VERSION}
        elif bit == 6:
            continue
        elif 8 <= bit < 24:
            wanted = {Drop.PDU_LENGTH}
        elif bit in (25, 26, 27, 29, 30, 31):  # widths: more header than there is, or less
            wanted = {Drop.PDU_LENGTH, Drop.PDU_TRUNCATED}
        assert dropped(bytes(flipped)) in wanted, bit


@pytest.mark.parametrize("octets", [0, 1])
def test_a_data_field_too_short_for_its_crc(octets: int) -> None:
    pdu = bytearray(frame(header_for(BODIES[2], crc=False), bytes(octets)))
    pdu[0] |= 2
    assert dropped(bytes(pdu)) is Drop.PDU_CRC


@pytest.mark.parametrize("code", sorted({*range(256)} - set(Directive)))
def test_unknown_directives(code: int) -> None:
    assert dropped(with_field(BODIES[2], bytes([code]) + bytes(30))) is Drop.PDU_DIRECTIVE


@every_body
def test_pdus_against_their_direction(body: Body) -> None:
    header = header_for(body)
    other = Direction(1 - header.direction)
    wrong = Header(header.source, header.sequence, header.destination, other, header.mode)
    assert dropped(encode(wrong, body)) is Drop.PDU_DIRECTION


@pytest.mark.parametrize(("at", "field"), [
    *((2, bytes([Directive.EOF, code << 4]) + bytes(8)) for code in (12, 13)),
    *((4, bytes([Directive.FINISHED, code << 4])) for code in (12, 13)),
    *((6, bytes([Directive.ACK, 0x40, code << 4])) for code in (12, 13)),
    *((6, bytes([Directive.ACK, acked << 4, 0])) for acked in {*range(16)} - {4, 5}),
    *((3, bytes([Directive.EOF, 0xF0, *bytes(8), 6, size]) + bytes(size)) for size in (0, 9, 255)),
    *((5, bytes([Directive.FINISHED, 0x70, 6, size]) + bytes(size)) for size in (0, 9, 255)),
    (8, struct.pack(">BII", Directive.NAK, 1, 0)),
    (8, struct.pack(">BIIII", Directive.NAK, 0, 9, 5, 4)),
    (8, struct.pack(">B6I", Directive.NAK, 0, 9, 0, 1, 0xFFFF_FFFF, 0)),
    (0, bytes([Directive.METADATA, 0]) + bytes(4) + b"\x01\xff\x00"),
    (0, bytes([Directive.METADATA, 0]) + bytes(4) + b"\x01a\x02\xc3\x28"),
    (0, bytes([Directive.METADATA, 0]) + bytes(4) + b"\x00\x03\xed\xa0\x80"),
])
def test_fields_out_of_range(at: int, field: bytes) -> None:
    assert dropped(with_field(BODIES[at], field)) is Drop.PDU_FIELD


def test_spare_bits_and_unknown_parameters_are_ignored() -> None:
    """5.1, 5.4: what a later version may use does not make a PDU useless."""
    eof = with_field(BODIES[2], struct.pack(">BBII", Directive.EOF, 0x4F, 5, 6) + b"\xee\x01z")
    assert decode(eof)[1] == Eof(Condition.FILESTORE_REJECTION, 5, 6)
    finished = with_field(BODIES[4], bytes([Directive.FINISHED, 0x0A]) + b"\xee\x00\x01\x01q")
    assert decode(finished)[1] == Finished(
        Condition.NO_ERROR, Delivery.COMPLETE, FileStatus.RETAINED, (b"q",)
    )
    prompt = with_field(BODIES[10], bytes([Directive.PROMPT, 0x7F]))
    assert decode(prompt)[1] == BODIES[10]


@pytest.mark.parametrize("size", [0, 1, 63])
def test_segment_metadata_is_skipped(size: int) -> None:
    """5.3: the record continuation state and up to 63 octets stand before the offset."""
    body = FileData(9, b"data")
    octets = bytearray(with_field(body, bytes([0xC0 | size]) + bytes(size) + b"\0\0\0\x09data"))
    octets[3] |= 8
    assert decode(bytes(octets))[1] == body
    assert dropped(with_metadata_flag(body, bytes([0xC0 | size]) + bytes(size + 3))) \
        is Drop.PDU_TRUNCATED


def with_metadata_flag(body: Body, field: bytes) -> bytes:
    octets = bytearray(with_field(body, field))
    octets[3] |= 8
    return bytes(octets)


@EXAMPLES
@given(st.binary(max_size=200))
def test_any_octets(octets: bytes) -> None:
    """PacketError or a PDU, and nothing else."""
    dropped(octets)


@EXAMPLES
@given(pdus(), st.data())
def test_damaged_pdus(pdu: tuple[Header, Body], data: st.DataObject) -> None:
    octets = bytearray(encode(*pdu))
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(octets)))
    dropped(bytes(octets))
    dropped(bytes(octets[:end]))

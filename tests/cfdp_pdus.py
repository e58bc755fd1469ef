"""Protocol data units of every kind, as hypothesis strategies and as a fixed list."""

from hypothesis import strategies as st

from occulta.link.cfdp.constants import (
    ChecksumType,
    Condition,
    Delivery,
    Direction,
    Directive,
    FileStatus,
    Mode,
    Response,
    TransactionStatus,
)
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
)

BODIES: list[Body] = [
    Metadata(70_000, "raw/frame.jpg", "frame.jpg", ChecksumType.CRC_32C, True,
             (Tlv(2, b"message"), Tlv(5, b""))),
    Metadata(None, "", ""),
    Eof(Condition.NO_ERROR, 0xE306_9283, 70_000),
    Eof(Condition.CANCEL_REQUEST, 1, 2, fault_entity=7),
    Finished(Condition.NO_ERROR, Delivery.COMPLETE, FileStatus.RETAINED),
    Finished(Condition.NAK_LIMIT, Delivery.INCOMPLETE, FileStatus.DISCARDED,
             (b"\x1f\0\0\0", b""), 9),
    Ack(Directive.EOF, Condition.NO_ERROR, TransactionStatus.ACTIVE),
    Ack(Directive.FINISHED, Condition.INACTIVITY, TransactionStatus.TERMINATED),
    Nak(0, 70_000, ((0, 0), (5, 9), (1024, 70_000))),
    Nak(0, 0, ()),
    Prompt(Response.NAK),
    Prompt(Response.KEEP_ALIVE),
    KeepAlive(0xFFFF_FFFE),
    FileData(0, b""),
    FileData(1024, bytes(range(256))),
]
"""At least one of each."""


def way_of(body: Body) -> Direction:
    """The direction in which such a PDU travels (727.0-B-5, table 5-1)."""
    if isinstance(body, Ack):
        backward = body.directive is Directive.EOF
    else:
        backward = isinstance(body, Finished | Nak | KeepAlive)
    return Direction.TO_SENDER if backward else Direction.TO_RECEIVER


def header_for(body: Body, **fields: object) -> Header:
    """A header that fits the body; the rest as given."""
    given = {"source": 1, "sequence": 2, "destination": 3, "mode": Mode.ACKNOWLEDGED}
    return Header(direction=way_of(body), **{**given, **fields})  # type: ignore[arg-type]


def number(width: int) -> st.SearchStrategy[int]:
    """A number that fits `width` octets."""
    return st.integers(0, (1 << 8 * width) - 1)


@st.composite
def headers(draw: st.DrawFn, body: Body, large: bool) -> Header:
    """Any header that can stand before the body."""
    entity, sequence = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    least = (getattr(body, "fault_entity", None) or 0).bit_length()
    entity = max(entity, -(-least // 8))
    return Header(
        draw(number(entity)), draw(number(sequence)), draw(number(entity)), way_of(body),
        draw(st.sampled_from(Mode)), large, draw(st.booleans()), entity, sequence,
    )


names = st.text(max_size=80).filter(lambda name: len(name.encode()) <= 255)
tlvs = st.builds(Tlv, st.integers(0, 255), st.binary(max_size=255))
conditions = st.sampled_from(Condition)
entities = st.none() | number(8)


def bodies(large: bool) -> st.SearchStrategy[Body]:
    """Any body; a size of 0 in Metadata means "unknown" and is written as None."""
    offsets = number(8 if large else 4)
    ranges = st.tuples(offsets, offsets).map(lambda pair: (min(pair), max(pair)))
    return st.one_of(
        st.builds(
            Metadata, st.none() | offsets.filter(bool), names, names, st.integers(0, 15),
            st.booleans(), st.lists(tlvs, max_size=4).map(tuple),
        ),
        st.builds(Eof, conditions, number(4), offsets, entities),
        st.builds(
            Finished, conditions, st.sampled_from(Delivery), st.sampled_from(FileStatus),
            st.lists(st.binary(max_size=255), max_size=3).map(tuple), entities,
        ),
        st.builds(
            Ack, st.sampled_from([Directive.EOF, Directive.FINISHED]), conditions,
            st.sampled_from(TransactionStatus),
        ),
        st.builds(
            lambda scope, requests: Nak(*scope, tuple(requests)), ranges,
            st.lists(ranges, max_size=60),
        ),
        st.builds(Prompt, st.sampled_from(Response)),
        st.builds(KeepAlive, offsets),
        st.builds(FileData, offsets, st.binary(max_size=1500)),
    )


@st.composite
def pdus(draw: st.DrawFn) -> tuple[Header, Body]:
    """Header and body of any PDU that can be encoded."""
    large = draw(st.booleans())
    body = draw(bodies(large))
    return draw(headers(body, large)), body

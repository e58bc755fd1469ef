"""What a hostile or broken peer may send to a CFDP entity: any PDU, about few things.

Numbers are small, so that forged PDUs meet the same transactions and the same octets again and
again. Everything is drawn from the `rng` given.
"""

import random

from occulta.link.cfdp.constants import (
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
    encode,
    frame,
)
from tests.cfdp_pdus import way_of

NAMES = ("a", "b/c", "", "../up", "/root", "a\\b", "é" * 100, "nul\0")
OPTIONS = (Tlv(0, b"\x20\x01a\x01b"), Tlv(0, b""), Tlv(0, b"\xf0"), Tlv(2, b"hello"), Tlv(9, b"?"))
CONDITIONS = (Condition.NO_ERROR, Condition.NO_ERROR, *Condition)


def metadata(rng: random.Random, size: int) -> Metadata:
    return Metadata(
        rng.choice([None, rng.randint(1, size), size]), "a", rng.choice(NAMES),
        rng.choice([0, 2, 3, 15, rng.randrange(16)]), rng.random() < 0.5,
        tuple(rng.choices(OPTIONS, k=rng.choice([0, 0, 1, 3]))),
    )


def nak(rng: random.Random, size: int) -> Nak:
    pairs = [sorted((rng.randint(0, size), rng.randint(0, size))) for _ in range(rng.randint(0, 4))]
    return Nak(0, size, ((0, 0), *((a, b) for a, b in pairs))[rng.randrange(2):])


def finished(rng: random.Random) -> Finished:
    return Finished(
        rng.choice(CONDITIONS), rng.choice(list(Delivery)), rng.choice(list(FileStatus)),
        (b"\x1f\0\0\0",) * rng.choice([0, 0, 2]), rng.choice([None, 1]),
    )


def any_body(rng: random.Random, size: int) -> Body:
    """About a file of some `size` octets."""
    offset = rng.randint(0, size)
    kind = rng.randrange(12)
    if kind == 0:
        return metadata(rng, size)
    if kind == 1:
        checksum = rng.choice([0, rng.getrandbits(32)])
        return Eof(rng.choice(CONDITIONS), checksum, offset, rng.choice([None, 1]))
    if kind == 2:
        return finished(rng)
    if kind == 3:
        acked = rng.choice([Directive.EOF, Directive.FINISHED])
        return Ack(acked, rng.choice(CONDITIONS), rng.choice(list(TransactionStatus)))
    if kind == 4:
        return nak(rng, size)
    if kind == 5:
        return Prompt(rng.choice(list(Response)))
    if kind == 6:
        return KeepAlive(offset)
    return FileData(offset, bytes(rng.choice([0, 1, 1, 2, 40])))


def any_pdu(rng: random.Random, size: int = 300, sequences: int = 5) -> bytes:
    """A valid PDU between entities 1, 2 and a stranger, of one of few transactions."""
    body = any_body(rng, size)
    source, destination = rng.choice([(1, 2), (1, 2), (2, 1), (2, 1), (1, 1), (1, 9), (9, 2)])
    widths = rng.choice([(2, 4), (2, 4), (2, 4), (1, 3), (8, 8)])
    header = Header(
        source, rng.randint(0, sequences), destination,
        way_of(body) if rng.random() < 0.95 else rng.choice(list(Direction)),
        rng.choice([Mode.ACKNOWLEDGED, Mode.ACKNOWLEDGED, Mode.UNACKNOWLEDGED]),
        rng.random() < 0.05, rng.random() < 0.1, *widths,
    )
    if rng.random() < 0.02:  # a parameter longer than any that can be encoded
        return frame(header, body.field(header) + b"\x06\xff" + b"\xff" * 255)
    return encode(header, body)


def damaged(rng: random.Random, pdu: bytes) -> bytes:
    """A PDU after a bad way: other octets, cut, prolonged."""
    octets = bytearray(pdu)
    for _ in range(rng.choice([0, 1, 1, 2, 5])):
        octets[rng.randrange(len(octets))] = rng.choice([0, 0xFF, rng.randrange(256)])
    if rng.random() < 0.2:
        del octets[rng.randrange(len(octets)) :]
    if rng.random() < 0.1:
        octets += rng.randbytes(rng.randrange(1, 20))
    if rng.random() < 0.3 and len(octets) > 4:  # the length field agrees again
        size = 4 + 2 * ((octets[3] >> 4 & 7) + 1) + (octets[3] & 7) + 1
        octets[1:3] = max(0, len(octets) - size).to_bytes(2, "big")
    return bytes(octets)

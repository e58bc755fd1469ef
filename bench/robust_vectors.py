"""Robust hiding: what the receiver makes of random soft bits."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from bench.noise import private_bytes
from bench.report import Figure, Result, Table
from bench.robust_mark import KEY
from occulta.codec.fec.message import TurboCode
from occulta.errors import OccultaError
from occulta.schemes.robust import extract, message
from occulta.schemes.robust.picture import Floats

BITS = 1024
VECTORS = 100_000
THOROUGH = 2_000
"""Of them by everything that the receiver tries with one vector."""
MESSAGES = 100
"""Vectors that do carry one: a receiver that takes nothing would miss them."""
ASKED = 4
"""One decision in so many is shown to the seal whatever its CRC."""
_PIECE = 1_000
_STRENGTHS = (0.25, 1.0, 5.0, 25.0)
"""Standard deviations, in nats."""
_NOISE = 0.8
"""Standard deviation in a message: one sign in ten is wrong."""


class Count(NamedTuple):
    """Of one campaign."""

    vectors: int
    decisions: int
    whole: int
    """Decisions with the right CRC."""
    taken: int
    """Vectors with such a decision that the seal opened: the receiver gives a message."""
    asked: int
    """Decisions that the seal was asked about, whatever their CRC."""
    opened: int
    """Of these, it opened."""


def measure(result: Result, say: Callable[[str], None]) -> None:
    """Noise by max-log, some of it by everything that the receiver tries, and messages in noise."""
    say(f"robust, {VECTORS} random LLR vectors")
    noise = counted(by_maxlog(random_vectors(BITS, VECTORS), BITS), ASKED)
    say(f"robust, {THOROUGH} of them thoroughly")
    tried = counted(by_receiver(random_vectors(BITS, THOROUGH), BITS), 1)
    sent = counted(by_receiver(message_vectors(BITS, MESSAGES), BITS), 1)
    rows = [
        _row("noise, max-log", noise), _row("noise, all that the receiver tries", tried),
        _row("messages in noise, all that the receiver tries", sent),
    ]
    result.tables.append(Table(
        f"Soft bits of {BITS} bits at the receiver",
        ["vectors", "count", "decisions", "CRC right", "taken for a message",
         "seal asked whatever the CRC", "it opened"], rows))
    both = noise.asked + tried.asked
    result.figures += [
        Figure(f"messages taken from {noise.vectors} random LLR vectors", noise.taken, 0, digits=0),
        Figure(f"of {tried.vectors} of them by all that the receiver tries", tried.taken, 0,
               digits=0),
        Figure(f"of {both} of the decisions, opened by the seal alone",
               noise.opened + tried.opened, 0, digits=0),
        Figure(f"messages read from {sent.vectors} vectors with one in noise", sent.taken,
               MESSAGES, True, digits=0),
    ]


def _row(name: str, count: Count) -> list[str]:
    return [name, *map(str, count)]


def random_vectors(bits: int, count: int, seed: int = 1) -> Iterator[Floats]:
    """LLRs in nats that carry nothing.

    In turn normal, with none of some coded bits, all alike but for the sign, and heavy-tailed.
    """
    rng, size = np.random.default_rng(seed), TurboCode(bits).coded_size
    for at in range(count):
        llrs = rng.normal(0.0, rng.choice(_STRENGTHS), size)
        if at % 4 == 1:
            llrs[rng.random(size) < rng.random()] = 0.0
        elif at % 4 == 2:
            llrs = np.copysign(1.0, llrs)
        elif at % 4 == 3:
            llrs = llrs**3
        yield llrs


def message_vectors(bits: int, count: int, seed: int = 1) -> Iterator[Floats]:
    """LLRs in nats of sealed messages, sent as +1 and -1 in normal noise."""
    rng, code = np.random.default_rng(seed), TurboCode(bits)
    private = private_bytes(message.room(bits, signed=False))
    for _ in range(count):
        coded = code.encode(message.to_bits(message.seal(private, bits, KEY.public)))
        sent = 1.0 - 2.0 * np.frombuffer(coded, np.uint8)
        yield 2.0 * (sent + rng.normal(0.0, _NOISE, sent.size)) / _NOISE**2


def by_maxlog(vectors: Iterator[Floats], bits: int) -> Iterator[list[bytes]]:
    """The receiver's first decision on each, the same bit for bit, many at a time."""
    code = TurboCode(bits)
    if code.segmentation.blocks != 1 or code.filler:
        raise ValueError(f"{bits} bits are not one whole block")
    piece: list[bytes] = []
    for llrs in vectors:
        piece.append(extract.as_llrs(llrs).tobytes())
        if len(piece) == _PIECE:
            yield from _decided(code, piece)
            piece = []
    yield from _decided(code, piece)


def _decided(code: TurboCode, piece: list[bytes]) -> Iterator[list[bytes]]:
    found = code.block.decode_many(array("h", b"".join(piece)), len(piece))
    yield from ([each.bits] for each in found)


def by_receiver(vectors: Iterator[Floats], bits: int) -> Iterator[list[bytes]]:
    """Everything that the receiver decides on each: max-log, then log-MAP at several strengths."""
    code = TurboCode(bits)
    for llrs in vectors:
        yield [each.bits for each in extract._decided(code, llrs, True)]


def counted(decided: Iterator[list[bytes]], asked: int) -> Count:
    """What the receiver takes: by its CRC, then its seal; each vector once.

    The decisions on one vector in `asked` are shown to the seal whatever their CRC.
    """
    vectors = decisions = whole = taken = shown = opened = 0
    for each in decided:
        right = [message.is_whole(message.from_bits(bits)) for bits in each]
        whole += sum(right)
        taken += any(ok and is_opened(bits) for ok, bits in zip(right, each, strict=True))
        if vectors % asked == 0:
            shown += len(each)
            opened += sum(map(is_opened, each))
        vectors += 1
        decisions += len(each)
    return Count(vectors, decisions, whole, taken, shown, opened)


def is_opened(bits: bytes) -> bool:
    """Whether the seal opens, whatever the CRC says."""
    try:
        message.open_message(message.from_bits(bits), KEY)
    except OccultaError:
        return False
    return True

"""Turbo-coded messages of any length.

Proves that a message comes back whatever its length, that its blocks share damage, and that filler
is known to the decoder.
"""

from __future__ import annotations

import random
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.codec.fec.message import TurboCode, segment
from occulta.codec.fec.qpp import SIZES
from occulta.codec.fec.turbo import Rate, Turbo
from tests.support import by_kernel
from tests.test_fec_turbo import ALGORITHMS, is_fast, message, received

pytestmark = pytest.mark.arm64


@pytest.mark.parametrize(("bits", "blocks", "size"), [
    (1, 1, 40), (40, 1, 40), (41, 1, 48), (6144, 1, 6144), (6145, 2, 3136), (12288, 2, 6144),
    (12289, 3, 4160), (100_000, 17, 5888),
])
def test_segments(bits: int, blocks: int, size: int) -> None:
    assert segment(bits) == (blocks, size)


@given(st.integers(1, 1 << 22))
def test_no_fewer_blocks_and_no_smaller_ones_hold_it(bits: int) -> None:
    blocks, size = segment(bits)
    assert blocks * size >= bits > (blocks - 1) * 6144
    smaller = [other for other in SIZES if other < size]
    assert not smaller or blocks * smaller[-1] < bits


@given(st.integers(1, by_kernel(20_000, 90)), st.sampled_from(Rate), st.integers(0, 1 << 30))
@settings(deadline=None, max_examples=by_kernel(40, 6))
def test_round_trip(bits: int, rate: Rate, seed: int) -> None:
    code, sent = TurboCode(bits, rate), message(bits, seed)
    coded = code.encode(sent)
    blocks, size = code.segmentation
    assert len(coded) == code.coded_size == blocks * Turbo(size, rate).coded_size
    assert code.decode(received(coded, 0.02, seed=seed)).bits == sent


@pytest.mark.parametrize("rate", Rate)
def test_blocks_are_those_of_the_block_code(rate: Rate) -> None:
    code, sent = TurboCode(6150, rate), message(6150)
    assert code.segmentation == (2, 3136) and code.filler == 122
    coded, padded = code.encode(sent), bytes(122) + sent
    for block in range(2):
        assert coded[block::2] == Turbo(3136, rate).encode(padded[block::2])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_all_algorithms_decode_messages(algorithm: str) -> None:
    bits = by_kernel(6150, 50)
    code, sent = TurboCode(bits), message(bits)
    decoded = code.decode(received(code.encode(sent), 0.05), algorithm)
    assert decoded.bits == sent and decoded.agreed and decoded.iterations <= 8


@pytest.mark.parametrize("rate", Rate)
def test_filler_is_known_whatever_was_received(rate: Rate) -> None:
    code, sent = TurboCode(45, rate), message(45)
    assert code.filler == 3
    llrs = received(code.encode(sent), 0)
    for place in range(3):
        llrs[place * rate.value] = -32768
    assert code.decode(llrs).bits == sent


@is_fast
@pytest.mark.parametrize("at", [0, 1000, 200_000])
def test_a_run_of_damage_that_a_block_dies_of_is_shared_by_all(at: int) -> None:
    code, sent = TurboCode(100_000), message(100_000)
    gone = array("h", bytes(2 * (code.block.coded_size // 4)))
    llrs = received(code.encode(sent), 0.04)
    llrs[at : at + len(gone)] = gone
    assert code.decode(llrs).bits == sent

    block = sent[: code.block.k]
    llrs = received(code.block.encode(block), 0.04)
    llrs[1000 : 1000 + len(gone)] = gone
    assert code.block.decode(llrs).bits != block


def test_agreement_speaks_for_all_blocks() -> None:
    bits = by_kernel(2, 1) * 6144
    code = TurboCode(bits)
    llrs = received(code.encode(message(bits)), 0)
    draw = random.Random(1)
    blocks = code.segmentation.blocks
    llrs[::blocks] = array("h", [draw.choice((-16, 16)) for _ in llrs[::blocks]])
    decoded = code.decode(llrs, iterations=by_kernel(3, 1))
    assert not decoded.agreed and decoded.iterations == by_kernel(3, 1)


@pytest.mark.parametrize("bits", [0, -1])
def test_a_message_has_a_bit(bits: int) -> None:
    for make in (segment, TurboCode):
        with pytest.raises(ValueError, match=f"a message of {bits} bits"):
            make(bits)


def test_misuse() -> None:
    code = TurboCode(45)
    with pytest.raises(ValueError, match="48 bits for a message of 45"):
        code.encode(bytes(48))
    with pytest.raises(ValueError, match="a byte of 0 or 1"):
        code.encode(b"\2" * 45)
    with pytest.raises(ValueError, match="needed: 156 LLRs"):
        code.decode(array("h", bytes(2 * 155)))
    with pytest.raises(ValueError, match="unknown algorithm"):
        code.decode(array("h", bytes(2 * 156)), "none")
    with pytest.raises(ValueError, match="0 iterations"):
        code.decode(array("h", bytes(2 * 156)), iterations=0)


def test_a_message_decoded_again_is_one_whose_blocks_were() -> None:
    code = TurboCode(by_kernel(700, 60))
    rng = random.Random(4)
    sent = code.encode(bytes(rng.choices((0, 1), k=code.bits)))
    llrs = array("h", ((-16 if bit ^ (rng.random() < 0.15) else 16) for bit in sent))
    once, twice = code.decode(llrs), code.decode(llrs, again=True)
    assert twice.bits == (once if once.agreed else code.decode(llrs, "logmap")).bits

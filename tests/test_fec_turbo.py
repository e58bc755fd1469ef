"""The turbo code of one block: its encoder against the definition, its decoders against each other.

Proves that the encoder is the standard's, that both kernels and the batch decide the same bits,
that the decoders correct what they should, and that no input overflows.
"""

from __future__ import annotations

import hashlib
import math
import random
from array import array
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.codec.fec import qpp, turbo
from occulta.codec.fec.qpp import SIZES, interleaver
from occulta.codec.fec.turbo import STRONGEST, Rate, Turbo
from occulta.codec.kernels import is_compiled, load_kernel
from tests.support import by_kernel

pytestmark = pytest.mark.arm64

KERNEL = "occulta.codec.fec.turbo_kernel"
BATCH = "occulta.codec.fec.batch_kernel"
ALGORITHMS = ("maxlog", "logmap", "sova")
is_fast = pytest.mark.skipif(not is_compiled(load_kernel(BATCH)), reason="needs the fast kernel")
sizes = st.sampled_from([size for size in SIZES if size <= by_kernel(1024, 96)])
rates = st.sampled_from(Rate)


def message(k: int, seed: int = 1) -> bytes:
    return bytes(random.Random(seed).choices((0, 1), k=k))


def received(coded: bytes, flips: float, llr: int = 16, seed: int = 1) -> array:
    """LLRs of a binary symmetric channel."""
    draw = random.Random(seed).random
    return array("h", [llr if (bit == 1) == (draw() < flips) else -llr for bit in coded])


def divided(bits: list[int]) -> tuple[list[int], list[int]]:
    """(parity, tail) of the encoder with transfer function (1 + D + D^3) / (1 + D^2 + D^3)."""
    quotient, parity, tail = [0, 0, 0], [], []
    for i in range(len(bits) + 3):
        feedback = quotient[-2] ^ quotient[-3]
        entering = bits[i] if i < len(bits) else feedback
        quotient.append(entering ^ feedback)
        out = quotient[-1] ^ quotient[-2] ^ quotient[-4]
        if i < len(bits):
            parity.append(out)
        else:
            tail += [entering, out]
    assert quotient[-3:] == [0, 0, 0]
    return parity, tail


def coded_slowly(bits: bytes, rate: Rate) -> bytes:
    k = len(bits)
    first, tail = divided(list(bits))
    second, other_tail = divided([bits[at] for at in interleaver(k)])
    body = []
    for i, bit in enumerate(bits):
        parities = [first[i], second[i]]
        body += [bit, *(parities if rate is Rate.THIRD else parities[i % 2 : i % 2 + 1])]
    return bytes(body + tail + other_tail)


# --- the table and the encoder


@pytest.mark.parametrize("k", SIZES)
def test_every_interleaver_is_a_permutation(k: int) -> None:
    order = interleaver(k)
    assert sorted(order) == list(range(k))
    f1, f2 = qpp._TABLE[k]
    assert f1 % 2 == 1 and f2 % 2 == 0
    assert order[0] == 0 and order[1] == (f1 + f2) % k


def test_the_table_of_the_standard() -> None:
    assert len(SIZES) == 188
    steps = [*range(40, 512, 8), *range(512, 1024, 16), *range(1024, 2048, 32)]
    assert list(SIZES) == [*steps, *range(2048, 6145, 64)]
    assert qpp._TABLE[40] == (3, 10) and qpp._TABLE[6144] == (263, 480)
    assert qpp._TABLE[1024] == (31, 64)


@given(sizes, rates, st.integers(0, 1 << 30))
@settings(deadline=None, max_examples=30)
def test_the_encoder_is_the_one_defined(k: int, rate: Rate, seed: int) -> None:
    code, bits = Turbo(k, rate), message(k, seed)
    coded = code.encode(bits)
    assert coded == coded_slowly(bits, rate)
    assert len(coded) == code.coded_size == {Rate.THIRD: 3, Rate.HALF: 2}[rate] * k + 12


@pytest.mark.parametrize("kernel", ["plain", None])
def test_known_answers(kernel: str | None) -> None:
    coded = b"".join(
        Turbo(k, rate, kernel).encode(message(k)) for k in (40, 512, 6144) for rate in Rate
    )
    assert hashlib.sha256(coded).hexdigest() == GOLDEN


GOLDEN = "1fe037d072fe7c315d3494524b06f4f90778b5021769e97820a8d2c7b2276f38"


# --- decoders


@given(sizes, rates, st.sampled_from(ALGORITHMS), st.integers(0, 1 << 30))
@settings(deadline=None, max_examples=by_kernel(60, 8))
def test_round_trip(k: int, rate: Rate, algorithm: str, seed: int) -> None:
    code, bits = Turbo(k, rate), message(k, seed)
    assert code.decode(received(code.encode(bits), 0, 300), algorithm) == (bits, 3, True)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("rate", Rate)
def test_errors_are_corrected(rate: Rate, algorithm: str) -> None:
    k = by_kernel(1024, 128)
    code, bits = Turbo(k, rate), message(k)
    llrs = received(code.encode(bits), {Rate.THIRD: 0.10, Rate.HALF: 0.05}[rate])
    decoded = code.decode(llrs, algorithm)
    assert decoded.bits == bits and decoded.agreed and 3 <= decoded.iterations < 8


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_noise_leaves_nothing_of_is_not_agreed_upon(algorithm: str) -> None:
    k = by_kernel(512, 128)
    code = Turbo(k)
    decoded = code.decode(received(code.encode(message(k)), 0.5), algorithm, 3)
    assert not decoded.agreed and decoded.iterations == 3 and len(decoded.bits) == k


def paths(k: int) -> list[tuple[tuple[int, ...], list[int], list[int]]]:
    return [(bits, *divided(list(bits))) for bits in product((0, 1), repeat=k)]


@pytest.mark.parametrize("seed", range(6))
def test_half_an_iteration_against_every_code_word(seed: int) -> None:
    k, kernel, pick = 8, load_kernel(KERNEL), random.Random(seed)
    rows, par, tail = (array("i", [pick.randint(-60, 60) for _ in range(n)]) for n in (k, k, 12))
    weights = {
        bits: sum(llr for bit, llr in zip((*bits, *parity, *end), (*rows, *par, *tail[6:]),
                                          strict=True) if bit == 0)
        for bits, parity, end in paths(k)
    }

    def best(i: int, bit: int) -> int:
        return max(weight for bits, weight in weights.items() if bits[i] == bit)

    expected = [best(i, 0) - best(i, 1) for i in range(k)]
    given = array("i", range(k)), rows, par, tail, 6
    ext, app, stakes = (memoryview(array("i", bytes(4 * n))) for n in (k, k, 16))
    kernel.bcjr(*given, array("i"), 2, ext, app, stakes)
    assert list(app) == expected
    raw = [value - row for value, row in zip(app, rows, strict=True)]
    assert list(ext) == [value - (value >> 2) for value in raw]

    ext, soft, trust = (array("i", bytes(4 * k)) for _ in range(3))
    lead, path = array("i", bytes(32 * k)), bytearray(k + 1)
    kernel.sova(*given, ext, soft, lead, path, trust)
    likeliest = max(weights, key=lambda bits: weights[bits])
    assert tuple(int(value < 0) for value in soft) == likeliest
    assert all(abs(one) >= abs(other) for one, other in zip(soft, expected, strict=True))
    assert min(map(abs, soft)) == min(map(abs, expected))


def test_the_correction_is_that_of_two_exponentials() -> None:
    assert list(turbo._JACOBIAN) == [round(8 * math.log1p(math.exp(-d / 8))) for d in range(22)]
    assert round(8 * math.log1p(math.exp(-22 / 8))) == 0


@pytest.mark.parametrize("seed", range(6))
def test_log_map_is_near_the_true_probabilities(seed: int) -> None:
    k, pick = 8, random.Random(seed)
    rows, par, tail = (array("i", [pick.randint(-20, 20) for _ in range(n)]) for n in (k, k, 6))
    odds = [[0.0, 0.0] for _ in range(k)]
    for bits, parity, end in paths(k):
        weight = sum(llr for bit, llr in zip((*bits, *parity, *end), (*rows, *par, *tail),
                                             strict=True) if bit == 0)
        for i, bit in enumerate(bits):
            odds[i][bit] += math.exp(weight / 8)
    ext, app, stakes = (memoryview(array("i", bytes(4 * n))) for n in (k, k, 16))
    load_kernel(KERNEL).bcjr(
        array("i", range(k)), rows, par, tail, 0, turbo._JACOBIAN, 0, ext, app, stakes
    )
    assert [8 * math.log(zero / one) for zero, one in odds] == pytest.approx(list(app), abs=4)
    assert list(ext) == [value - row for value, row in zip(app, rows, strict=True)]


# --- the batch, the kernels


@given(sizes, rates, st.integers(1, by_kernel(35, 3)), st.integers(0, 1 << 30),
       st.sampled_from([0.05, 0.1, 0.14, 0.5]), st.integers(1, 9))
@settings(deadline=None, max_examples=by_kernel(60, 8))
def test_the_batch_decides_as_one_block_after_another(
    k: int, rate: Rate, frames: int, seed: int, flips: float, iterations: int
) -> None:
    code, pick = Turbo(k, rate), random.Random(seed)
    sent = [code.encode(message(k, seed + i)) for i in range(frames)]
    cut = [received(coded, flips * pick.random(), pick.choice((2, 16, 31, 300)), seed + i)
           for i, coded in enumerate(sent)]
    joined = array("h", b"".join(llrs.tobytes() for llrs in cut))
    assert code.decode_many(joined, frames, iterations) == [
        code.decode(llrs, "maxlog", iterations) for llrs in cut
    ]


def extremes(size: int, pick: random.Random) -> list[array]:
    """The strongest LLRs there are, with and against a code word, in runs and at random."""
    values = (-32768, 32767, -32767, 0)
    runs = [pick.choice(values) for _ in range(size // 7 + 1) for _ in range(7)][:size]
    rows = [[value] * size for value in values]
    rows += [runs, [pick.choice(values) for _ in range(size)], [32767, -32768] * (size // 2)]
    return [array("h", row) for row in rows]


@pytest.mark.parametrize("rate", Rate)
def test_the_strongest_llrs_do_not_overflow(rate: Rate) -> None:
    k = by_kernel(1024, 40)
    code, pick = Turbo(k, rate), random.Random(4)
    cut = extremes(code.coded_size, pick)
    cut.append(received(code.encode(message(k)), 0, 32767))
    cut.append(received(code.encode(message(k)), 0.2, 32767))
    joined = array("h", b"".join(llrs.tobytes() for llrs in cut))
    found = code.decode_many(joined, len(cut))
    assert found == [code.decode(llrs) for llrs in cut]
    assert found[-2].bits == message(k) and found[1].bits == bytes(k)
    clamped = array("h", [max(-STRONGEST, min(STRONGEST, value)) for value in joined])
    assert code.decode_many(clamped, len(cut)) == found
    for algorithm in ALGORITHMS:
        assert code.decode(cut[-2], algorithm).bits == message(k)


@pytest.mark.parametrize("rate", Rate)
def test_both_kernels_decide_the_same(rate: Rate) -> None:
    plain, fast = Turbo(64, rate, "plain"), Turbo(64, rate)
    cut = [received(plain.encode(message(64, i)), 0.16, 15, i) for i in range(3)]
    cut += extremes(plain.coded_size, random.Random(5))[4:]
    for llrs in cut:
        for algorithm in ALGORITHMS:
            assert plain.decode(llrs, algorithm, 3) == fast.decode(llrs, algorithm, 3)
    joined = array("h", b"".join(llrs.tobytes() for llrs in cut))
    assert plain.decode_many(joined, len(cut), 3) == fast.decode_many(joined, len(cut), 3)


@is_fast
@pytest.mark.parametrize(("rate", "flips"), [(Rate.THIRD, 0.12), (Rate.HALF, 0.06)])
def test_no_block_of_200_is_lost(rate: Rate, flips: float) -> None:
    code = Turbo(1024, rate)
    sent = [message(1024, i) for i in range(200)]
    llrs = array("h")
    for i, bits in enumerate(sent):
        llrs += received(code.encode(bits), flips, 16, i)
    assert [decoded.bits for decoded in code.decode_many(llrs, 200)] == sent


# --- misuse


def test_no_blocks_at_all() -> None:
    assert Turbo(40).decode_many(array("h"), 0) == []


@pytest.mark.parametrize("k", [0, -40, 39, 41, 6145, 6208, 520])
def test_sizes_that_the_standard_lacks(k: int) -> None:
    with pytest.raises(ValueError, match=f"no interleaver for blocks of {k} bits"):
        Turbo(k)


@pytest.mark.parametrize(("bits", "said"), [
    (bytes(39), "39 bits for a block of 40"), (bytes(41), "41 bits"), (b"", "0 bits"),
    (bytes(39) + b"\2", "a byte of 0 or 1"), (b"0" * 40, "a byte of 0 or 1"),
])
def test_bits_that_are_none(bits: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Turbo(40).encode(bits)


@pytest.mark.parametrize("llrs", [
    array("h", [0] * 131), array("h", [0] * 133), array("i", [0] * 132), bytes(132), bytes(264),
    memoryview(bytes(264)).cast("h", (2, 66)),
], ids=["short", "long", "wide", "half", "bytes", "square"])
def test_llrs_that_are_none(llrs: object) -> None:
    for decode in (Turbo(40).decode, lambda given: Turbo(40).decode_many(given, 1)):
        with pytest.raises(ValueError, match="needed: 132 LLRs as one row of 16-bit integers"):
            decode(llrs)


@pytest.mark.parametrize("iterations", [-1, 0, 256])
def test_iterations_out_of_range(iterations: int) -> None:
    llrs = array("h", [0] * 132)
    with pytest.raises(ValueError, match=f"{iterations} iterations: 1 to 255"):
        Turbo(40).decode(llrs, iterations=iterations)
    with pytest.raises(ValueError, match=f"{iterations} iterations: 1 to 255"):
        Turbo(40).decode_many(llrs, 1, iterations)


def test_an_algorithm_that_is_none() -> None:
    with pytest.raises(ValueError, match="unknown algorithm 'viterbi'"):
        Turbo(40).decode(array("h", [0] * 132), "viterbi")


def test_fewer_blocks_than_none() -> None:
    with pytest.raises(ValueError, match="-1 blocks"):
        Turbo(40).decode_many(array("h"), -1)


def test_blocks_that_do_not_settle_are_decoded_again_by_log_map() -> None:
    code = Turbo(by_kernel(256, 40))
    llrs = [received(code.encode(message(code.k, seed)), 0.15, seed=seed) for seed in range(12)]
    joined = array("h", b"".join(each.tobytes() for each in llrs))
    once, twice = code.decode_many(joined, 12), code.decode_twice(joined, 12)
    assert not all(each.agreed for each in once)
    for first, again, given_ in zip(once, twice, llrs, strict=True):
        assert again == (first if first.agreed else code.decode(given_, "logmap"))

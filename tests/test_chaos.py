"""Chaotic sequences: equations 5 to 10 of papers/003, the same bits on every machine.

Proves against frozen hashes that both kernels give the same sequences in both forms, that the
polynomials are near the true functions, that the literal maps fail where the closed ones do not,
and that diffusion is undone.
"""

import hashlib
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.codec import chaos
from occulta.codec.chaos import KERNEL, Map, Seed
from occulta.codec.kernels import is_compiled, load_kernel
from tests.support import by_kernel

pytestmark = pytest.mark.arm64

BOTH = load_kernel(KERNEL, "plain"), load_kernel(KERNEL)
SIZE = 3000
GOLDEN = {
    ("SINE_SINE", "steep", False):
        "9225f89dd6227a16b5ef7fe8bb0b7602679064497ce5db5d3eb7f81c294f53e3",
    ("SINE_SINE", "steep", True):
        "eb3afaf972c8a3c9597d65295082b2761196cb19e89fa5c175c20e87fff3e8d0",
    ("SINE_SINE", "flat", False):
        "257b5744e67a4d6f9ee8fc86d610789597ce5e75c4b3a40de29a4de5eb43bc19",
    ("SINE_SINE", "flat", True):
        "fad63262ebee1898816db09823228c359f960223b356710d7dd65f1fd5278d5f",
    ("SINE_SINE", "zero", False):
        "a894141f9a48004b56201649b7a20ff5149a503492e6a5a50b4ce286b2dd090a",
    ("SINE_SINE", "zero", True):
        "c81ca5eda5947c7826ad046fdbdc2a25a846b835a6c34c237cc8b3afbe9ec6cc",
    ("SINE_SINE", "middle", False):
        "4d49c601640f29dbee9b94405cba366aa71629c5e04f4300e9fea87c487f10b5",
    ("SINE_SINE", "middle", True):
        "2d9fd365eb2c393ad70c681458ab9f5b9a9beba4990765ed07981c45031a5388",
    ("CHEBYSHEV", "steep", False):
        "a00d1fc09c50cef584e2c5091b9e7667da5d9de52118808483f9e102e8bea29b",
    ("CHEBYSHEV", "steep", True):
        "e52610920b7da0b34b14af478a0187deb2f832d5eee0820533ec189210f166e5",
    ("CHEBYSHEV", "flat", False):
        "d7f2666d343f576891d8f746c29f7d38c220514c331348e0beadfbd6257a35a3",
    ("CHEBYSHEV", "flat", True):
        "3a22e8d433ba06dd2ca7e24b4ca2d7bca9dc9a0dcb7b170131da706f0da022e2",
    ("CHEBYSHEV", "zero", False):
        "4bc016814fdc4d398d7fd4d54ed94673bde59ededa601cadc5e4db8c59e00137",
    ("CHEBYSHEV", "zero", True):
        "f9f62123ff20eaf01026c69bd9315f993403343dbbfc2d14b0b9a30a4e4d8f2d",
    ("CHEBYSHEV", "middle", False):
        "87eb556a96b6ad06bdf26a78218f761791f2a312cbd54913b145e8ff4d9e6983",
    ("CHEBYSHEV", "middle", True):
        "c81ca5eda5947c7826ad046fdbdc2a25a846b835a6c34c237cc8b3afbe9ec6cc",
}
SEEDS = {
    "steep": Seed(7.0, 19, 3000, 0.123456789),
    "flat": Seed(0.5212882, 8, 1000, 0.35184372088831),
    "zero": Seed(0.5212882, 8, 1000, 0.0),
    "middle": Seed(3.0, 13, 4095, 1e-14),
}
sections = st.binary(min_size=8, max_size=8)


def bits(text: str) -> bytes:
    """64 bits from words of 0 and 1, filled up with zeros."""
    joined = text.replace(" ", "").ljust(64, "0")
    return int(joined, 2).to_bytes(8, "big")


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("kernel", ["plain", "auto"])
@pytest.mark.parametrize("name", SEEDS)
@pytest.mark.parametrize("which", Map)
@pytest.mark.parametrize("literal", [False, True], ids=["closed", "literal"])
def test_frozen_sequences(which: Map, name: str, literal: bool, kernel: str) -> None:
    found = chaos.sequence(which, SEEDS[name], SIZE, literal=literal, kernel=kernel)
    assert digest(found) == GOLDEN[which.name, name, literal]


@settings(max_examples=by_kernel(200, 10), deadline=None)
@given(section=sections, which=st.sampled_from(Map), literal=st.booleans())
def test_both_kernels_give_the_same_terms(section: bytes, which: Map, literal: bool) -> None:
    begin = chaos.seed(section)._replace(skip=50)
    ends = []
    for module in BOTH:
        out = bytearray(64)
        last = module.iterate(int(which), begin.u, begin.k, begin.start, 50, not literal, out)
        ends.append((last, bytes(out)))
    assert ends[0] == ends[1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Seed(0.5212882, 12, 1000, 0.0)),
        ("001 0111 101110110111", Seed(1.0, 19, 3999, 0.0)),
        ("111 1000 101110111000", Seed(7.0, 8, 3000, 0.0)),
        ("110 1111 111111111111" + "1" * 45, Seed(6.0, 15, 4095, (2**45 - 1) * 1e-14)),
        ("000 0000 000000000000" + "0" * 44 + "1", Seed(0.5212882, 12, 1000, 1e-14)),
    ],
)
def test_equations_5_and_6(text: str, expected: Seed) -> None:
    assert chaos.seed(bits(text)) == expected


def test_the_greatest_first_term_is_the_paper_s() -> None:
    assert chaos.seed(b"\xff" * 8).start == pytest.approx(0.35184372088831, abs=1e-15)


@pytest.mark.parametrize("size", [0, 7, 9])
def test_a_section_has_eight_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="8 bytes"):
        chaos.seed(bytes(size))


@pytest.mark.parametrize("module", BOTH, ids=["plain", "auto"])
def test_polynomials_are_near_the_true_functions(module: object) -> None:
    for step in range(2001):
        x = step / 2000
        assert abs(module.sine_of_pi(x) - math.sin(math.pi * min(x, 1 - x))) < 4e-16
        assert abs(module.arc_cosine(x) - math.acos(x)) < 5e-16
        for y in (12.6 * x, 6.6e6 * x):
            assert abs(module.cosine(y) - math.cos(y)) < 4e-16
    assert module.sine_of_pi(0.0) == module.sine_of_pi(1.0) == module.arc_cosine(1.0) == 0.0
    assert module.cosine(0.0) == module.sine_of_pi(0.5) == 1.0


def test_equation_7_and_8_by_hand() -> None:
    x, expected = 0.3, []
    for _ in range(3):
        v = 2.0 * math.sin(math.pi * x) * 2**8
        x = v - math.floor(v)
        expected.append(x)
    out = bytearray(1)
    for count, value in enumerate(expected, 1):
        found = BOTH[1].iterate(0, 2.0, 8, 0.3, count - 1, False, out)
        assert found == pytest.approx(value, abs=1e-6)  # each term magnifies errors 1600 times
        assert out[0] == int(found * 1e14) % 256


def test_equation_9_by_hand() -> None:
    theta = 3.0 * math.acos(0.3)
    literal, closed = math.cos(theta * 2**8), math.cos(theta) * 2**8
    out = bytearray(1)
    found = BOTH[1].iterate(1, 2.0, 8, 0.3, 0, False, out)
    assert found == pytest.approx(literal - math.floor(literal), abs=1e-10)
    found = BOTH[1].iterate(1, 2.0, 8, 0.3, 0, True, out)
    golden = (math.sqrt(5) - 1) / 2
    assert found == pytest.approx((closed + 0.3 + golden) % 1.0, abs=1e-10)


def test_the_literal_sine_map_stays_at_its_fixed_point_and_the_closed_one_leaves() -> None:
    begin = Seed(0.5212882, 8, 1000, 0.0)
    assert set(chaos.sequence(Map.SINE_SINE, begin, 500, literal=True)) == {0}
    assert len(set(chaos.sequence(Map.SINE_SINE, begin, 5000))) == 256


@pytest.mark.skipif(not is_compiled(BOTH[1]), reason="too slow on the plain kernel")
def test_a_literal_sequence_runs_into_a_cycle_and_the_closed_one_does_not() -> None:
    begin = Seed(7.0, 19, 3000, 0.1)
    for literal in (True, False):
        found = chaos.sequence(Map.SINE_SINE, begin, 1 << 18, literal=literal)
        tail = found[-16:]
        assert (found.find(tail) < len(found) - 16) == literal


@pytest.mark.parametrize("factor", ["000", "001", "010", "011", "101", "111"])
@pytest.mark.parametrize("which", Map)
def test_the_last_bit_of_a_section_changes_the_sequence(which: Map, factor: str) -> None:
    """At x = 0 the Chebyshev map is flat for an odd u: a step alone would swallow the bit."""
    one = chaos.sequence(which, chaos.seed(bits(factor)), SIZE)
    other = chaos.sequence(which, chaos.seed(bits(factor + "0" * 60 + "1")), SIZE)
    same = sum(a == b for a, b in zip(one, other, strict=True))
    assert same < SIZE / 256 * 3


def test_a_key_drives_one_map_with_each_half() -> None:
    key = bytes(range(16))
    a, b = chaos.key_matrices(key, 100)
    assert a == chaos.sequence(Map.SINE_SINE, chaos.seed(key[:8]), 100)
    assert b == chaos.sequence(Map.CHEBYSHEV, chaos.seed(key[8:]), 100)


@pytest.mark.parametrize("kernel", ["plain", "auto"])
def test_equation_10(kernel: str) -> None:
    plane, a, b = bytes([240, 16, 0]), bytes([20, 1, 255]), bytes([255, 0, 15])
    share = bytes([4 ^ 255, 17, 255 ^ 15])
    assert chaos.diffuse(plane, a, b, kernel) == share
    assert chaos.gather(share, a, b, kernel) == plane


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), max_size=50))
def test_diffusion_is_undone(columns: list[tuple[int, int, int]]) -> None:
    plane, a, b = (bytes(column) for column in zip(*columns, strict=True)) if columns else [b""] * 3
    assert chaos.gather(chaos.diffuse(plane, a, b), a, b) == plane


def test_matrices_of_another_size_are_misuse() -> None:
    for function in (chaos.diffuse, chaos.gather):
        with pytest.raises(ValueError, match="size"):
            function(bytes(4), bytes(4), bytes(3))

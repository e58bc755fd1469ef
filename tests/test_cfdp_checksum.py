"""CFDP checksums: published vectors, and the same value however the file is cut.

Proves CRC-32C against its vectors (RFC 3720, B.4, and the check value of the CRC catalogue),
CRC-32 against its check value, MODULAR against 727.0-B-5, 4.2.2 written out plainly, all of them at
any cuts, and that the compiled CRC kernel and the plain one agree.
"""

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.codec.kernels import is_compiled, load_kernel
from occulta.link.cfdp.checksum import Checksum, crc_tables
from occulta.link.cfdp.constants import ChecksumType

pytestmark = pytest.mark.arm64

EXAMPLES = settings(deadline=None, derandomize=True, database=None, max_examples=150)
KERNEL = "occulta.link.cfdp.crc_kernel"
CHECK = b"123456789"


def checksum(kind: ChecksumType, *pieces: bytes) -> int:
    found = Checksum(kind)
    for piece in pieces:
        found.update(piece)
    assert found.offset == sum(map(len, pieces))
    return found.value


def modular(data: bytes) -> int:
    """The sum of the file's big-endian 32-bit words, the last one filled up with zeros."""
    total = 0
    for at in range(0, len(data), 4):
        total += int.from_bytes(data[at : at + 4].ljust(4, b"\0"), "big")
    return total % 2**32


@pytest.mark.parametrize(("data", "value"), [
    (b"", 0),
    (CHECK, 0xE306_9283),
    (bytes(32), 0x8A91_36AA),
    (b"\xff" * 32, 0x62A8_AB43),
    (bytes(range(32)), 0x46DD_794E),
    (bytes(range(31, -1, -1)), 0x113F_DB5C),
])
@pytest.mark.parametrize("kernel", ["plain", "compiled"])
def test_crc_32c_vectors(data: bytes, value: int, kernel: str) -> None:
    assert checksum(ChecksumType.CRC_32C, data) == value
    if kernel == "compiled" and not is_compiled(load_kernel(KERNEL)):
        pytest.skip("the compiled kernel is not built")
    assert load_kernel(KERNEL, kernel).crc32c(data, crc_tables(), 0) == value


@pytest.mark.parametrize(("kind", "data", "value"), [
    (ChecksumType.CRC_32, CHECK, 0xCBF4_3926),
    (ChecksumType.CRC_32, b"", 0),
    (ChecksumType.MODULAR, CHECK, 0x3132_3334 + 0x3536_3738 + 0x3900_0000),
    (ChecksumType.MODULAR, b"", 0),
    (ChecksumType.MODULAR, b"\xff" * 8, 0xFFFF_FFFE),
    (ChecksumType.MODULAR, b"\x80\0\0\0" * 2, 0),
    (ChecksumType.NULL, CHECK, 0),
])
def test_other_vectors(kind: ChecksumType, data: bytes, value: int) -> None:
    assert checksum(kind, data) == value


def test_modular_of_many_words_does_not_overflow() -> None:
    data = b"\xff" * (4 << 18)
    assert checksum(ChecksumType.MODULAR, data, data) == -(2 << 18) % 2**32


@EXAMPLES
@given(st.lists(st.binary(max_size=40), max_size=12))
@pytest.mark.parametrize("kind", ChecksumType)
def test_cuts_do_not_matter(kind: ChecksumType, pieces: list[bytes]) -> None:
    """With pieces of any length every alignment occurs."""
    data = b"".join(pieces)
    whole = {
        ChecksumType.MODULAR: modular(data), ChecksumType.CRC_32: zlib.crc32(data),
        ChecksumType.CRC_32C: checksum(ChecksumType.CRC_32C, data), ChecksumType.NULL: 0,
    }
    assert checksum(kind, *pieces) == whole[kind]


@pytest.mark.parametrize("offset", range(9))
@pytest.mark.parametrize("kind", ChecksumType)
def test_going_on_from_a_saved_value(kind: ChecksumType, offset: int) -> None:
    data = bytes(range(7, 250, 3))
    head = Checksum(kind)
    head.update(data[:offset])
    rest = Checksum(kind, head.value, head.offset)
    rest.update(data[offset:])
    assert rest.value == checksum(kind, data)
    if kind is not ChecksumType.NULL:
        assert rest.value != checksum(kind, data[:-1])


@EXAMPLES
@given(st.binary(max_size=600), st.integers(0, 2**32 - 1))
def test_both_kernels_agree(data: bytes, start: int) -> None:
    if not is_compiled(load_kernel(KERNEL)):
        pytest.skip("the compiled kernel is not built")
    plain, compiled = (load_kernel(KERNEL, choice) for choice in ("plain", "compiled"))
    assert plain.crc32c(data, crc_tables(), start) == compiled.crc32c(data, crc_tables(), start)

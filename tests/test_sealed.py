"""Sealed files: whole or refused, however they were cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occulta.codec import crypto
from occulta.errors import OccultaError, Reason
from occulta.schemes.sealed import OpeningStream, SealingStream, context, sealed_size

pytestmark = pytest.mark.arm64

KEY = crypto.PrivateKey.generate()
OTHER = crypto.PrivateKey.generate()
SATELLITE = crypto.SigningKey.generate()
REFUSED = {
    Reason.SEAL_BROKEN, Reason.WRONG_KEY, Reason.PRIVATE_DATA_INCOMPLETE, Reason.DIGEST_MISMATCH,
}
N = crypto.CHUNK_SIZE


def seal(data: bytes, cut: int = 1 << 20, signing: crypto.SigningKey | None = None) -> bytes:
    sealer = crypto.Sealer.create(context(bytes(8)), [KEY.public, OTHER.public], signing)
    stream = SealingStream(sealer)
    out = b"".join(stream.feed(data[at : at + cut]) for at in range(0, len(data), cut))
    return out + stream.finish()


def open_(sealed: bytes, cut: int = 1 << 20, key: crypto.PrivateKey = KEY) -> bytes:
    stream = OpeningStream(key)
    out = b"".join(stream.feed(sealed[at : at + cut]) for at in range(0, len(sealed), cut))
    return out + stream.finish()


@pytest.mark.parametrize("size", [0, 1, N - 1, N, N + 1, 2 * N, 3 * N + 7])
def test_round_trip_at_chunk_edges(size: int) -> None:
    data = bytes(i % 251 for i in range(size))
    sealed = seal(data)
    assert len(sealed) == sealed_size(size, 2, False)
    assert open_(sealed) == data == open_(sealed, key=OTHER)


@given(st.binary(max_size=3 * N), st.integers(1, N), st.integers(1, N))
def test_round_trip_however_cut(data: bytes, one: int, other: int) -> None:
    assert open_(seal(data, one), other) == data


def test_byte_by_byte() -> None:
    data = b"a private file" * 20
    assert open_(seal(data, 1), 1) == data


def test_every_truncation_is_refused() -> None:
    sealed = seal(b"secret")
    for size in range(len(sealed)):
        with pytest.raises(OccultaError) as caught:
            open_(sealed[:size])
        assert caught.value.reason is Reason.PRIVATE_DATA_INCOMPLETE


def test_every_flipped_bit_is_refused() -> None:
    sealed = seal(b"secret")
    stanza = range(crypto.FIXED_HEADER_SIZE + crypto.STANZA_SIZE,
                   crypto.FIXED_HEADER_SIZE + 2 * crypto.STANZA_SIZE)
    for bit in range(0, 8 * len(sealed), 3):
        broken = bytearray(sealed)
        broken[bit // 8] ^= 1 << bit % 8
        with pytest.raises(OccultaError) as caught:
            open_(bytes(broken))
        assert caught.value.reason in REFUSED, (bit, bit // 8 in stanza)


@pytest.mark.parametrize("cut", [1, 1 << 20])
def test_trailing_bytes_are_refused(cut: int) -> None:
    with pytest.raises(OccultaError) as caught:
        open_(seal(b"secret") + b"x", cut)
    assert caught.value.reason is Reason.SEAL_BROKEN


def test_another_key() -> None:
    with pytest.raises(OccultaError) as caught:
        open_(seal(b"secret"), key=crypto.PrivateKey.generate())
    assert caught.value.reason is Reason.WRONG_KEY


def test_only_the_signer_is_authentic() -> None:
    stream = OpeningStream(KEY)
    assert not stream.is_authentic(SATELLITE.public)
    stream.feed(seal(b"secret", signing=SATELLITE))
    stream.finish()
    assert stream.is_authentic(SATELLITE.public)
    assert not stream.is_authentic(crypto.SigningKey.generate().public)


def test_unsigned_is_never_authentic() -> None:
    stream = OpeningStream(KEY)
    stream.feed(seal(b"secret"))
    stream.finish()
    assert not stream.is_authentic(SATELLITE.public)


@given(st.binary(max_size=400))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(OccultaError) as caught:
        open_(data)
    assert caught.value.reason in REFUSED

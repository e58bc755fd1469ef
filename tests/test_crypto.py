"""Sealed streams: only the right key, the whole stream, in order, as it was made.

Proves that a wrong key, any flipped bit, reordering, truncation and transplanting between schemes,
profiles and product identifiers are refused; that each of several recipients opens the stream; and
that what is not signed by a known satellite is never called authentic.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from occulta.codec import crypto
from occulta.codec.crypto import Conclusion, Context, PrivateKey, Sealer, SigningKey, Unsealer
from occulta.errors import OccultaError, Reason
from tests.support import KEY, OTHER_KEY, SATELLITE

pytestmark = pytest.mark.arm64

CONTEXT = Context(1, 1, b"product1")
DIGEST = bytes(range(32))
PARTS = [b"first chunk", b"second", b""]
OTHER_SATELLITE = SigningKey(bytes(range(7, 39)))


def seal(
    recipients: list[PrivateKey] | None = None, signing: SigningKey | None = SATELLITE,
    context: Context = CONTEXT,
) -> tuple[bytes, list[bytes], bytes]:
    """(header, sealed chunks without their heads, conclusion without its head)."""
    keys = [key.public for key in recipients or [KEY]]
    sealer = Sealer.create(context, keys, signing)
    chunks = [sealer.data(part, part is PARTS[-1])[2:] for part in PARTS]
    return sealer.header, chunks, sealer.conclude(DIGEST, b"notes")[2:]


def open_all(
    header: bytes, chunks: list[bytes], conclusion: bytes, key: PrivateKey = KEY
) -> tuple[Unsealer, list[bytes], Conclusion]:
    unsealer = Unsealer(header, key)
    parts = [unsealer.data(c, at == len(chunks) - 1) for at, c in enumerate(chunks)]
    return unsealer, parts, unsealer.conclude(conclusion)


def refused(header: bytes, chunks: list[bytes], conclusion: bytes) -> Reason:
    with pytest.raises(OccultaError) as caught:
        open_all(header, chunks, conclusion)
    return caught.value.reason


def flips(data: bytes) -> list[bytes]:
    found = []
    for bit in range(8 * len(data)):
        out = bytearray(data)
        out[bit >> 3] ^= 1 << (bit & 7)
        found.append(bytes(out))
    return found


@pytest.mark.parametrize("count", [1, 2, 3, crypto.MAX_RECIPIENTS])
def test_every_recipient_opens_the_stream(count: int) -> None:
    keys = [PrivateKey.generate() for _ in range(count)]
    sealed = seal(keys)
    assert len(sealed[0]) == crypto.FIXED_HEADER_SIZE + count * crypto.STANZA_SIZE
    for key in (keys[0], keys[-1]):
        unsealer, parts, conclusion = open_all(*sealed, key)
        assert parts == PARTS
        assert (conclusion.digest, conclusion.notes) == (DIGEST, b"notes")
        assert conclusion.fingerprints == b"".join(k.public.fingerprint for k in keys)
        assert unsealer.is_authentic(conclusion, SATELLITE.public)


@pytest.mark.parametrize("count", [0, crypto.MAX_RECIPIENTS + 1])
def test_impossible_numbers_of_recipients(count: int) -> None:
    with pytest.raises(ValueError, match="recipients"):
        Sealer.create(CONTEXT, [KEY.public] * count, None)


def test_wrong_key() -> None:
    sealed = seal([KEY, PrivateKey.generate()])
    with pytest.raises(OccultaError) as caught:
        open_all(*sealed, OTHER_KEY)
    assert caught.value.reason is Reason.WRONG_KEY


def test_every_flipped_bit_of_the_header() -> None:
    """The header is what the file key is bound to: nothing opens with another."""
    header, chunks, conclusion = seal()
    for other in flips(header[2:]):
        assert refused(header[:2] + other, chunks, conclusion) is Reason.WRONG_KEY


def test_every_flipped_bit_of_the_data() -> None:
    header, chunks, conclusion = seal()
    for at, chunk in enumerate(chunks):
        for other in flips(chunk):
            changed = [*chunks[:at], other, *chunks[at + 1 :]]
            assert refused(header, changed, conclusion) is Reason.SEAL_BROKEN
    for other in flips(conclusion):
        assert refused(header, chunks, other) is Reason.SEAL_BROKEN


@pytest.mark.parametrize("change", [
    lambda c: [c[1], c[0], c[2]], lambda c: [c[0], c[2]], lambda c: c[:2], lambda c: [*c, c[-1]],
    lambda c: [c[0], c[0], *c[1:]], lambda c: [c[0][:-1], *c[1:]], lambda c: [b"", *c[1:]],
    lambda c: [c[0] + b"\0", *c[1:]],
])
def test_reordered_cut_or_repeated(change: Callable[[list[bytes]], list[bytes]]) -> None:
    header, chunks, conclusion = seal()
    assert refused(header, change(chunks), conclusion) is Reason.SEAL_BROKEN


def test_the_last_chunk_is_not_one_in_the_middle() -> None:
    header, chunks, _ = seal()
    unsealer = Unsealer(header, KEY)
    with pytest.raises(OccultaError) as caught:
        unsealer.data(chunks[0], True)
    assert caught.value.reason is Reason.SEAL_BROKEN


def test_a_chunk_is_no_conclusion() -> None:
    header, chunks, conclusion = seal()
    with pytest.raises(OccultaError):
        Unsealer(header, KEY).conclude(chunks[0])
    with pytest.raises(OccultaError):
        Unsealer(header, KEY).data(conclusion, False)


def test_parts_of_two_streams_do_not_mix() -> None:
    header, chunks, conclusion = seal()
    other_header, other_chunks, other_conclusion = seal()
    assert header[-64:] != other_header[-64:]
    assert refused(header, other_chunks, other_conclusion) is Reason.SEAL_BROKEN
    assert refused(header, chunks, other_conclusion) is Reason.SEAL_BROKEN
    stanza = header[: crypto.FIXED_HEADER_SIZE] + other_header[crypto.FIXED_HEADER_SIZE :]
    assert refused(stanza, chunks, conclusion) is Reason.SEAL_BROKEN


@pytest.mark.parametrize("other", [
    Context(1, 2, b"product1"), Context(2, 1, b"product1"), Context(1, 1, b"product2"),
])
def test_nothing_is_transplanted(other: Context) -> None:
    """Another scheme, profile or product identifier in the header: the key does not open it."""
    header, chunks, conclusion = seal()
    place = bytes([other.scheme, other.profile]) + other.product_id
    assert refused(header[:2] + place + header[12:], chunks, conclusion) is Reason.WRONG_KEY


def test_a_recipient_cannot_pass_the_stream_on_as_sealed_to_another() -> None:
    """Whoever knows the file key can wrap it anew, but not change the sealed list."""
    file_key = bytes(range(16))
    fixed = crypto.MAGIC + b"\x01\x01" + b"product1" + b"\xff" * 4 + b"\x01"
    header = fixed + crypto._wrap(OTHER_KEY.public, CONTEXT, fixed, file_key)
    sealer = Sealer(CONTEXT, [KEY.public], header, file_key, SATELLITE)
    unsealer = Unsealer(header, OTHER_KEY)
    unsealer.data(sealer.data(b"", True)[2:], True)
    with pytest.raises(OccultaError) as caught:
        unsealer.conclude(sealer.conclude(DIGEST, b"")[2:])
    assert caught.value.reason is Reason.SEAL_BROKEN


def test_unsigned_is_never_authentic() -> None:
    unsealer, _, conclusion = open_all(*seal(signing=None))
    assert conclusion.signature == b""
    assert not unsealer.is_authentic(conclusion, SATELLITE.public)


def test_another_satellite_is_not_authentic() -> None:
    unsealer, _, conclusion = open_all(*seal(signing=OTHER_SATELLITE))
    assert unsealer.is_authentic(conclusion, OTHER_SATELLITE.public)
    assert not unsealer.is_authentic(conclusion, SATELLITE.public)


@pytest.mark.parametrize("other", [
    Context(1, 2, b"product1"), Context(2, 1, b"product1"), Context(1, 1, b"product2"),
])
def test_a_signature_is_bound_to_its_stream(other: Context) -> None:
    unsealer, _, conclusion = open_all(*seal())
    elsewhere, _, _ = open_all(*seal(context=other))
    assert not elsewhere.is_authentic(conclusion, SATELLITE.public)
    for changed in (
        Conclusion(DIGEST[::-1], b"", conclusion.signature, conclusion.fingerprints),
        Conclusion(DIGEST, b"", conclusion.signature, bytes(16)),
        Conclusion(DIGEST, b"", bytes(64), conclusion.fingerprints),
    ):
        assert not unsealer.is_authentic(changed, SATELLITE.public)
    fewer = Unsealer(seal()[0], KEY)  # has opened no private data
    assert not fewer.is_authentic(conclusion, SATELLITE.public)


@pytest.mark.parametrize("signing", [None, SATELLITE])
@pytest.mark.parametrize("notes", [0, 1, 300])
def test_the_size_of_a_conclusion_is_known(signing: SigningKey | None, notes: int) -> None:
    sealer = Sealer.create(CONTEXT, [KEY.public, OTHER_KEY.public], signing)
    sealer.data(b"", True)
    assert len(sealer.conclude(DIGEST, bytes(notes))) == sealer.conclusion_size(notes)


@pytest.mark.parametrize("kind", [
    PrivateKey, SigningKey, crypto.PublicKey, crypto.VerifyingKey,
])
@pytest.mark.parametrize("raw", [b"", bytes(31), bytes(33)])
def test_malformed_keys(kind: Callable[[bytes], object], raw: bytes) -> None:
    with pytest.raises(OccultaError) as caught:
        kind(raw)
    assert caught.value.reason is Reason.KEY_MALFORMED


def test_keys_do_not_show_their_secrets() -> None:
    assert KEY.raw.hex() not in repr(KEY) and repr(KEY) == "PrivateKey(...)"
    assert repr(SATELLITE) == "SigningKey(...)"


def test_generated_keys_differ() -> None:
    assert PrivateKey.generate() != PrivateKey.generate()
    assert SigningKey.generate() != SigningKey.generate()
    assert len({PrivateKey.generate().public.fingerprint for _ in range(4)}) == 4

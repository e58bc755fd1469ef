"""Signed manifests: none is called authentic that a known key did not sign.

Proves that an unknown key gives a manifest that is not authentic, that a known key's broken
signature is refused by name, that a signature is bound to its purpose and its exact bytes, and
that signing makes no manifest of anything else.
"""

from __future__ import annotations

import msgspec
import pytest

from occulta.codec.crypto import SigningKey
from occulta.link.drops import Drop, PacketError
from occulta.link.messages import (
    MAX_MANIFEST,
    Credit,
    ManifestFile,
    ProductManifest,
    SignedManifest,
    decode,
    encode,
    open_manifest,
    satellite_fingerprint,
    sign_manifest,
)
from tests.support import KEY, SATELLITE

pytestmark = pytest.mark.arm64

OTHER_SATELLITE = SigningKey(bytes(range(7, 39)))
KNOWN = {satellite_fingerprint(SATELLITE.public): SATELLITE.public}
FILE = ManifestFile("pass 7.jpg", 5, bytes(32))
MANIFEST = ProductManifest(bytes(16), "f1", 1.5, 2.5, "reversible", "exact", (FILE,))
WITHOUT_FILES = msgspec.structs.replace(MANIFEST, files=())


def altered(signed: bytes, **changes: bytes) -> bytes:
    return encode(msgspec.structs.replace(decode(signed, SignedManifest), **changes))


def refused(signed: bytes) -> Drop:
    with pytest.raises(PacketError) as caught:
        open_manifest(signed, KNOWN)
    return caught.value.drop


def test_a_signed_manifest_is_authentic() -> None:
    assert open_manifest(sign_manifest(MANIFEST, SATELLITE), KNOWN) == (MANIFEST, True)


def test_an_unknown_key_is_not_authentic() -> None:
    signed = sign_manifest(MANIFEST, OTHER_SATELLITE)
    assert open_manifest(signed, KNOWN) == (MANIFEST, False)
    assert open_manifest(signed, {}) == (MANIFEST, False)
    stranger = altered(sign_manifest(MANIFEST, SATELLITE), key_fingerprint=bytes(16))
    assert open_manifest(stranger, KNOWN) == (MANIFEST, False)


@pytest.mark.parametrize("changes", [
    {"signature": bytes(64)},
    {"body": encode(MANIFEST) + b"\0"},
    {"signature": OTHER_SATELLITE.sign(b"occulta manifest v1" + encode(MANIFEST))},
    {"signature": SATELLITE.sign(encode(MANIFEST))},
    {"signature": SATELLITE.sign(b"occulta manifest v2" + encode(MANIFEST))},
])
def test_a_broken_signature_is_refused(changes: dict[str, bytes]) -> None:
    signed = altered(sign_manifest(MANIFEST, SATELLITE), **changes)
    assert refused(signed) is Drop.MESSAGE_SIGNATURE


def test_no_flipped_bit_stays_authentic() -> None:
    signed = sign_manifest(MANIFEST, SATELLITE)
    for bit in range(8 * len(signed)):
        other = bytearray(signed)
        other[bit >> 3] ^= 1 << (bit & 7)
        try:
            _, authentic = open_manifest(bytes(other), KNOWN)
        except PacketError as error:
            assert error.drop in {
                Drop.MESSAGE_MALFORMED, Drop.MESSAGE_KIND, Drop.MESSAGE_SIGNATURE}
        else:
            assert not authentic


@pytest.mark.parametrize(("body", "drop"), [
    (b"", Drop.MESSAGE_MALFORMED),
    (encode(Credit("f1", 1)), Drop.MESSAGE_KIND),
    (msgspec.msgpack.encode(WITHOUT_FILES), Drop.MESSAGE_MALFORMED),
])
@pytest.mark.parametrize("key", [SATELLITE, OTHER_SATELLITE])
def test_a_signature_makes_no_manifest(body: bytes, drop: Drop, key: SigningKey) -> None:
    signature = key.sign(b"occulta manifest v1" + body)
    signed = SignedManifest(body, satellite_fingerprint(key.public), signature)
    assert refused(encode(signed)) is drop


def test_a_manifest_that_is_too_long() -> None:
    assert refused(bytes(MAX_MANIFEST + 257)) is Drop.MESSAGE_TOO_LONG
    longest = SignedManifest(bytes(MAX_MANIFEST), bytes(16), bytes(64))
    assert refused(encode(longest)) is Drop.MESSAGE_MALFORMED


def test_an_invalid_manifest_is_not_signed() -> None:
    with pytest.raises(ValueError, match="ProductManifest"):
        sign_manifest(WITHOUT_FILES, SATELLITE)


def test_fingerprints_of_satellites_are_no_recipients() -> None:
    assert len(satellite_fingerprint(SATELLITE.public)) == len(KEY.public.fingerprint) == 16
    assert satellite_fingerprint(SATELLITE.public) != satellite_fingerprint(OTHER_SATELLITE.public)

"""Keys and sealed streams: HPKE (RFC 9180), HKDF, AES-256-GCM, Ed25519, from pycryptodome.

A sealed stream is a header in the clear, then data chunks, then one conclusion:

    header      magic 2 | scheme 1 | profile 1 | product id 8 | declared size 4 | recipients 1 |
                per recipient: encapsulated key 32, wrapped file key 32
    data        last 1 bit, length 15 bits | ciphertext | tag 16
    conclusion  length 2 | ciphertext | tag 16

The file key is wrapped to each recipient with HPKE (X25519, HKDF-SHA256, AES-256-GCM), bound to
scheme, profile, version and product id. Chunks are AES-256-GCM under a key derived from the file
key and the whole header; the nonce is a counter and the kind of chunk, so that nothing can be
reordered, cut or taken from another stream.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from Crypto.Cipher import AES
from Crypto.Cipher._mode_gcm import GcmMode
from Crypto.Hash import SHA256
from Crypto.Protocol import HPKE
from Crypto.Protocol.DH import import_x25519_private_key, import_x25519_public_key
from Crypto.Protocol.KDF import HKDF
from Crypto.PublicKey import ECC
from Crypto.Random import get_random_bytes
from Crypto.Signature import eddsa

from occulta.errors import OccultaError, Reason

MAGIC = b"\x0c\xc1"
"""First byte: Occulta; second: version 1 of the format."""
PRODUCT_ID_SIZE = 8
FIXED_HEADER_SIZE = 17
ENCAPSULATED_SIZE = 32
"""Bytes of an encapsulated X25519 key (RFC 9180, 7.1)."""
STANZA_SIZE = 64
TAG_SIZE = 16
CHUNK_SIZE = 1 << 14
CHUNK_OVERHEAD = 2 + TAG_SIZE
MAX_RECIPIENTS = 64
UNKNOWN_SIZE = 0xFFFFFFFF
SIGNATURE_SIZE = 64
FINGERPRINT_SIZE = 16
_DIGEST_SIZE = 32
_FILE_KEY_SIZE = 16
_DATA, _LAST, _CONCLUSION = 0, 1, 2


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A recipient's X25519 public key, 32 bytes."""

    raw: bytes

    def __post_init__(self) -> None:
        _checked(import_x25519_public_key, self.raw, "recipient public key")

    @property
    def fingerprint(self) -> bytes:
        """16 bytes that name the key."""
        return hashlib.sha256(b"occulta recipient" + self.raw).digest()[:FINGERPRINT_SIZE]


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A recipient's X25519 private key, 32 bytes."""

    raw: bytes

    def __post_init__(self) -> None:
        _checked(import_x25519_private_key, self.raw, "recipient private key")

    def __repr__(self) -> str:
        return "PrivateKey(...)"

    @property
    def public(self) -> PublicKey:
        """The public half."""
        key = import_x25519_private_key(self.raw).public_key()
        return PublicKey(bytes(key.export_key(format="raw")))

    @classmethod
    def generate(cls) -> PrivateKey:
        """A new key from the system's randomness."""
        return cls(bytes(ECC.generate(curve="Curve25519").seed))


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A satellite's Ed25519 public key, 32 bytes."""

    raw: bytes

    def __post_init__(self) -> None:
        _checked(eddsa.import_public_key, self.raw, "satellite public key")

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """True if `signature` is this key's over `message` (RFC 8032)."""
        try:
            eddsa.new(eddsa.import_public_key(self.raw), "rfc8032").verify(message, signature)
        except ValueError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A satellite's Ed25519 private key, 32 bytes."""

    raw: bytes

    def __post_init__(self) -> None:
        _checked(eddsa.import_private_key, self.raw, "satellite private key")

    def __repr__(self) -> str:
        return "SigningKey(...)"

    @property
    def public(self) -> VerifyingKey:
        """The public half."""
        key = eddsa.import_private_key(self.raw).public_key()
        return VerifyingKey(bytes(key.export_key(format="raw")))

    def sign(self, message: bytes) -> bytes:
        """64 bytes (RFC 8032, deterministic)."""
        return bytes(eddsa.new(eddsa.import_private_key(self.raw), "rfc8032").sign(message))

    @classmethod
    def generate(cls) -> SigningKey:
        """A new key from the system's randomness."""
        return cls(bytes(ECC.generate(curve="Ed25519").seed))


def _checked(importer: object, raw: bytes, what: str) -> None:
    try:
        importer(raw)  # type: ignore[operator]
    except ValueError:
        raise OccultaError(Reason.KEY_MALFORMED, f"not a valid {what}") from None


@dataclass(frozen=True, slots=True)
class Context:
    """What a sealed stream is bound to. Scheme and profile are small numbers of the format."""

    scheme: int
    profile: int
    product_id: bytes

    @property
    def info(self) -> bytes:
        """The HPKE info string (RFC 9180, 5.1)."""
        return b"occulta sealed stream" + MAGIC + bytes([self.scheme, self.profile])


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What ends a sealed stream: the original's digest, notes of the scheme, who it is for."""

    digest: bytes
    notes: bytes
    signature: bytes
    fingerprints: bytes


def statement(context: Context, fingerprints: bytes, digest: bytes, private: bytes) -> bytes:
    """The bytes a satellite signs: recipients, scheme, profile, product and both digests."""
    parts = (context.info, context.product_id, fingerprints, digest, private)
    return b"occulta statement" + b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def conclusion_size(recipients: int, signed: bool, notes_size: int) -> int:
    """Bytes of a sealed conclusion."""
    named = FINGERPRINT_SIZE * recipients + SIGNATURE_SIZE * signed
    return 2 + _DIGEST_SIZE + 2 + named + notes_size + TAG_SIZE


class Sealer:
    """Makes one sealed stream. Use `create`; the constructor takes fixed bytes for golden tests."""

    def __init__(
        self, context: Context, recipients: Sequence[PublicKey], header: bytes, file_key: bytes,
        signing_key: SigningKey | None = None,
    ) -> None:
        self.header = header
        self._context = context
        self._fingerprints = b"".join(key.fingerprint for key in recipients)
        self._signing_key = signing_key
        self._chunks = _ChunkCipher(file_key, header)
        self._private = hashlib.sha256()

    @classmethod
    def create(
        cls, context: Context, recipients: Sequence[PublicKey], signing_key: SigningKey | None,
        declared_size: int = UNKNOWN_SIZE,
    ) -> Sealer:
        """A stream to 1..64 recipients, with fresh randomness; raises ValueError."""
        if not 1 <= len(recipients) <= MAX_RECIPIENTS:
            raise ValueError(f"{len(recipients)} recipients: give 1 to {MAX_RECIPIENTS}")
        fixed = (
            MAGIC + bytes([context.scheme, context.profile]) + context.product_id
            + declared_size.to_bytes(4, "big") + bytes([len(recipients)])
        )
        file_key = get_random_bytes(_FILE_KEY_SIZE)
        stanzas = b"".join(_wrap(key, context, fixed, file_key) for key in recipients)
        return cls(context, recipients, fixed + stanzas, file_key, signing_key)

    def data(self, plaintext: bytes, last: bool) -> bytes:
        """Seal up to CHUNK_SIZE bytes."""
        self._private.update(plaintext)
        sealed = self._chunks.seal(plaintext, _LAST if last else _DATA)
        return (last << 15 | len(plaintext)).to_bytes(2, "big") + sealed

    def conclude(self, digest: bytes, notes: bytes) -> bytes:
        """Seal the original's SHA-256, the scheme's notes and, with a signing key, a signature."""
        signature = b""
        if self._signing_key is not None:
            message = statement(
                self._context, self._fingerprints, digest, self._private.digest()
            )
            signature = self._signing_key.sign(message)
        plaintext = _join_conclusion(digest, signature, self._fingerprints, notes)
        sealed = self._chunks.seal(plaintext, _CONCLUSION)
        return len(sealed).to_bytes(2, "big") + sealed

    def conclusion_size(self, notes_size: int) -> int:
        """Bytes that `conclude` returns."""
        recipients = len(self._fingerprints) // FINGERPRINT_SIZE
        return conclusion_size(recipients, self._signing_key is not None, notes_size)


class Unsealer:
    """Opens one sealed stream with a recipient's private key."""

    def __init__(self, header: bytes, key: PrivateKey) -> None:
        """Raises OccultaError(WRONG_KEY) if no stanza opens."""
        self.context = Context(header[2], header[3], header[4:12])
        self.declared_size = int.from_bytes(header[12:16], "big")
        self._key = key
        self._chunks = _ChunkCipher(_unwrap(header, self.context, key), header)
        self._private = hashlib.sha256()

    def data(self, sealed: bytes, last: bool) -> bytes:
        """Open a data chunk (ciphertext and tag); raises OccultaError(SEAL_BROKEN)."""
        plaintext = self._chunks.open(sealed, _LAST if last else _DATA)
        self._private.update(plaintext)
        return plaintext

    def conclude(self, sealed: bytes) -> Conclusion:
        """Open the conclusion; raises OccultaError(SEAL_BROKEN)."""
        conclusion = _split_conclusion(self._chunks.open(sealed, _CONCLUSION))
        if self._key.public.fingerprint not in fingerprints_in(conclusion.fingerprints):
            raise OccultaError(Reason.SEAL_BROKEN, "the sealed list of recipients is not this one")
        return conclusion

    @property
    def private_digest(self) -> bytes:
        """SHA-256 of the private data opened so far."""
        return self._private.digest()

    def is_authentic(self, conclusion: Conclusion, satellite: VerifyingKey) -> bool:
        """True if the satellite signed this stream to these recipients; unsigned is False."""
        message = statement(
            self.context, conclusion.fingerprints, conclusion.digest, self.private_digest
        )
        return bool(conclusion.signature) and satellite.verifies(message, conclusion.signature)


class _ChunkCipher:
    def __init__(self, file_key: bytes, header: bytes) -> None:
        salt = hashlib.sha256(header).digest()
        derived = HKDF(file_key, 32, salt, SHA256, context=b"occulta chunk key")
        self._key = derived if isinstance(derived, bytes) else derived[0]
        self._counter = 0

    def _cipher(self, kind: int) -> GcmMode:
        nonce = self._counter.to_bytes(11, "big") + bytes([kind])
        self._counter += 1
        return AES.new(self._key, AES.MODE_GCM, nonce=nonce, mac_len=TAG_SIZE)

    def seal(self, plaintext: bytes, kind: int) -> bytes:
        ciphertext, tag = self._cipher(kind).encrypt_and_digest(plaintext)
        return ciphertext + tag

    def open(self, sealed: bytes, kind: int) -> bytes:
        try:
            return self._cipher(kind).decrypt_and_verify(sealed[:-TAG_SIZE], sealed[-TAG_SIZE:])
        except ValueError:
            raise OccultaError(Reason.SEAL_BROKEN, "the sealed data does not verify") from None


def wrap(key: PublicKey, info: bytes, bound: bytes, secret: bytes) -> bytes:
    """A secret for one recipient (HPKE, base mode, RFC 9180, 5.1.1).

    ENCAPSULATED_SIZE + TAG_SIZE bytes longer: STANZA_SIZE for 16 bytes.
    """
    hpke = HPKE.new(
        receiver_key=import_x25519_public_key(key.raw), aead_id=HPKE.AEAD.AES256_GCM, info=info,
    )
    return bytes(hpke.enc + hpke.seal(secret, bound))


def unwrap(
    key: PrivateKey, info: bytes, bound: bytes, stanzas: bytes, size: int = STANZA_SIZE
) -> bytes:
    """The secret, from the first stanza that this key opens; raises OccultaError(WRONG_KEY).

    `size`: bytes of each stanza.
    """
    for at in range(0, len(stanzas), size):
        stanza = stanzas[at : at + size]
        try:
            hpke = HPKE.new(
                receiver_key=import_x25519_private_key(key.raw), aead_id=HPKE.AEAD.AES256_GCM,
                enc=stanza[:ENCAPSULATED_SIZE], info=info,
            )
            return bytes(hpke.unseal(stanza[ENCAPSULATED_SIZE:], bound))
        except ValueError:
            continue
    raise OccultaError(Reason.WRONG_KEY, "the key does not open this file")


def seal_once(secret: bytes, header: bytes, plaintext: bytes) -> bytes:
    """Seal to a fresh secret of 16 or 32 bytes, bound to all of `header`; TAG_SIZE bytes longer."""
    return _ChunkCipher(secret, header).seal(plaintext, _DATA)


def open_once(secret: bytes, header: bytes, sealed: bytes) -> bytes:
    """Open what `seal_once` made; raises OccultaError(SEAL_BROKEN)."""
    return _ChunkCipher(secret, header).open(sealed, _DATA)


def _wrap(key: PublicKey, context: Context, fixed: bytes, file_key: bytes) -> bytes:
    return wrap(key, context.info, fixed, file_key)


def _unwrap(header: bytes, context: Context, key: PrivateKey) -> bytes:
    fixed, stanzas = header[:FIXED_HEADER_SIZE], header[FIXED_HEADER_SIZE:]
    return unwrap(key, context.info, fixed, stanzas)


def _join_conclusion(digest: bytes, signature: bytes, fingerprints: bytes, notes: bytes) -> bytes:
    counts = bytes([bool(signature), len(fingerprints) // FINGERPRINT_SIZE])
    return digest + counts + signature + fingerprints + notes


def _split_conclusion(plaintext: bytes) -> Conclusion:
    if len(plaintext) < _DIGEST_SIZE + 2:
        raise OccultaError(Reason.SEAL_BROKEN, "the sealed conclusion is too short")
    at = _DIGEST_SIZE + 2
    signed = SIGNATURE_SIZE * (plaintext[_DIGEST_SIZE] != 0)
    listed = FINGERPRINT_SIZE * plaintext[_DIGEST_SIZE + 1]
    if len(plaintext) < at + signed + listed:
        raise OccultaError(Reason.SEAL_BROKEN, "the sealed conclusion is too short")
    names = plaintext[at + signed : at + signed + listed]
    signature = plaintext[at : at + signed]
    return Conclusion(plaintext[:_DIGEST_SIZE], plaintext[at + signed + listed :], signature, names)


def fingerprints_in(joined: bytes) -> Iterator[bytes]:
    """Fingerprints that were joined, one by one."""
    for at in range(0, len(joined), FINGERPRINT_SIZE):
        yield joined[at : at + FINGERPRINT_SIZE]

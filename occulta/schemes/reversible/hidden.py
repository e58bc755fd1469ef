"""The hidden stream: what is carried, in order, by the carriers of a marked file.

    sealed header, data chunks (occulta.codec.crypto), then control bytes: 00 says that nothing
    follows yet, 01 that the conclusion does. After the conclusion nothing is carried.

The conclusion comes in the last stretch of the file, when the digest of the whole is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from occulta.codec import crypto
from occulta.errors import OccultaError, Reason
from occulta.schemes.reversible.bits import Parsing

SCHEME = 1
"""Number of the scheme in sealed headers."""
IDLE = b"\x00"
CONCLUDE = b"\x01"
ReadPrivate = Callable[[int], bytes]
"""Returns up to n bytes of the private data; none at its end."""


_SIZE_BITS = 30
EFFORTS = 3


def declare(size: int | None, effort: int = 0) -> int:
    """The sealed header's word for private bytes in all (None: not known) and effort.

    The effort (0..EFFORTS - 1) says how much more than needed a plan provides for while it only
    knows the beginning of the picture; a size that is not known asks for the fullest plan.
    """
    if size is None or size >> _SIZE_BITS:
        return crypto.UNKNOWN_SIZE
    return effort << _SIZE_BITS | size


def declared(word: int) -> tuple[int | None, int]:
    """Size and effort of a header's word."""
    if word >> _SIZE_BITS >= EFFORTS:
        return None, 0
    return word & ((1 << _SIZE_BITS) - 1), word >> _SIZE_BITS


class HiddenSource(Protocol):
    """Where the bytes to be hidden come from: freshly sealed, or replayed to check a marking."""

    @property
    def effort(self) -> int:
        """How generously to plan; see `declare`."""

    def next_frame(self) -> bytes | None:
        """The next bytes of header or data; None once there are no more."""

    def remaining(self) -> int | None:
        """Bytes that `next_frame` will still return, or None if that is not known."""

    def conclude(self, digest: bytes, notes: bytes) -> bytes:
        """The conclusion, its control byte included."""

    def conclusion_size(self, notes_size: int) -> int:
        """Bytes that `conclude` returns."""


class SealedSource:
    """Seals private data chunk by chunk as it is asked for."""

    def __init__(
        self, sealer: crypto.Sealer, read: ReadPrivate, declared_size: int | None,
        effort: int = 0,
    ) -> None:
        self.declared_size = declared_size
        self.effort = effort
        self._sealer = sealer
        self._read = read
        self._header: bytes | None = sealer.header
        self._ahead: bytes | None = None
        self._last = False
        self._sealed = 0

    def next_frame(self) -> bytes | None:
        """Header first, then data chunks of CHUNK_SIZE; the last one says so."""
        if self._header is not None:
            header, self._header = self._header, None
            return header
        if self._last:
            return None
        chunk = self._ahead if self._ahead is not None else self._read_chunk()
        self._ahead = self._read_chunk() if len(chunk) == crypto.CHUNK_SIZE else b""
        self._last = not self._ahead
        self._sealed += len(chunk)
        if self._last and self.declared_size not in (None, self._sealed):
            raise OccultaError(
                Reason.PRIVATE_CHANGED,
                f"the private data has {self._sealed} bytes, not {self.declared_size}",
            )
        return self._sealer.data(chunk, self._last)

    def _read_chunk(self) -> bytes:
        chunk = b""
        while len(chunk) < crypto.CHUNK_SIZE:
            piece = self._read(crypto.CHUNK_SIZE - len(chunk))
            if not piece:
                break
            chunk += piece
        return chunk

    def remaining(self) -> int | None:
        """Bytes of frames to come, if the size of the private data is known."""
        if self.declared_size is None:
            return None
        header = len(self._header) if self._header is not None else 0
        left = self.declared_size - self._sealed
        return header + (0 if self._last or left < 0 else sealed_size(left))

    def conclude(self, digest: bytes, notes: bytes) -> bytes:
        """Control byte and sealed conclusion."""
        return CONCLUDE + self._sealer.conclude(digest, notes)

    def conclusion_size(self, notes_size: int) -> int:
        """Bytes that `conclude` returns."""
        return 1 + self._sealer.conclusion_size(notes_size)


def sealed_size(private_bytes: int) -> int:
    """Bytes of the data chunks that hold `private_bytes`."""
    chunks = max(1, -(-private_bytes // crypto.CHUNK_SIZE))
    return private_bytes + chunks * crypto.CHUNK_OVERHEAD


def header_size(recipients: int) -> int:
    """Bytes of a sealed header."""
    return crypto.FIXED_HEADER_SIZE + recipients * crypto.STANZA_SIZE


class ReplaySource:
    """Hands out recorded bytes again: to see what marking the restored original gives."""

    def __init__(
        self, read: ReadPrivate, size: int, conclusion: bytes, declared_size: int | None,
        effort: int = 0, notes_size: int = 0,
    ) -> None:
        """`notes_size` is that of the notes in the conclusion, so that plans come out the same."""
        self.declared_size = declared_size
        self.effort = effort
        self._read = read
        self._left = size
        self._conclusion = conclusion
        self._fixed_size = len(conclusion) - notes_size

    def next_frame(self) -> bytes | None:
        """The next recorded bytes."""
        piece = self._read(min(self._left, crypto.CHUNK_SIZE)) if self._left else b""
        self._left -= len(piece)
        return piece or None

    def remaining(self) -> int | None:
        """Recorded bytes not handed out; as unknown as they were to the marker."""
        return None if self.declared_size is None else self._left

    def conclude(self, digest: bytes, notes: bytes) -> bytes:
        """The recorded conclusion, whatever the arguments."""
        return self._conclusion

    def conclusion_size(self, notes_size: int) -> int:
        """Bytes of the recorded conclusion, had its notes this size."""
        return self._fixed_size + notes_size


@dataclass(slots=True)
class Opened:
    """What a recovery has learnt from the hidden stream so far."""

    unsealer: crypto.Unsealer
    private_bytes: int = 0
    data_complete: bool = False
    idle: int = 0
    conclusion: crypto.Conclusion | None = None
    conclusion_frame: bytes = b""


class HiddenReader:
    """Opens the hidden stream as it comes in.

    `write` receives private data (each piece verified, the whole not yet), `record` every byte of
    header and data, for a later `ReplaySource`.
    """

    def __init__(
        self, key: crypto.PrivateKey, profile: int, write: Callable[[bytes], object],
        record: Callable[[bytes], object],
    ) -> None:
        self.opened: Opened | None = None
        self._key = key
        self._profile = profile
        self._write = write
        self._record = record
        self.recognised = False
        """The hidden bits begin as a marked file's do."""

    def parse(self) -> Parsing[Opened]:
        """Parser of the hidden stream; raises OccultaError."""
        header = yield crypto.FIXED_HEADER_SIZE
        self._check_header(header)
        header += yield crypto.STANZA_SIZE * header[-1]
        self._record(header)
        self.opened = opened = Opened(crypto.Unsealer(header, self._key))
        while not opened.data_complete:
            head = yield 2
            size = (head[0] & 0x7F) << 8 | head[1]
            if size > crypto.CHUNK_SIZE:
                raise OccultaError(Reason.SEAL_BROKEN, "a hidden chunk has an impossible size")
            sealed = yield size + crypto.TAG_SIZE
            plaintext = opened.unsealer.data(sealed, head[0] > 0x7F)
            self._record(head + sealed)
            self._write(plaintext)
            opened.private_bytes += size
            opened.data_complete = head[0] > 0x7F
        yield from self._parse_conclusion(opened)
        return opened

    def _parse_conclusion(self, opened: Opened) -> Parsing[None]:
        while (control := (yield 1)) == IDLE:
            opened.idle += 1
        if control != CONCLUDE:
            raise OccultaError(Reason.BAD_HIDDEN_DATA, "the hidden stream breaks off")
        head = yield 2
        size = head[0] << 8 | head[1]
        if size < crypto.TAG_SIZE:
            raise OccultaError(Reason.BAD_HIDDEN_DATA, "the hidden conclusion is too short")
        sealed = yield size
        opened.conclusion = opened.unsealer.conclude(sealed)
        opened.conclusion_frame = CONCLUDE + head + sealed

    def _check_header(self, header: bytes) -> None:
        if header[:1] != crypto.MAGIC[:1]:
            raise OccultaError(Reason.NOTHING_HIDDEN, "the picture carries no hidden data")
        self.recognised = True
        if header[:2] != crypto.MAGIC or not 1 <= header[-1] <= crypto.MAX_RECIPIENTS:
            raise OccultaError(Reason.BAD_HIDDEN_DATA, "hidden data of an unknown version")
        if header[2] != SCHEME or header[3] != self._profile:
            raise OccultaError(
                Reason.BAD_HIDDEN_DATA, "the hidden data names another scheme or profile"
            )

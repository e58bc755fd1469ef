"""Drives the markers and restorers, and counts what they carry and how long the kernel runs."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from unittest.mock import patch

from occulta.codec import kernels
from occulta.codec.crypto import UNKNOWN_SIZE, Context, PrivateKey, Sealer
from occulta.codec.jpeg import entropy_kernel as layout
from occulta.codec.jpeg.engine import ScanRun
from occulta.codec.jpeg.structure import ItemKind, JpegBuffer
from occulta.errors import OccultaError
from occulta.limits import DEFAULT_LIMITS, Limits
from occulta.schemes.reversible import EXACT, PROFILES, SCHEME, open_marker, open_restorer
from occulta.schemes.reversible.hidden import SealedSource
from occulta.schemes.reversible.paper import PaperMarker
from occulta.schemes.reversible.recover import Patcher, Restorer

KEY = PrivateKey.generate()
CHUNK = 1 << 16
PRODUCT = b"benchmrk"


def source_of(private: bytes, profile: str) -> SealedSource:
    """Freshly sealed private data of known size."""
    context = Context(SCHEME, PROFILES[profile], PRODUCT)
    sealer = Sealer.create(context, [KEY.public], None, min(len(private), UNKNOWN_SIZE))
    return SealedSource(sealer, io.BytesIO(private).read, len(private))


class CountedPaperMarker(PaperMarker):
    """Also counts the blocks that can carry."""

    carriers = 0

    def end_scan(self, run: ScanRun) -> None:
        super().end_scan(run)
        self.carriers += run.state[layout.CARRIERS]


@dataclass(frozen=True, slots=True)
class Marked:
    """A marked file and what it carries."""

    data: bytes
    carried_bits: int
    """Side information, sealed header, data and conclusion; idle bits are not counted."""
    streamed: bool
    """Whether marking began before the end of the file was in view."""
    carriers: int = 0
    """Blocks that can carry (`paper` only)."""


def mark(
    jpeg: bytes, private: bytes, profile: str, limits: Limits = DEFAULT_LIMITS
) -> Marked:
    """Mark a file in chunks; raises OccultaError."""
    source = _Counted(source_of(private, profile))
    paper = profile == "paper"
    marker = CountedPaperMarker(source, limits) if paper else open_marker(EXACT, source, limits)
    out = b"".join(marker.feed(chunk) for chunk in chunks(jpeg))
    streamed = marker.scans_begun > 0
    out += marker.finish()
    carriers = marker.carriers if isinstance(marker, CountedPaperMarker) else 0
    return Marked(out, 8 * source.bytes + marker.side_bits, streamed, carriers)


class _Counted:
    """A source that counts the bytes it hands out."""

    def __init__(self, inner: SealedSource) -> None:
        self.bytes = 0
        self.declared_size = inner.declared_size
        self.remaining = inner.remaining
        self.conclusion_size = inner.conclusion_size
        self._inner = inner

    def next_frame(self) -> bytes | None:
        frame = self._inner.next_frame()
        self.bytes += len(frame or b"")
        return frame

    def conclude(self, digest: bytes, notes: bytes) -> bytes:
        conclusion = self._inner.conclude(digest, notes)
        self.bytes += len(conclusion)
        return conclusion


def chunks(data: bytes) -> Iterator[bytes]:
    """The data cut as a reader would."""
    return (data[at : at + CHUNK] for at in range(0, len(data), CHUNK))


def recover(marked: bytes, profile: str) -> tuple[bytes, bytes]:
    """(original, private data), the digest checked; raises OccultaError or AssertionError."""
    private = io.BytesIO()
    restorer = restorer_of(profile, private.write)
    out = b"".join(restorer.feed(chunk) for chunk in chunks(marked)) + restorer.finish()
    recovered = restorer.recovered
    assert recovered is not None
    original = Patcher(recovered.patches).feed(out)
    assert hashlib.sha256(original).digest() == recovered.conclusion.digest
    return original, private.getvalue()


def restorer_of(profile: str, write: Callable[[bytes], object]) -> Restorer:
    """A restorer that keeps no sealed bytes."""
    return open_restorer(PROFILES[profile], KEY, write, lambda _: None)


def comes_back(jpeg: bytes, private: bytes, marked: bytes, profile: str) -> bool:
    """Whether a recovery gives the original and the private data, bit for bit."""
    try:
        return recover(marked, profile) == (jpeg, private)
    except (OccultaError, AssertionError):
        return False


def entropy_bytes(jpeg: bytes) -> int:
    """Bytes of all scans together; raises OccultaError for what is not a JPEG."""
    buffer = JpegBuffer(DEFAULT_LIMITS)
    buffer.append(jpeg)
    buffer.close()
    scans = [item for item in buffer.items if item.kind is ItemKind.SCAN]
    return sum((item.end or 0) - item.start for item in scans)


class TimedKernel:
    """A kernel whose functions add their CPU time to `seconds`."""

    def __init__(self, module: ModuleType) -> None:
        self.seconds = 0.0
        self._module = module

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(self._module, name)

        def timed(*arguments: Any) -> Any:
            started = time.process_time()
            try:
                return function(*arguments)
            finally:
                self.seconds += time.process_time() - started

        return timed


@contextmanager
def timed_kernel() -> Iterator[TimedKernel]:
    """Every engine made inside uses one timed kernel, surveys and probes included."""
    timed = TimedKernel(kernels.load_kernel("occulta.codec.jpeg.entropy_kernel"))
    with patch.object(kernels, "load_kernel", lambda *_: timed):
        yield timed


def is_compiled() -> bool:
    """Whether the compiled kernel is used."""
    return kernels.is_compiled(kernels.load_kernel("occulta.codec.jpeg.entropy_kernel"))

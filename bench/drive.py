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
from occulta.codec.crypto import Context, PrivateKey, Sealer
from occulta.codec.jpeg import entropy_kernel as layout
from occulta.codec.jpeg.engine import ScanRun
from occulta.codec.jpeg.structure import ItemKind, JpegBuffer
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS, Limits
from occulta.schemes.reversible import EXACT, PROFILES, SCHEME, open_marker, open_restorer
from occulta.schemes.reversible.hidden import EFFORTS, SealedSource, declare
from occulta.schemes.reversible.paper import PaperMarker
from occulta.schemes.reversible.recover import Patcher, Restorer

KEY = PrivateKey.generate()
CHUNK = 1 << 16
PRODUCT = b"benchmrk"


class CountedSource(SealedSource):
    """A source that counts the bytes it hands out."""

    handed_out = 0

    def next_frame(self) -> bytes | None:
        frame = super().next_frame()
        self.handed_out += len(frame or b"")
        return frame

    def conclude(self, digest: bytes, notes: bytes) -> bytes:
        conclusion = super().conclude(digest, notes)
        self.handed_out += len(conclusion)
        return conclusion


def source_of(private: bytes, profile: str, effort: int = 0) -> CountedSource:
    """Freshly sealed private data; its size is not told at the last effort."""
    size = len(private) if effort < EFFORTS else None
    told = effort % EFFORTS
    context = Context(SCHEME, PROFILES[profile], PRODUCT)
    sealer = Sealer.create(context, [KEY.public], None, declare(size, told))
    return CountedSource(sealer, io.BytesIO(private).read, size, told)


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
    idle_bits: int
    """Choices made with nothing to say."""
    streamed: bool
    """Whether marking began before the end of the file was in view."""
    effort: int
    """0 where the first plan held; more where it had to be marked again."""
    carriers: int = 0
    """Blocks that can carry (`paper` only)."""


def mark(
    jpeg: bytes, private: bytes, profile: str, limits: Limits = DEFAULT_LIMITS, effort: int = 0
) -> Marked:
    """Mark a file in chunks as `protect` does; raises OccultaError.

    Where a forecast proves wrong it is marked again, planned more generously.
    """
    last = EFFORTS if profile == "exact" else 0
    while True:
        try:
            return _mark_once(jpeg, private, profile, limits, effort)
        except OccultaError as error:
            if error.reason is not Reason.DOES_NOT_FIT or effort >= last:
                raise
        effort += 1


def _mark_once(jpeg: bytes, private: bytes, profile: str, limits: Limits, effort: int) -> Marked:
    source = source_of(private, profile, effort)
    paper = profile == "paper"
    marker = CountedPaperMarker(source, limits) if paper else open_marker(EXACT, source, limits)
    out = b"".join(marker.feed(chunk) for chunk in chunks(jpeg))
    streamed = marker.scans_begun > 0
    out += marker.finish()
    carriers = marker.carriers if isinstance(marker, CountedPaperMarker) else 0
    carried = 8 * source.handed_out + marker.side_bits
    return Marked(out, carried, marker.hidden_bits - carried, streamed, effort, carriers)


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

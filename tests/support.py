"""Drivers of marking and recovery, with fixed keys: what the tests of the library share."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import numpy as np

from occulta.codec import crypto
from occulta.codec.kernels import is_compiled, load_kernel
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS, Limits
from occulta.schemes.reversible.exact import ExactMarker
from occulta.schemes.reversible.exact_recover import ExactRestorer
from occulta.schemes.reversible.hidden import (
    SCHEME,
    HiddenSource,
    ReplaySource,
    SealedSource,
    declare,
    declared,
)
from occulta.schemes.reversible.mark import EXACT, PAPER, Marker
from occulta.schemes.reversible.paper import PaperMarker
from occulta.schemes.reversible.recover import PaperRestorer, Patcher, Restorer

KERNEL = "occulta.codec.jpeg.entropy_kernel"
KEY = crypto.PrivateKey(bytes(range(1, 33)))
OTHER_KEY = crypto.PrivateKey(bytes(range(2, 34)))
SATELLITE = crypto.SigningKey(bytes(range(3, 35)))
FILE_KEY = bytes(range(4, 20))
PRODUCT = b"product1"
PROFILES = {"exact": EXACT, "paper": PAPER}
SMALL = Limits(hold_back=8192, quantum=1024)
"""Limits with which a file of some 20 KB already streams past the look-ahead."""

_MARKERS = {"exact": ExactMarker, "paper": PaperMarker}
_RESTORERS = {"exact": ExactRestorer, "paper": PaperRestorer}


def compiled_kernel() -> ModuleType | None:
    """The compiled kernel, or None where it was not built."""
    try:
        return load_kernel(KERNEL, "compiled")
    except OccultaError:
        return None


def runs_compiled() -> bool:
    """True if tests that name no kernel run on the compiled one."""
    return is_compiled(load_kernel(KERNEL))


def by_kernel(compiled: int, plain: int) -> int:
    """A number of examples: fewer where the slow kernel runs them."""
    return compiled if runs_compiled() else plain


def private_bytes(size: int, seed: int = 1) -> bytes:
    """Incompressible private data."""
    return np.random.default_rng(seed).bytes(size)


def pieces(data: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    """The data cut at the given offsets."""
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return (data[a:b] for a, b in zip(edges, edges[1:], strict=False))


def each_byte(data: bytes) -> Iterator[bytes]:
    """The data one byte at a time."""
    return (data[at : at + 1] for at in range(len(data)))


def context(profile: str, product: bytes = PRODUCT, scheme: int = SCHEME) -> crypto.Context:
    """What a stream of this profile is bound to."""
    return crypto.Context(scheme, PROFILES[profile], product)


@cache
def fixed_header(
    profile: str, declared: int = crypto.UNKNOWN_SIZE, recipients: tuple[crypto.PublicKey, ...] = ()
) -> bytes:
    """A sealed header around FILE_KEY: HPKE is random, so one is made per run and kept."""
    ctx = context(profile)
    keys = recipients or (KEY.public,)
    fixed = crypto.MAGIC + bytes([ctx.scheme, ctx.profile]) + ctx.product_id
    fixed += declared.to_bytes(4, "big") + bytes([len(keys)])
    return fixed + b"".join(crypto._wrap(key, ctx, fixed, FILE_KEY) for key in keys)


def fixed_sealer(
    profile: str, declared: int | None = None, header: bytes | None = None,
    signing_key: crypto.SigningKey | None = None,
) -> crypto.Sealer:
    """A sealer that gives the same bytes each time within a run (or with `header`, always)."""
    size = crypto.UNKNOWN_SIZE if declared is None else declared
    made = header or fixed_header(profile, size)
    return crypto.Sealer(context(profile), [KEY.public], made, FILE_KEY, signing_key)


def make_marker(
    profile: str, source: HiddenSource, limits: Limits = DEFAULT_LIMITS, kernel: str | None = None
) -> Marker:
    """A marker of either profile."""
    return _MARKERS[profile](source, limits, kernel)


def run_marker(marker: Marker, chunks: Iterable[bytes]) -> bytes:
    """Everything a marker puts out."""
    return b"".join([*map(marker.feed, chunks), marker.finish()])


def mark(
    original: bytes, private: bytes, profile: str = "exact", *, limits: Limits = DEFAULT_LIMITS,
    chunks: Iterable[bytes] | None = None, declared: bool = True, effort: int = 0,
    kernel: str | None = None, sealer: crypto.Sealer | None = None,
) -> bytes:
    """The marked file."""
    size = len(private) if declared else None
    made = sealer or fixed_sealer(profile, declare(size, effort))
    source = SealedSource(made, io.BytesIO(private).read, size, effort)
    marker = make_marker(profile, source, limits, kernel)
    return run_marker(marker, [original] if chunks is None else chunks)


@dataclass
class Recovery:
    """What came back from a marked file, digest verified."""

    original: bytes
    private: bytes
    profile: str
    record: bytes
    restorer: Restorer

    @property
    def conclusion(self) -> crypto.Conclusion:
        assert self.restorer.recovered is not None
        return self.restorer.recovered.conclusion

    @property
    def unsealer(self) -> crypto.Unsealer:
        assert self.restorer.recovered is not None
        return self.restorer.recovered.opened.unsealer

    def remarked(self, limits: Limits = DEFAULT_LIMITS, kernel: str | None = None) -> bytes:
        """What marking the restored original with the recorded hidden bytes gives."""
        assert self.restorer.recovered is not None
        opened = self.restorer.recovered.opened
        source = ReplaySource(
            io.BytesIO(self.record).read, len(self.record), opened.conclusion_frame,
            *declared(opened.unsealer.declared_size), len(opened.conclusion.notes),
        )
        marker = make_marker(self.profile, source, limits, kernel)
        return run_marker(marker, [self.original])


def recover(
    marked: bytes, profile: str = "exact", *, key: crypto.PrivateKey = KEY,
    limits: Limits = DEFAULT_LIMITS, chunks: Iterable[bytes] | None = None,
    kernel: str | None = None,
) -> Recovery:
    """Restore and verify; raises OccultaError."""
    private, record = io.BytesIO(), io.BytesIO()
    restorer = _RESTORERS[profile](key, private.write, record.write, limits, kernel)
    restored = [restorer.feed(chunk) for chunk in ([marked] if chunks is None else chunks)]
    restored.append(restorer.finish())
    assert restorer.recovered is not None
    patcher = Patcher(restorer.recovered.patches)
    original = b"".join(map(patcher.feed, restored))
    if hashlib.sha256(original).digest() != restorer.recovered.conclusion.digest:
        raise OccultaError(Reason.DIGEST_MISMATCH, "the restored bytes do not match the digest")
    return Recovery(original, private.getvalue(), profile, record.getvalue(), restorer)


def assert_recovers(marked: bytes, original: bytes, private: bytes, profile: str,
                    limits: Limits = DEFAULT_LIMITS) -> None:
    """Recover, compare, mark again: all the same bytes."""
    back = recover(marked, profile, limits=limits)
    assert back.original == original
    assert back.private == private
    assert back.remarked(limits) == marked


def assert_round_trip(
    original: bytes, private: bytes, profile: str, limits: Limits = DEFAULT_LIMITS
) -> bytes:
    """Mark and recover; return the marked file."""
    marked = mark(original, private, profile, limits=limits)
    assert_recovers(marked, original, private, profile, limits)
    return marked


def refusal(original: bytes, profile: str, private: bytes = b"secret") -> Reason | None:
    """Why marking is refused, or None after an exact round trip; anything else fails the test."""
    try:
        marked = mark(original, private, profile)
    except OccultaError as error:
        return error.reason
    try:
        assert_recovers(marked, original, private, profile)
    except OccultaError as error:
        raise AssertionError(f"marked, but cannot be recovered: {error}") from error
    return None

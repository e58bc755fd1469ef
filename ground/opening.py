"""A sealed file (occulta/schemes/sealed.py) opened by whichever recipient key fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

from occulta.codec.crypto import PrivateKey, VerifyingKey
from occulta.errors import OccultaError, Reason
from occulta.program import files
from occulta.schemes.sealed import OpeningStream

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Opened:
    """What was sealed, verified: bytes, SHA-256, and whether the signer given signed it."""

    size: int
    digest: bytes
    product_id: bytes
    is_signed: bool
    is_authentic: bool


def with_some_key(keys: Sequence[PrivateKey], action: Callable[[PrivateKey], T]) -> T:
    """Do it with the first key that fits; raises OccultaError, WRONG_KEY if none does."""
    for key in keys:
        try:
            return action(key)
        except OccultaError as error:
            if error.reason is not Reason.WRONG_KEY:
                raise
    detail = "no recipient key at hand opens this" if keys else "no recipient key is at hand"
    raise OccultaError(Reason.WRONG_KEY, detail)


def open_sealed(
    sealed: BinaryIO, out: files.OutputFile, keys: Sequence[PrivateKey],
    signer: VerifyingKey | None,
) -> Opened:
    """Open a sealed file into another; raises OccultaError, WRONG_KEY if no key fits."""
    return with_some_key(keys, lambda key: _open(sealed, out, key, signer))


def _open(
    sealed: BinaryIO, out: files.OutputFile, key: PrivateKey, signer: VerifyingKey | None
) -> Opened:
    sealed.seek(0)  # a key that does not fit is found out before anything is written
    stream = OpeningStream(key)
    size = 0
    for chunk in files.chunks_of(sealed, str(out.path)):
        plain = stream.feed(chunk)
        out.write(plain)
        size += len(plain)
    stream.finish()
    if stream.unsealer is None or stream.conclusion is None:
        raise ValueError("finish has verified less than the whole")
    return Opened(
        size, stream.conclusion.digest, stream.unsealer.context.product_id,
        bool(stream.conclusion.signature), signer is not None and stream.is_authentic(signer),
    )

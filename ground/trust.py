"""Whose signatures count: known satellites, and keys that count no longer.

A revocations file has one line for each revocation: `occulta-revocation-1 FINGERPRINT SINCE`, the
fingerprint in hexadecimal, the time in seconds since 1970-01-01 UTC. What a key signed before that
time still counts; the time of a product is the one in its manifest.
"""

from __future__ import annotations

import fcntl
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from occulta.codec.crypto import FINGERPRINT_SIZE, VerifyingKey
from occulta.errors import OccultaError, Reason
from occulta.link.messages import satellite_fingerprint
from occulta.program import files

MAX_FILE = 1 << 20
"""Bytes of a revocations file."""
_TAG = "occulta-revocation-1"


class Revocation(NamedTuple):
    """A key named by its fingerprint, and since when it counts no longer."""

    fingerprint: bytes
    since: float


class Trust:
    """Known satellites by name, and their revocations."""

    def __init__(
        self, known: Mapping[str, VerifyingKey], revocations: Iterable[Revocation] = ()
    ) -> None:
        """Raises ValueError for one key under two names."""
        self.keys = {satellite_fingerprint(key): key for key in known.values()}
        """By fingerprint, as `open_manifest` takes them."""
        self._names = {satellite_fingerprint(key): name for name, key in known.items()}
        if len(self._names) < len(known):
            raise ValueError("two satellites of one key")
        self._since: dict[bytes, float] = {}
        for fingerprint, since in revocations:
            self._since[fingerprint] = min(since, self._since.get(fingerprint, math.inf))

    def name(self, signer: bytes) -> str | None:
        """The satellite's name, None for an unknown key."""
        return self._names.get(signer)

    def revoked_since(self, signer: bytes) -> float:
        """When the key stopped to count; infinity for one that was not revoked."""
        return self._since.get(signer, math.inf)


def read_revocations(path: Path) -> tuple[Revocation, ...]:
    """The revocations in a file; raises OccultaError(CONFIG_INVALID), for a missing file too."""
    return _parse(_read(path), path)


def _read(path: Path) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(MAX_FILE + 1)
    except OSError as error:
        hint = "make an empty file if nothing was revoked"
        raise _invalid(f"cannot read {path}: {error.strerror}", hint) from None


def add_revocation(path: Path, revocation: Revocation) -> None:
    """Append to a file, made if it is missing: the whole of the line or nothing.

    Raises OccultaError: CONFIG_INVALID for a file that is none, DISK_FULL, OUTPUT_UNWRITABLE.
    """
    if not 0 <= revocation.since < math.inf:
        raise ValueError("since must be a time")
    line = f"{_TAG} {revocation.fingerprint.hex()} {revocation.since!r}\n"
    with _locked(path.parent):
        content = _read(path) if path.exists() else b""
        _parse(content, path)
        if content and not content.endswith(b"\n"):
            content += b"\n"
        with files.output(path, replace=True) as new:
            new.write(content + line.encode())
            new.publish()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two commands at a time would lose one of two lines."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise files.write_failure(error, folder) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _parse(content: bytes, path: Path) -> tuple[Revocation, ...]:
    if len(content) > MAX_FILE:
        raise _invalid(f"{path} is longer than {MAX_FILE} bytes")
    lines = content.decode("ascii", "replace").split("\n")
    return tuple(
        _parse_line(line.split(), f"{path}, line {number}")
        for number, line in enumerate(lines, 1) if line.strip()
    )


def _parse_line(words: list[str], place: str) -> Revocation:
    """A line that cannot be read might name a key: it is refused, never skipped."""
    try:
        tag, fingerprint, since = words
        found = Revocation(bytes.fromhex(fingerprint), float(since))
    except ValueError:
        raise _invalid(f"{place}: not a revocation") from None
    if tag != _TAG or len(found.fingerprint) != FINGERPRINT_SIZE or not 0 <= found.since < math.inf:
        raise _invalid(f"{place}: not a revocation")
    return found


def _invalid(detail: str, hint: str = "occulta-ground revoke writes the file") -> OccultaError:
    return OccultaError(Reason.CONFIG_INVALID, detail, hint)

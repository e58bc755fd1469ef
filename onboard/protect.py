"""`occulta-onboard protect`: hide a private file in a JPEG picture."""

from __future__ import annotations

import argparse
import io
import json
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from occulta.codec import crypto
from occulta.errors import OccultaError, Reason
from occulta.program import cli, files, keyfiles
from occulta.schemes.reversible import PROFILES, SCHEME, open_marker
from occulta.schemes.reversible.hidden import EFFORTS, SealedSource, declare
from onboard import capacity

READ_AHEAD = 1 << 20
"""Bytes read of a private pipe to learn its size; a longer one is of unknown size."""


@dataclass
class Job:
    """One run: streams, keys, what was asked for."""

    image: BinaryIO
    private: BinaryIO
    private_size: int | None
    recipients: list[crypto.PublicKey]
    signing_key: crypto.SigningKey | None
    options: argparse.Namespace
    out: files.OutputFile | files.StandardOutput


def run(options: argparse.Namespace) -> int:
    """The command."""
    with ExitStack() as stack:
        job = _open(options, stack)
        try:
            written = _protect(job)
        except OccultaError as error:
            raise _explained(error, job) from None
        if isinstance(job.out, files.OutputFile):
            files.publish_together([job.out], lambda: _report(job, written))
    return 0


def _open(options: argparse.Namespace, stack: ExitStack) -> Job:
    recipients, signing = keyfiles.read_sealing_keys(
        options.to, options.sign, crypto.MAX_RECIPIENTS
    )
    image = stack.enter_context(files.open_input(options.image))
    private, size = _open_private(options.private, stack)
    out = _open_output(options.output, stack)
    return Job(image, private, size, recipients, signing, options, out)


def _open_private(name: str, stack: ExitStack) -> tuple[BinaryIO, int | None]:
    """The private data and its size; of a pipe only if it is short."""
    stream = stack.enter_context(files.open_input(name))
    size = files.size_of(stream)
    if size is not None:
        return stream, size
    head = files.read_some(stream, READ_AHEAD, name)
    if len(head) < READ_AHEAD:
        return io.BytesIO(head), len(head)
    return io.BufferedReader(_Joined(head, stream)), None


class _Joined(io.RawIOBase):
    """Bytes already read, then the rest of their stream."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head = io.BytesIO(head)
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        data = self._head.read(len(view)) or self._rest.read(len(view))
        view[: len(data)] = data
        return len(data)


def _open_output(name: str, stack: ExitStack) -> files.OutputFile | files.StandardOutput:
    if name == files.STANDARD:
        return files.StandardOutput()
    return stack.enter_context(files.output(Path(name)))


def _protect(job: Job) -> int:
    """Mark; where the forecast of a plan proved wrong, mark again with a more generous one."""
    plans: list[tuple[int | None, int]] = [(job.private_size, n) for n in range(EFFORTS)]
    if not _can_repeat(job):
        return _mark(job, *plans[0])
    for size, effort in plans:
        try:
            return _mark(job, size, effort)
        except OccultaError as error:
            if error.reason not in (Reason.DOES_NOT_FIT, Reason.NO_CARRIERS_AT_END):
                raise
        _rewind(job)
    return _mark(job, None, 0)


def _rewind(job: Job) -> None:
    job.image.seek(0)
    job.private.seek(0)
    if isinstance(job.out, files.OutputFile):
        job.out.restart()


def _can_repeat(job: Job) -> bool:
    exact = job.options.profile == "exact" and job.private_size is not None
    again = files.size_of(job.image) is not None and job.private.seekable()
    return exact and again and isinstance(job.out, files.OutputFile)


def _mark(job: Job, size: int | None, effort: int) -> int:
    marker = open_marker(PROFILES[job.options.profile], _source(job, size, effort))
    progress = cli.Progress("protecting", files.size_of(job.image))
    written = 0
    try:
        for chunk in files.chunks_of(job.image, job.options.image):
            marked = marker.feed(chunk)
            job.out.write(marked)
            written += len(marked)
            progress.add(len(chunk))
        for marked in marker.finish_in_pieces():
            job.out.write(marked)
            written += len(marked)
    finally:
        progress.close()
    return written


def _source(job: Job, size: int | None, effort: int) -> SealedSource:
    product = os.urandom(crypto.PRODUCT_ID_SIZE)
    context = crypto.Context(SCHEME, PROFILES[job.options.profile], product)
    sealer = crypto.Sealer.create(
        context, job.recipients, job.signing_key, declare(size, effort)
    )
    name = job.options.private
    return SealedSource(sealer, lambda n: files.read_some(job.private, n, name), size, effort)


def _explained(error: OccultaError, job: Job) -> OccultaError:
    """Say what would fit, where that is the trouble and the picture can be read again."""
    if error.reason is not Reason.DOES_NOT_FIT or files.size_of(job.image) is None:
        return error
    job.image.seek(0)
    fits = capacity.measure(
        job.image, job.options.image, job.options.profile, len(job.recipients)
    )
    size = "" if job.private_size is None else f" of {job.private_size} bytes"
    return OccultaError(
        error.reason, f"the private file{size} does not fit: this picture carries "
        + (f"{fits.private_bytes} bytes" if fits.fits else "nothing"),
    )


def _report(job: Job, written: int) -> None:
    said = {
        "output": job.options.output, "scheme": job.options.scheme,
        "profile": job.options.profile, "private_bytes": job.private_size,
        "original_bytes": files.size_of(job.image), "marked_bytes": written,
        "recipients": len(job.recipients), "signed": job.signing_key is not None,
    }
    if job.options.json:
        cli.say(json.dumps(said))
    else:
        signed = "signed" if job.signing_key else "not signed"
        cli.say(f"{job.options.output}: {written} bytes, {job.options.profile}, {signed}")

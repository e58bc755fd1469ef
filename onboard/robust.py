"""`occulta-onboard protect` and `capacity` with `--scheme robust`: a short message that stays."""

from __future__ import annotations

import argparse
import json
from bisect import bisect_left
from contextlib import ExitStack
from math import isqrt
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from occulta.codec import crypto
from occulta.codec.jpeg.coefficient_frame import CoefficientFrame
from occulta.codec.jpeg.coefficients import Header
from occulta.codec.jpeg.head import HeaderReader
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS, Limits
from occulta.program import cli, files, keyfiles
from occulta.schemes.robust import message, paper
from occulta.schemes.robust.mark import Marker, check_luminance
from occulta.schemes.robust.profiles import PROFILES

_MOST_PRIVATE = message.room(message.MOST_BITS, signed=False)
"""Bytes that the largest picture carries. Of a private file no more are read than tell that it has
more.
"""
_SIDE = 8


_AnyMarker = Marker | paper.Marker


class _Job(NamedTuple):
    """What is hidden in what."""

    image: BinaryIO
    name: str
    profile: str
    private: bytes
    recipient: crypto.PublicKey
    signing: crypto.SigningKey | None


class _Sizes(NamedTuple):
    original: int
    marked: int


def protect(options: argparse.Namespace) -> int:
    """The command: the marked picture, whole or (but for a pipe) not at all."""
    if len(options.to) > 1:
        raise OccultaError(Reason.USAGE, "robust hiding is for one recipient: give --to once")
    (recipient,), signing = keyfiles.read_sealing_keys(options.to, options.sign, 1)
    with ExitStack() as stack:
        image = stack.enter_context(files.open_input(options.image))
        private = _read_private(options.private)
        job = _Job(image, options.image, options.profile, private, recipient, signing)
        marker = _marker(job)
        if options.output == files.STANDARD:
            _mark(job, marker, files.StandardOutput())
            return 0
        out = stack.enter_context(files.output(Path(options.output)))
        sizes = _mark(job, marker, out)
        said = {
            "output": options.output, "scheme": options.scheme, "profile": options.profile,
            "private_bytes": len(private), "message_bits": marker.message_bits,
            "original_bytes": sizes.original, "marked_bytes": sizes.marked,
            "recipients": len(options.to), "signed": signing is not None,
        }
        files.publish_together([out], lambda: cli.say(_described(said, options.json)))
    return 0


def _marker(job: _Job) -> _AnyMarker:
    given = job.recipient, job.private, job.signing
    if job.profile == paper.PAPER.name:
        return paper.Marker(*given)
    return Marker(PROFILES[job.profile], *given)


def _read_private(name: str) -> bytes:
    with files.open_input(name) as stream:
        return files.read_some(stream, _MOST_PRIVATE + 1, name)


def _mark(
    job: _Job, marker: _AnyMarker, out: files.OutputFile | files.StandardOutput
) -> _Sizes:
    progress = cli.Progress("protecting", files.size_of(job.image))
    original = marked = 0
    reader, header = HeaderReader(DEFAULT_LIMITS), None
    try:
        for chunk in files.chunks_of(job.image, job.name):
            header = header or reader.feed(chunk)
            piece = marker.feed(chunk)
            out.write(piece)
            original, marked = original + len(chunk), marked + len(piece)
            progress.add(len(chunk))
        piece = marker.finish()
        out.write(piece)
    except OccultaError as error:
        if error.reason is not Reason.DOES_NOT_FIT or header is None:
            raise
        raise _explained(error, job, header.frame) from None
    finally:
        progress.close()
    return _Sizes(original, marked + len(piece))


def _explained(error: OccultaError, job: _Job, frame: CoefficientFrame) -> OccultaError:
    """What would fit, and where it would."""
    size, is_signed = (frame.width, frame.height), job.signing is not None
    carries = message.room(_most_bits(job.profile, *size), is_signed)

    def fits(profile: str, signed: bool) -> bool:
        return message.room(_most_bits(profile, *size), signed) >= len(job.private)

    ways = ["choose a smaller private file"] if carries >= 0 else []
    if is_signed and fits(job.profile, False):
        ways.append("leave --sign out (unsigned it fits)")
    others = " or ".join(name for name in PROFILES if fits(name, is_signed))
    if others:
        ways.append(f"take --profile {others}")
    hint = ", or ".join([*ways, "take a larger picture"])
    detail = error.detail if carries >= 0 else _too_small(job.profile, *size, is_signed)
    return OccultaError(error.reason, detail, hint)


def _too_small(profile: str, width: int, height: int, is_signed: bool) -> str:
    blocks, least = (width // _SIDE) * (height // _SIDE), _least_blocks(profile, is_signed)
    side = _SIDE * (isqrt(least - 1) + 1)
    return (
        f"the picture is too small for the profile {profile}: it has {blocks} whole blocks of "
        f"{_SIDE}x{_SIDE} pixels, and the smallest {'signed ' if is_signed else ''}message takes "
        f"{least} ({side}x{side} pixels)"
    )


def _least_blocks(profile: str, is_signed: bool) -> int:
    """Of the smallest picture that carries anything."""
    bits = next(bits for bits in message.sizes() if message.room(bits, is_signed) >= 0)
    enough = 1
    while _most_bits(profile, _SIDE * enough, _SIDE) < bits:
        enough *= 2
    return bisect_left(
        range(enough), bits, key=lambda blocks: _most_bits(profile, _SIDE * blocks, _SIDE)
    )


def _most_bits(profile: str, width: int, height: int) -> int:
    """Of the largest message that fits; 0: none."""
    if profile == paper.PAPER.name:
        return paper.most_bits(width, height)
    return message.most_bits(PROFILES[profile], width, height)


def _described(said: dict[str, Any], as_json: bool) -> str:
    if as_json:
        return json.dumps(said)
    signed = "signed" if said["signed"] else "not signed"
    return (
        f"{said['output']}: {said['marked_bytes']} bytes, {said['profile']}, "
        f"a message of {said['message_bits']} bits, {signed}{_warned(said['profile'])}"
    )


def _warned(profile: str) -> str:
    """Of the baseline, which looks like the rest."""
    return "\npaper is a baseline: such a message is hardly ever read" if profile == "paper" else ""


def capacity(options: argparse.Namespace) -> int:
    """The command: gross bits, and the private bytes in them, unsigned and signed.

    The picture's headers tell; what stands behind them is not looked at.
    """
    with files.open_input(options.image) as image:
        literal = options.profile == paper.PAPER.name
        limits = paper.PAPER_LIMITS if literal else DEFAULT_LIMITS
        frame = _header(image, options.image, limits).frame
    size = frame.width, frame.height
    gross = (
        paper.gross_bits(*size) if literal else message.gross_bits(PROFILES[options.profile], *size)
    )
    bits = _most_bits(options.profile, *size)
    unsigned, signed = (message.room(bits, signed=each) for each in (False, True))
    said = {
        "scheme": options.scheme, "profile": options.profile,
        "gross_bits": gross, "message_bits": bits,
        "private_bytes": max(0, signed), "private_bytes_unsigned": max(0, unsigned),
        "fits": signed >= 0, "fits_unsigned": unsigned >= 0,
    }
    cli.say(json.dumps(said) if options.json else _described_capacity(said, size))
    return 0


def _header(image: BinaryIO, name: str, limits: Limits) -> Header:
    """Of a picture that can be marked; raises OccultaError."""
    reader = HeaderReader(limits)
    for chunk in files.chunks_of(image, name):
        header = reader.feed(chunk)
        if header is not None:
            check_luminance(header)
            return header
    reader.finish()


def _described_capacity(said: dict[str, Any], size: tuple[int, int]) -> str:
    gross = f"{said['gross_bits']} gross bits (profile {said['profile']})"
    if not said["fits_unsigned"]:
        return f"nothing fits: {gross}; {_too_small(said['profile'], *size, is_signed=False)}"
    signed = f"{said['private_bytes']} signed" if said["fits"] else "nothing signed"
    fits = f"{said['private_bytes_unsigned']} private bytes fit unsigned, {signed}: {gross}"
    return fits + _warned(said["profile"])

"""`occulta-onboard protect` and `capacity` with `--scheme robust`: a short message that stays."""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from occulta.codec import crypto
from occulta.codec.jpeg.coefficients import CoefficientReader, Header
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


_AnyMarker = Marker | paper.Marker


class _Sizes(NamedTuple):
    original: int
    marked: int


def protect(options: argparse.Namespace) -> int:
    """The command: the marked picture, whole or (but for a pipe) not at all."""
    _refuse(options)
    recipients, signing = keyfiles.read_sealing_keys(options.to, options.sign, 1)
    with ExitStack() as stack:
        image = stack.enter_context(files.open_input(options.image))
        private = _read_private(options.private)
        marker = _marker(options.profile, recipients[0], private, signing)
        if options.output == files.STANDARD:
            _mark(image, options.image, marker, files.StandardOutput())
            return 0
        out = stack.enter_context(files.output(Path(options.output)))
        sizes = _mark(image, options.image, marker, out)
        said = {
            "output": options.output, "scheme": options.scheme, "profile": options.profile,
            "private_bytes": len(private), "message_bits": marker.message_bits,
            "original_bytes": sizes.original, "marked_bytes": sizes.marked,
            "recipients": len(recipients), "signed": signing is not None,
        }
        files.publish_together([out], lambda: cli.say(_described(said, options.json)))
    return 0


def _marker(
    profile: str, recipient: crypto.PublicKey, private: bytes, signing: crypto.SigningKey | None
) -> _AnyMarker:
    if profile == paper.PAPER.name:
        return paper.Marker(recipient, private, signing)
    return Marker(PROFILES[profile], recipient, private, signing)


def _refuse(options: argparse.Namespace) -> None:
    if options.image == files.STANDARD == options.private:
        raise OccultaError(Reason.USAGE, "picture and private data cannot both be standard input")
    if options.json and options.output == files.STANDARD:
        raise OccultaError(Reason.USAGE, "--json and the picture cannot both be standard output")


def _read_private(name: str) -> bytes:
    with files.open_input(name) as stream:
        return files.read_some(stream, _MOST_PRIVATE + 1, name)


def _mark(
    image: BinaryIO, name: str, marker: _AnyMarker, out: files.OutputFile | files.StandardOutput
) -> _Sizes:
    progress = cli.Progress("protecting", files.size_of(image))
    original = marked = 0
    try:
        for chunk in files.chunks_of(image, name):
            piece = marker.feed(chunk)
            out.write(piece)
            original, marked = original + len(chunk), marked + len(piece)
            progress.add(len(chunk))
        piece = marker.finish()
        out.write(piece)
    finally:
        progress.close()
    return _Sizes(original, marked + len(piece))


def _described(said: dict[str, Any], as_json: bool) -> str:
    if as_json:
        return json.dumps(said)
    signed = "signed" if said["signed"] else "not signed"
    return (
        f"{said['output']}: {said['marked_bytes']} bytes, {said['profile']}, "
        f"a message of {said['message_bits']} bits, {signed}"
    )


def capacity(options: argparse.Namespace) -> int:
    """The command: gross bits, and the private bytes in them, unsigned and signed.

    The picture's headers tell; what stands behind them is not looked at.
    """
    with files.open_input(options.image) as image:
        literal = options.profile == paper.PAPER.name
        limits = paper.PAPER_LIMITS if literal else DEFAULT_LIMITS
        frame = _header(image, options.image, limits).frame
    size = frame.width, frame.height
    if literal:
        gross, bits = paper.gross_bits(*size), paper.most_bits(*size)
    else:
        profile = PROFILES[options.profile]
        gross, bits = message.gross_bits(profile, *size), message.most_bits(profile, *size)
    unsigned, signed = (message.room(bits, signed=each) for each in (False, True))
    said = {
        "scheme": options.scheme, "profile": options.profile,
        "gross_bits": gross, "message_bits": bits,
        "private_bytes": max(0, signed), "private_bytes_unsigned": max(0, unsigned),
        "fits": signed >= 0, "fits_unsigned": unsigned >= 0,
    }
    cli.say(json.dumps(said) if options.json else _described_capacity(said))
    return 0


def _header(image: BinaryIO, name: str, limits: Limits) -> Header:
    """Of a picture that can be marked; raises OccultaError."""
    reader = CoefficientReader(limits)
    for chunk in files.chunks_of(image, name):
        next(reader.stream(chunk), None)
        if reader.header is not None:
            break
    else:
        reader.finish()
    assert reader.header is not None  # it would have raised
    check_luminance(reader.header)
    return reader.header


def _described_capacity(said: dict[str, Any]) -> str:
    """One line."""
    gross = f"{said['gross_bits']} gross bits (profile {said['profile']})"
    if not said["fits_unsigned"]:
        return f"nothing fits, not even an empty file: {gross}"
    signed = f"{said['private_bytes']} signed" if said["fits"] else "nothing signed"
    return f"{said['private_bytes_unsigned']} private bytes fit unsigned, {signed}: {gross}"

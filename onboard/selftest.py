"""`occulta-onboard selftest`: known answers of everything that must agree with the ground.

Each case computes something from fixed keys and inputs and compares its SHA-256 with the answer in
`vectors.json`, which is the same for every machine and both kernels. A machine that answers
otherwise marks pictures and protects packets that nobody can open: the daemon refuses to fly.

A further case is a function that takes the vectors and returns bytes, always the same, and a line
in `CASES`; its inputs may stand in `vectors.json`, and go there in `tests/regolden.py`, which also
writes the answers (`python -m tests.regolden`). A further kernel is a line in `KERNELS`.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from occulta.codec import crypto
from occulta.codec.kernels import is_compiled, load_kernel
from occulta.errors import OccultaError, Reason
from occulta.link import messages, pus, security
from occulta.link.cfdp import constants, pdu
from occulta.link.cfdp.checksum import Checksum
from occulta.link.cfdp.constants import ChecksumType
from occulta.link.space_packet import PacketType, header
from occulta.program import cli
from occulta.schemes import sealed
from occulta.schemes.reversible import PROFILES, SCHEME, open_marker
from occulta.schemes.reversible.hidden import SealedSource
from onboard import known_coefficients, known_fec, known_robust, known_shares

VECTORS = Path(__file__).with_name("vectors.json")
Vectors = Mapping[str, Any]
"""What is in `vectors.json`: `pictures` and other inputs, bytes in base64, and `answers`."""
KERNELS = (
    "occulta.codec.jpeg.entropy_kernel",
    "occulta.codec.jpeg.cell_kernel",
    "occulta.codec.jpeg.coefficient_kernel",
    "occulta.codec.dct_kernel",
    "occulta.codec.chaos_kernel",
    "occulta.codec.fec.turbo_kernel",
    "occulta.codec.fec.batch_kernel",
    "occulta.schemes.robust.marking_kernel",
    "occulta.link.cfdp.crc_kernel",
)
PATTERN = bytes(value * value % 251 for value in range(4099))
"""Of no round length, so that every loop has a remainder."""
FILE_KEY = bytes(range(16))
RECIPIENT = crypto.PrivateKey(bytes(range(1, 33)))
SIGNING = crypto.SigningKey(bytes(range(2, 34)))
PRODUCT = bytes(range(8))
SEALED_CONTEXT = sealed.context(PRODUCT)
_APID = 100
_CLOCK = 1_700_000_000.0


class Outcome(NamedTuple):
    """What became of one case."""

    name: str
    is_right: bool
    fault: str = ""
    """What was raised instead of an answer."""

    def __str__(self) -> str:
        return f"{self.name}: {self.fault}" if self.fault else self.name


class Mismatch(ValueError):
    """What was made here could not be opened again."""


def load_vectors() -> dict[str, Any]:
    """Inputs and answers, bytes in base64; raises OccultaError(SELFTEST_FAILED)."""
    try:
        vectors = json.loads(VECTORS.read_bytes())
        return {**vectors, "pictures": {**vectors["pictures"]}, "answers": {**vectors["answers"]}}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OccultaError(Reason.SELFTEST_FAILED, f"no known answers: {error!r}") from None


def reversible_context(profile: str) -> crypto.Context:
    """What the marked pictures of the cases are bound to."""
    return crypto.Context(SCHEME, PROFILES[profile], PRODUCT)


def _marked(picture: dict[str, str]) -> bytes:
    """A picture marked as occulta/schemes/reversible does it."""
    original, private, head = (
        base64.b64decode(picture[name]) for name in ("original", "private", "header")
    )
    profile = picture["profile"]
    sealer = crypto.Sealer(reversible_context(profile), [RECIPIENT.public], head, FILE_KEY)
    source = SealedSource(sealer, io.BytesIO(private).read, len(private), 0)
    marker = open_marker(PROFILES[profile], source)
    return marker.feed(original) + marker.finish()


def _sealed(vectors: Vectors) -> bytes:
    """A file sealed, and opened again through HPKE."""
    head = base64.b64decode(vectors["sealed_header"])
    sealer = crypto.Sealer(SEALED_CONTEXT, [RECIPIENT.public], head, FILE_KEY, SIGNING)
    stream = sealed.SealingStream(sealer)
    made = stream.feed(PATTERN) + stream.finish()
    opening = sealed.OpeningStream(RECIPIENT)
    if opening.feed(made) + opening.finish() != PATTERN:
        raise Mismatch("a sealed file opens to something else")
    return made


def _checksums(_: Vectors) -> bytes:
    kinds = (ChecksumType.MODULAR, ChecksumType.CRC_32, ChecksumType.CRC_32C)
    found = []
    for kind in kinds:
        checksum = Checksum(kind)
        checksum.update(PATTERN[:1001])
        checksum.update(PATTERN[1001:])
        found.append(checksum.value)
    return repr(found).encode()


def _file_delivery(_: Vectors) -> bytes:
    """One of each PDU of file delivery."""
    head = pdu.Header(1, 7, 2, constants.Direction.TO_RECEIVER, constants.Mode.ACKNOWLEDGED)
    bodies = (
        pdu.Metadata(len(PATTERN), "a/data", "b/data", ChecksumType.CRC_32C),
        pdu.FileData(1024, PATTERN[1024:2048]),
        pdu.Eof(constants.Condition.NO_ERROR, 0x01020304, len(PATTERN)),
        pdu.Nak(0, 4099, ((0, 1024), (2048, 3072))),
    )
    return b"".join(pdu.encode(head, body) for body in bodies)


def _link_security(_: Vectors) -> bytes:
    """Packets of two generations, opened again by the other end."""
    keys = [security.LinkKey(1, security.Role.COMMANDER, bytes(range(32)))]
    down = security.Direction.DOWN
    state = security.initialise_sender(keys, down, 1)
    sender = security.Sender(state, down, clock=_CLOCK, random=bytes)
    receiver = security.Receiver(security.initialise_receiver(keys, down), down, 0)
    made = [_protected(sender, receiver, count) for count in range(2)]
    sender.ratchet()
    return b"".join([*made, _protected(sender, receiver, 2)])


def _protected(sender: security.Sender, receiver: security.Receiver, count: int) -> bytes:
    plain = header(PacketType.TM, _APID, count, len(PATTERN)) + PATTERN
    if sender.needs_save:
        sender.saved(sender.state())
    packet = sender.protect(plain)
    try:
        opened = receiver.open(packet)
    except security.StateNotSaved:
        receiver.saved(receiver.state())
        opened = receiver.open(packet)
    if opened.packet != plain:
        raise Mismatch("a link packet opens to something else")
    return packet


def _telemetry(_: Vectors) -> bytes:
    report = pus.Event(pus.Severity.LOW, 7, 9, "known answer")
    return pus.encode_telemetry(report, apid=_APID, sequence_count=3, time=_CLOCK)


def _manifest(_: Vectors) -> bytes:
    file = messages.ManifestFile("data", len(PATTERN), hashlib.sha256(PATTERN).digest())
    manifest = messages.ProductManifest(
        PRODUCT * 2, "frame-1", _CLOCK, _CLOCK, "reversible", "exact", (file,)
    )
    return messages.sign_manifest(manifest, SIGNING)


CASES: Mapping[str, Callable[[Vectors], bytes]] = {
    "sealing": _sealed,
    "checksums": _checksums,
    "file delivery": _file_delivery,
    "link security": _link_security,
    "telemetry": _telemetry,
    "manifest": _manifest,
    "cells": known_shares.cells,
    "shares": known_shares.shares,
    "shared key": known_shares.shared_key,
    "diffusion": known_shares.diffusion,
    "turbo code": known_fec.turbo_code,
    "turbo decoding": known_fec.turbo_decoding,
    "coefficients": known_coefficients.coefficients,
    "transforms": known_coefficients.transforms,
    "robust": known_robust.robust,
}
"""Every case but the marked pictures, of which `vectors.json` says how many there are."""


def answers(vectors: Vectors) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Every case: its name, and what computes its answer."""
    for name, picture in vectors["pictures"].items():
        yield f"marking {name}", partial(_marked, picture)
    for name, compute in CASES.items():
        yield name, partial(compute, vectors)


def outcomes() -> list[Outcome]:
    """Run every case; raises OccultaError(SELFTEST_FAILED) where there are no answers."""
    vectors = load_vectors()
    expected = vectors["answers"]
    return [_outcome(name, compute, expected.get(name)) for name, compute in answers(vectors)]


def _outcome(name: str, compute: Callable[[], bytes], expected: object) -> Outcome:
    """Whatever a case raises, a library that does not load or memory that is short, is its end."""
    try:
        digest = hashlib.sha256(compute()).hexdigest()
    except Exception as error:
        return Outcome(name, False, f"{type(error).__name__}: {error}")
    return Outcome(name, digest == expected)


def require() -> None:
    """Refuse a machine that computes otherwise: raises OccultaError(SELFTEST_FAILED)."""
    _require(outcomes())


def _require(found: Iterable[Outcome]) -> None:
    wrong = [str(outcome) for outcome in found if not outcome.is_right]
    if wrong:
        raise OccultaError(Reason.SELFTEST_FAILED, f"wrong answers: {'; '.join(wrong)}")


def kernels() -> dict[str, str]:
    """Which kernels are in use: compiled, plain, or absent."""
    return {name.rpartition(".")[2]: _kind(name) for name in KERNELS}


def _kind(name: str) -> str:
    try:
        return "compiled" if is_compiled(load_kernel(name)) else "plain"
    except Exception:  # the cases that need it say why
        return "absent"


def run(options: argparse.Namespace) -> int:
    """The command: a line per case, or JSON."""
    found = outcomes()
    if options.json:
        cases = {outcome.name: outcome.is_right for outcome in found}
        cli.say(json.dumps({"cases": cases, "kernels": kernels()}))
    else:
        for outcome in found:
            cli.say(f"{'right' if outcome.is_right else 'WRONG'}  {outcome}")
        cli.say("kernels: " + ", ".join(f"{name} {kind}" for name, kind in kernels().items()))
    _require(found)
    return 0

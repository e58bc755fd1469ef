"""Fuzzing of everything that reads octets off the link; tests/fuzz.py runs it.

An input is a session: records of an act, a length of two octets, and so many octets. Each record's
octets go into every decoder, and as the act says into a CFDP entity (tests/cfdp_station.py). What
must hold: the only exception is PacketError; what was decoded is encoded to the same again; the
entity keeps to its limits, can always be saved and loaded, and is idle in the end.
"""

from __future__ import annotations

import random
from binascii import crc_hqx
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from types import UnionType

from occulta.link import messages, pus
from occulta.link.cfdp.decode import decode as decode_pdu
from occulta.link.cfdp.pdu import encode
from occulta.link.drops import PacketError
from occulta.link.messages import open_manifest, satellite_fingerprint, sign_manifest
from occulta.link.pus import decode_telecommand, decode_telemetry
from occulta.link.security import Direction, Receiver, StateNotSaved, initialise_receiver
from occulta.link.space_packet import PacketType, SpacePacket
from tests.cfdp_hostile import any_pdu, damaged
from tests.cfdp_station import ASK, RECEIVE, Station
from tests.pus_support import packets
from tests.security_support import KEYS, sender, space_packet
from tests.support import SATELLITE
from tests.test_messages import MANIFEST, SAMPLES

UNIONS: list[UnionType] = [
    messages.FromCamera, messages.ToCamera, messages.FromPayload, messages.ToPayload,
    messages.FromConsole, messages.ToConsole,
]
MOST_RECORDS = 60


class BrokenLinkRuleError(Exception):
    """A decoder or machine of the link did something that it must never do."""


# --- decoders


def read_pdu(octets: bytes) -> None:
    header, body = decode_pdu(octets)
    try:
        again = encode(header, body)
    except ValueError:  # a fault location longer than the header's entity ids
        return
    _same(decode_pdu(again), (header, body))


def read_space_packet(octets: bytes) -> None:
    _same(SpacePacket.decode(octets).encode(), octets)


def read_telemetry(octets: bytes) -> None:
    got = decode_telemetry(octets)
    _same(decode_telemetry(pus.encode_telemetry(
        got.report, apid=got.apid, sequence_count=got.sequence_count, time=got.time,
        message_count=got.message_count, destination=got.destination, time_status=got.time_status,
    )), got)


def read_telecommand(octets: bytes) -> None:
    got = decode_telecommand(octets)
    again = pus.encode_telecommand(
        got.command, apid=got.request.apid, sequence_count=got.request.sequence_count,
        acknowledge=got.acknowledge, source=got.source,
    )
    _same(decode_telecommand(again), got)


def open_protected(octets: bytes) -> None:
    """Only what the sender has protected opens."""
    receiver = Receiver(initialise_receiver(KEYS, Direction.DOWN), Direction.DOWN, 0)
    try:
        receiver.open(octets)
    except StateNotSaved:  # it verified
        if octets not in protected():
            raise BrokenLinkRuleError("a forged packet verified") from None


def read_messages(octets: bytes) -> None:
    for kind in UNIONS:
        try:
            message = messages.decode(octets, kind)
        except PacketError:
            continue
        _same(messages.decode(messages.encode(message), kind), message)


def read_manifest(octets: bytes) -> None:
    known = {satellite_fingerprint(SATELLITE.public): SATELLITE.public}
    manifest, authentic = open_manifest(octets, known)
    if authentic and manifest != MANIFEST:
        raise BrokenLinkRuleError("a forged manifest is called authentic")


DECODERS: dict[str, Callable[[bytes], None]] = {
    "cfdp": read_pdu,
    "space packet": read_space_packet,
    "telemetry": read_telemetry,
    "telecommand": read_telecommand,
    "security": open_protected,
    "messages": read_messages,
    "manifest": read_manifest,
}


def _same(first: object, second: object) -> None:
    if first != second:
        raise BrokenLinkRuleError(f"{str(first)[:200]} and {str(second)[:200]}")


def read_all(octets: bytes) -> Counter[str]:
    """Every decoder on the same octets; what each made of them."""
    seen: Counter[str] = Counter()
    for name, read in DECODERS.items():
        try:
            read(octets)
            seen[f"{name}: read"] += 1
        except PacketError as error:
            seen[error.drop.name] += 1
    return seen


# --- sessions


def records(session: bytes) -> Iterator[tuple[int, bytes]]:
    """(act, octets), the last one as far as it goes."""
    at = 0
    while at + 3 <= len(session):
        size = int.from_bytes(session[at + 1 : at + 3], "big")
        yield session[at], session[at + 3 : at + 3 + size]
        at += 3 + size


def examine_session(session: bytes) -> Counter[str]:
    """Everything that must hold of a session; what became of its octets."""
    seen: Counter[str] = Counter()
    station = Station(durable=len(session) % 2 == 1)
    for count, (act, octets) in enumerate(records(session)):
        if count == MOST_RECORDS:
            break
        seen += read_all(octets)
        station.act(act, octets)
        station.check()
    station.idle()
    return seen


# --- inputs


@cache
def protected() -> tuple[bytes, ...]:
    """Genuine packets of a sender's first epoch."""
    end = sender()
    return tuple(end.protect(space_packet(bytes([at]) * 9, apid=100 + at)) for at in range(4))


@cache
def valid_octets() -> tuple[bytes, ...]:
    """One of everything but PDUs, which are invented."""
    return (
        *protected(), *(packet for _, packet in packets()), *map(messages.encode, SAMPLES),
        *[sign_manifest(MANIFEST, SATELLITE)] * 4,
        SpacePacket(PacketType.TM, 100, 3, any_pdu(random.Random(1))).encode(),
    )


def _octets(rng: random.Random) -> bytes:
    """Something that one of the decoders reads, mostly damaged."""
    if rng.random() < 0.7:
        pdu = any_pdu(rng)
        return pdu if rng.random() < 0.6 else damaged(rng, pdu)
    octets = rng.choice(valid_octets())
    if rng.random() < 0.6:
        octets = damaged(rng, octets)
    if rng.random() < 0.3 and len(octets) > 8:  # lengths and checksums agree again
        octets = octets[:4] + (len(octets) - 7).to_bytes(2, "big") + octets[6:]
        octets = octets[:-2] + crc_hqx(octets[:-2], 0xFFFF).to_bytes(2, "big")
    return octets


def invent_session(rng: random.Random) -> bytes:
    """A session out of nothing."""
    out = bytearray()
    for _ in range(rng.choice([3, 10, MOST_RECORDS])):
        octets = _octets(rng)[:0xFFFF]
        act = RECEIVE if rng.random() < 0.6 else rng.randrange(RECEIVE, ASK + 1)
        out += bytes([act | rng.randrange(4) << 4]) + len(octets).to_bytes(2, "big") + octets
    return bytes(out)

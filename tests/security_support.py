"""Two ends of a protected link, with disks that survive them: what the security tests share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from occulta.link.drops import Drop, PacketError
from occulta.link.security import (
    Direction,
    LinkKey,
    Opened,
    Receiver,
    Role,
    Sender,
    StateNotSaved,
    initialise_receiver,
    initialise_sender,
)

COMMANDER = LinkKey(0x123, Role.COMMANDER, bytes(range(32)))
STATION = LinkKey(0x124, Role.STATION, bytes(range(1, 33)))
HOLDER = LinkKey(0xFFF, Role.HOLDER, bytes(range(2, 34)))
KEYS = (COMMANDER, STATION, HOLDER)
CLOCK = 1_700_000_000.9


def space_packet(payload: bytes, apid: int = 0x42) -> bytes:
    """An unsegmented telemetry packet of 133.0-B-2 with sequence count 5."""
    first = apid.to_bytes(2, "big") + b"\xc0\x05"
    return first + (len(payload) - 1).to_bytes(2, "big") + payload


def randomness() -> Callable[[int], bytes]:
    """Octets that never repeat, the same in every run."""
    calls = iter(range(1 << 30))
    return lambda size: hashlib.sha256(next(calls).to_bytes(4, "big")).digest()[:size]


def save(end: Sender | Receiver) -> bytes:
    state = end.state()
    end.saved(state)
    return state


def sender(
    state: bytes | None = None, *, saved: bool = True, clock: float = CLOCK, key: LinkKey = STATION,
    random: Callable[[int], bytes] | None = None, counters: int = 1 << 24,
) -> Sender:
    first = initialise_sender(KEYS, Direction.DOWN, key.key_id)
    end = Sender(
        state or first, Direction.DOWN, clock=clock, random=random or randomness(),
        counters=counters,
    )
    if saved:
        save(end)
    return end


def receiver(state: bytes | None = None, margin: int = 0) -> Receiver:
    return Receiver(state or initialise_receiver(KEYS, Direction.DOWN), Direction.DOWN, margin)


def opened(end: Receiver, packet: bytes) -> Opened:
    """Open as a program does: save when asked to, then try again."""
    try:
        return end.open(packet)
    except StateNotSaved:
        save(end)
        return end.open(packet)


def dropped(end: Receiver, packet: bytes) -> Drop:
    """The reason for which a packet is dropped; it leaves the state as it was."""
    before = end.state(), end.needs_save
    with pytest.raises(PacketError) as caught:
        end.open(packet)
    assert (end.state(), end.needs_save) == before
    return caught.value.drop


def epoch_number(packet: bytes) -> int:
    return int.from_bytes(packet[8:12], "big")


def counter(packet: bytes) -> int:
    return int.from_bytes(packet[17:20], "big")


def spi(packet: bytes) -> int:
    return int.from_bytes(packet[6:8], "big")

"""A file through CFDP, space packets and link security, each side's CPU time apart."""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random

from bench.transfer import STEP, MemoryFile, Pair
from occulta.link.cfdp import Outgoing
from occulta.link.security import (
    OVERHEAD,
    Direction,
    LinkKey,
    Receiver,
    Role,
    Sender,
    StateNotSaved,
    initialise_receiver,
    initialise_sender,
)
from occulta.link.space_packet import (
    HEADER_SIZE,
    Apids,
    PacketType,
    SequenceCounter,
    header,
    read_header,
)

MARGIN = 1 << 14
"""Packets that a saved state of the receiver reaches ahead."""
_KEY = LinkKey(1, Role.STATION, bytes(range(32)))


class Down:
    """The protected way from the satellite to the ground; states are "saved" in memory."""

    def __init__(self) -> None:
        self._apid = Apids().files
        self._count = SequenceCounter()
        state = initialise_sender([_KEY], Direction.DOWN, _KEY.key_id)
        random = Random(3).randbytes  # predictable: it protects nothing
        self._sender = Sender(state, Direction.DOWN, clock=1.0, random=random)
        self._sender.saved(self._sender.state())
        state = initialise_receiver([_KEY], Direction.DOWN)
        self._receiver = Receiver(state, Direction.DOWN, MARGIN)

    def wrap(self, outgoing: list[Outgoing]) -> list[bytes]:
        """The packets for these PDUs."""
        packets = []
        for _, pdu in outgoing:
            head = header(PacketType.TM, self._apid, self._count.next(), len(pdu))
            packets.append(self._sender.protect(head + pdu))
        return packets

    def unwrap(self, packet: bytes) -> bytes:
        """The PDU in a packet."""
        try:
            opened = self._receiver.open(packet)
        except StateNotSaved:
            self._save()
            opened = self._receiver.open(packet)
        if self._receiver.needs_save:
            self._save()
        if read_header(opened.packet).apid != self._apid:
            raise AssertionError("a packet of another application")
        return opened.packet[HEADER_SIZE:]

    def _save(self) -> None:
        self._receiver.saved(self._receiver.state())


@dataclass(slots=True)
class Sides:
    """CPU seconds of each."""

    sending: float = 0.0
    receiving: float = 0.0
    packets: int = 0


def protected(data: bytes, packet_size: int) -> Sides:
    """Pass a file in packets of so many octets; raises AssertionError if it does not arrive.

    The few answers go back as they are, on nobody's account.
    """
    sink = MemoryFile()
    pair = Pair(MemoryFile(data), sink, packet_size - HEADER_SIZE - OVERHEAD)
    down, sides = Down(), Sides()
    while True:
        started = time.process_time()
        outgoing = pair.satellite.pdus_to_send(pair.now, STEP)
        packets = down.wrap(outgoing)
        sent = time.process_time()
        for packet in packets:
            pair.ground.receive(down.unwrap(packet), pair.now)
        sides.receiving += time.process_time() - sent
        sides.sending += sent - started
        sides.packets += len(packets)
        answers = pair.ground.pdus_to_send(pair.now, STEP)
        for _, pdu in answers:
            pair.satellite.receive(pdu, pair.now)
        if not outgoing and not answers and not pair.wait():
            break
    pair.check()
    if sink.data != data:
        raise AssertionError("another file arrived")
    return sides

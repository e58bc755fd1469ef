"""The octets of a protected packet, and AES-256-GCM over them.

    space packet primary header 6 (133.0-B-2, 4.1.3) | SPI 2 | IV 12 | ciphertext | MAC 16

    SPI    key id 12 bits | generation modulo 16, 4 bits
    IV     epoch number 4 | epoch random 5 | counter 3; the first nine are the epoch id

Big-endian. The MAC covers header and SPI as associated data, and the IV as GCM's nonce.
"""

from __future__ import annotations

from dataclasses import dataclass

from Crypto.Cipher import AES

from occulta.link.drops import Drop, PacketError

HEADER_SIZE = 6
SPI_SIZE = 2
NUMBER_SIZE = 4
RANDOM_SIZE = 5
EPOCH_SIZE = NUMBER_SIZE + RANDOM_SIZE
COUNTER_SIZE = 3
MAC_SIZE = 16
MAX_NUMBER = (1 << 8 * NUMBER_SIZE) - 1
COUNTERS = 1 << 8 * COUNTER_SIZE
"""Packets under one epoch."""

_AAD_SIZE = HEADER_SIZE + SPI_SIZE
_COUNTER_AT = _AAD_SIZE + EPOCH_SIZE
_TEXT_AT = _COUNTER_AT + COUNTER_SIZE
OVERHEAD = _TEXT_AT - HEADER_SIZE + MAC_SIZE
"""Octets that protection adds to a packet."""
_LEAST_PACKET = HEADER_SIZE + 1
"""A space packet's data field holds at least one octet (133.0-B-2, 4.1.4.1.3)."""
MAX_PLAIN_SIZE = HEADER_SIZE + (1 << 16) - OVERHEAD
"""Octets of the longest space packet that can be protected."""


@dataclass(frozen=True, slots=True)
class Protected:
    """A protected packet whose outside has been read and nothing else."""

    packet: bytes
    spi: int
    epoch: bytes
    counter: int

    @classmethod
    def parse(cls, packet: bytes) -> Protected:
        """Read the clear fields; raises PacketError (PROTECTED_TRUNCATED, PACKET_LENGTH)."""
        if len(packet) < _LEAST_PACKET + OVERHEAD:
            raise PacketError(Drop.PROTECTED_TRUNCATED, f"{len(packet)} octets are too few")
        if not _length_is_true(packet):
            raise PacketError(Drop.PACKET_LENGTH, f"the header does not say {len(packet)} octets")
        return cls(
            packet,
            int.from_bytes(packet[HEADER_SIZE:_AAD_SIZE], "big"),
            packet[_AAD_SIZE:_COUNTER_AT],
            int.from_bytes(packet[_COUNTER_AT:_TEXT_AT], "big"),
        )

    def open(self, key: bytes) -> bytes:
        """The plain space packet, its length field restored; raises PacketError(MAC_MISMATCH)."""
        view = memoryview(self.packet)
        cipher = AES.new(key, AES.MODE_GCM, nonce=view[_AAD_SIZE:_TEXT_AT], mac_len=MAC_SIZE)
        cipher.update(view[:_AAD_SIZE])
        try:
            text = cipher.decrypt_and_verify(view[_TEXT_AT:-MAC_SIZE], view[-MAC_SIZE:])
        except ValueError:
            raise PacketError(Drop.MAC_MISMATCH, "the packet does not verify") from None
        return _header(self.packet, len(self.packet) - OVERHEAD) + text


def protect(packet: bytes, key: bytes, spi: int, epoch: bytes, counter: int) -> bytes:
    """The protected form of a whole plain space packet of 7..65512 octets; raises ValueError."""
    if not _LEAST_PACKET <= len(packet) <= MAX_PLAIN_SIZE:
        raise ValueError(f"a plain packet has {_LEAST_PACKET} to {MAX_PLAIN_SIZE} octets")
    if not _length_is_true(packet):
        raise ValueError("the packet's header states another length")
    aad = _header(packet, len(packet) + OVERHEAD) + spi.to_bytes(SPI_SIZE, "big")
    iv = epoch + counter.to_bytes(COUNTER_SIZE, "big")
    cipher = AES.new(key, AES.MODE_GCM, nonce=iv, mac_len=MAC_SIZE)
    cipher.update(aad)
    text, mac = cipher.encrypt_and_digest(memoryview(packet)[HEADER_SIZE:])
    return b"".join((aad, iv, text, mac))


def _length_is_true(packet: bytes) -> bool:
    return int.from_bytes(packet[4:HEADER_SIZE], "big") + _LEAST_PACKET == len(packet)


def _header(packet: bytes, size: int) -> bytes:
    return packet[:4] + (size - _LEAST_PACKET).to_bytes(2, "big")

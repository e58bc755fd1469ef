"""Named reasons for everything the link refuses.

A packet that cannot be used is dropped, never repaired and never fatal: a decoder or machine
raises `PacketError` with a `Drop`, whoever drives it counts the name and goes on. Numbers and names
are stable; a retired number is never used again.
"""

from __future__ import annotations

from collections import Counter
from enum import IntEnum, unique


@unique
class Drop(IntEnum):
    """Why a packet was dropped. 1xx space packet, 2xx security, 3xx CFDP, 4xx PUS, 5xx messages,
    6xx endpoint.
    """

    PACKET_TRUNCATED = 100
    PACKET_VERSION = 101
    PACKET_LENGTH = 102
    PACKET_SEGMENTED = 103
    UNKNOWN_APID = 104
    PACKET_TYPE = 105

    UNKNOWN_KEY = 200
    KEY_ERASED = 201
    MAC_MISMATCH = 202
    REPLAYED = 203
    STALE = 204
    OLD_EPOCH = 205
    ROLE_NOT_ALLOWED = 206
    PROTECTED_TRUNCATED = 207

    PDU_TRUNCATED = 300
    PDU_VERSION = 301
    PDU_LENGTH = 302
    PDU_CRC = 303
    PDU_DIRECTIVE = 304
    PDU_FIELD = 305
    PDU_DIRECTION = 307
    WRONG_ENTITY = 308
    UNKNOWN_REMOTE = 309
    UNKNOWN_TRANSACTION = 310
    CLOSED_TRANSACTION = 311
    TOO_MANY_TRANSACTIONS = 312
    BEYOND_FILE_SIZE = 313
    CONFLICTING_METADATA = 315
    CONFLICTING_EOF = 316
    UNEXPECTED_PDU = 318
    TOO_FRAGMENTED = 319

    PUS_TRUNCATED = 400
    PUS_VERSION = 401
    PUS_CHECKSUM = 402
    UNKNOWN_SERVICE = 403
    PUS_FIELD = 404

    MESSAGE_TOO_LONG = 500
    MESSAGE_MALFORMED = 501
    MESSAGE_KIND = 502
    MESSAGE_SIGNATURE = 503

    FRAME_TOO_LONG = 600
    PART_COUNT = 601
    UNKNOWN_PEER = 602
    QUEUE_FULL = 603
    TOO_MANY_CONNECTIONS = 604


class PacketError(Exception):
    """What arrived cannot be used: the reason's number and one line of detail."""

    def __init__(self, drop: Drop, detail: str) -> None:
        super().__init__(detail)
        self.drop = drop
        self.detail = detail

    def __str__(self) -> str:
        return f"drop {self.drop.value} {self.drop.name}: {self.detail}"


DropCounts = Counter[Drop]
"""Packets dropped, per reason."""

"""Codes of CCSDS 727.0-B-5, clause 5."""

from __future__ import annotations

from enum import IntEnum, unique

VERSION = 1
"""'001' in the header of every PDU since 727.0-B-5 (5.1)."""


@unique
class Direction(IntEnum):
    """Table 5-1."""

    TO_RECEIVER = 0
    TO_SENDER = 1


@unique
class Mode(IntEnum):
    """Transmission mode, table 5-1: Class 2 is acknowledged, Class 1 is not."""

    ACKNOWLEDGED = 0
    UNACKNOWLEDGED = 1


@unique
class Directive(IntEnum):
    """File directive codes, table 5-4."""

    EOF = 4
    FINISHED = 5
    ACK = 6
    METADATA = 7
    NAK = 8
    PROMPT = 9
    KEEP_ALIVE = 12


@unique
class Condition(IntEnum):
    """Condition codes, table 5-5."""

    NO_ERROR = 0
    POSITIVE_ACK_LIMIT = 1
    KEEP_ALIVE_LIMIT = 2
    INVALID_TRANSMISSION_MODE = 3
    FILESTORE_REJECTION = 4
    FILE_CHECKSUM_FAILURE = 5
    FILE_SIZE_ERROR = 6
    NAK_LIMIT = 7
    INACTIVITY = 8
    INVALID_FILE_STRUCTURE = 9
    CHECK_LIMIT = 10
    UNSUPPORTED_CHECKSUM = 11
    SUSPEND_REQUEST = 14
    CANCEL_REQUEST = 15


@unique
class Delivery(IntEnum):
    """Delivery code of a Finished PDU, table 5-7."""

    COMPLETE = 0
    INCOMPLETE = 1


@unique
class FileStatus(IntEnum):
    """File status of a Finished PDU, table 5-7."""

    DISCARDED = 0
    REJECTED = 1
    RETAINED = 2
    UNREPORTED = 3


@unique
class TransactionStatus(IntEnum):
    """Transaction status of an ACK PDU, table 5-8."""

    UNDEFINED = 0
    ACTIVE = 1
    TERMINATED = 2
    UNRECOGNIZED = 3


@unique
class Response(IntEnum):
    """What a Prompt PDU asks for, table 5-12."""

    NAK = 0
    KEEP_ALIVE = 1


@unique
class ChecksumType(IntEnum):
    """Identifiers of the SANA checksum registry that are supported (annex F)."""

    MODULAR = 0
    CRC_32C = 2
    CRC_32 = 3
    NULL = 15


@unique
class TlvType(IntEnum):
    """Types of TLV parameters, 5.4."""

    FILESTORE_REQUEST = 0
    FILESTORE_RESPONSE = 1
    MESSAGE_TO_USER = 2
    FAULT_HANDLER = 4
    FLOW_LABEL = 5
    ENTITY_ID = 6


@unique
class FaultAction(IntEnum):
    """What to do on a fault, 4.8 and table 5-19."""

    CANCEL = 1
    SUSPEND = 2
    IGNORE = 3
    ABANDON = 4

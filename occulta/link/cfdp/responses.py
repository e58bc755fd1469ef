"""Filestore requests: every one is answered, none is performed (CCSDS 727.0-B-5, 5.4.1, 5.4.2)."""

from __future__ import annotations

from collections.abc import Iterable

from occulta.link.cfdp.constants import TlvType
from occulta.link.cfdp.pdu import Tlv

_NOT_PERFORMED = 0xF
_WITH_SECOND_NAME = (2, 3, 4)
"""Rename, append, replace (table 5-16)."""
_MAX_RESPONSES = 16


def responses_to(options: Iterable[Tlv]) -> tuple[bytes, ...]:
    """Filestore responses "not performed" to the requests among a metadata PDU's options."""
    requests = [tlv.value for tlv in options if tlv.type == TlvType.FILESTORE_REQUEST and tlv.value]
    return tuple(_response(request) for request in requests[:_MAX_RESPONSES])


def _response(request: bytes) -> bytes:
    action = request[0] >> 4
    first, rest = _lv(request[1:])
    second, _ = _lv(rest) if action in _WITH_SECOND_NAME else (b"\0", b"")
    return (bytes([action << 4 | _NOT_PERFORMED]) + first + second + b"\0")[:255]


def _lv(data: bytes) -> tuple[bytes, bytes]:
    """An LV parameter as it stands, empty where it is cut, and what follows."""
    size = 1 + data[0] if data else 1
    return (data[:size], data[size:]) if len(data) >= size else (b"\0", b"")

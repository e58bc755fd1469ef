"""Quantisation tables (ITU-T T.81 B.2.4.1, K.1), everything in zigzag order (figure A.6)."""

from __future__ import annotations

from collections.abc import Iterable

from occulta.codec.dct import ZIGZAG
from occulta.errors import OccultaError, Reason

Table = tuple[int, ...]
"""64 divisors, 1..65535, in zigzag order."""
_LARGEST_WORD = 65535


def _zigzag(rows: str) -> Table:
    natural = [int(value) for value in rows.split()]
    return tuple(natural[place] for place in ZIGZAG)


LUMINANCE = _zigzag("""
    16 11 10 16 24 40 51 61   12 12 14 19 26 58 60 55   14 13 16 24 40 57 69 56
    14 17 22 29 51 87 80 62   18 22 37 56 68 109 103 77   24 35 55 64 81 104 113 92
    49 64 78 87 103 121 120 101   72 92 95 98 112 100 103 99
""")
"""T.81 table K.1."""
CHROMINANCE = _zigzag("""
    17 18 24 47 99 99 99 99   18 21 26 66 99 99 99 99   24 26 56 99 99 99 99 99
    47 66 99 99 99 99 99 99   99 99 99 99 99 99 99 99   99 99 99 99 99 99 99 99
    99 99 99 99 99 99 99 99   99 99 99 99 99 99 99 99
""")
"""T.81 table K.2."""


def standard_tables(quality: int) -> tuple[Table, Table]:
    """The tables of annex K for luminance and chrominance, scaled as libjpeg does (jcparam.c).

    `quality` is 1..100, anything else raises ValueError; divisors are 1..255.
    """
    if not 1 <= quality <= 100:
        raise ValueError(f"a quality of {quality}: 1 to 100 are possible")
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return _scaled(LUMINANCE, percent), _scaled(CHROMINANCE, percent)


def _scaled(table: Table, percent: int) -> Table:
    return tuple(min(255, max(1, (value * percent + 50) // 100)) for value in table)


def check_table(table: Iterable[int]) -> Table:
    """The table as a tuple; raises ValueError if it is none."""
    values = tuple(table)
    if len(values) != 64 or not all(1 <= value <= _LARGEST_WORD for value in values):
        raise ValueError("a quantisation table has 64 divisors from 1 to 65535")
    return values


def parse_dqt(body: bytes) -> dict[int, Table]:
    """The tables of a DQT segment's body by destination; raises OccultaError(BAD_SEGMENT)."""
    tables = {}
    at = 0
    while at < len(body):
        wide, destination = body[at] >> 4, body[at] & 15
        end = at + 1 + (64 << wide if wide < 2 else 0)
        values = _values(body[at + 1 : end], 1 + wide)
        if wide > 1 or destination > 3 or end > len(body) or 0 in values:
            raise OccultaError(Reason.BAD_SEGMENT, "a quantisation table (DQT) is damaged")
        tables[destination] = values
        at = end
    return tables


def _values(data: bytes, size: int) -> Table:
    return tuple(int.from_bytes(data[at : at + size], "big") for at in range(0, len(data), size))


def dqt_segment(tables: Iterable[Table]) -> bytes:
    """One DQT segment, marker included, that defines tables for destinations 0, 1 and so on."""
    body = b""
    for destination, table in enumerate(tables):
        wide = max(table) > 255
        body += bytes([wide << 4 | destination])
        body += b"".join(value.to_bytes(1 + wide, "big") for value in table)
    return b"\xff\xdb" + (len(body) + 2).to_bytes(2, "big") + body

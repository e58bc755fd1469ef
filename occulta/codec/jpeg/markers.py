"""JPEG marker codes (ITU-T T.81, table B.1)."""

from __future__ import annotations

TEM = 0x01
SOF0 = 0xC0
SOF1 = 0xC1
SOF2 = 0xC2
SOF3 = 0xC3
DHT = 0xC4
SOF5 = 0xC5
SOF6 = 0xC6
SOF7 = 0xC7
JPG = 0xC8
SOF9 = 0xC9
DAC = 0xCC
SOF15 = 0xCF
RST0 = 0xD0
RST7 = 0xD7
SOI = 0xD8
EOI = 0xD9
SOS = 0xDA
DQT = 0xDB
DNL = 0xDC
DRI = 0xDD
DHP = 0xDE
EXP = 0xDF

HUFFMAN_FRAMES = frozenset({SOF0, SOF1, SOF2})
LOSSLESS_FRAMES = frozenset({SOF3})
HIERARCHICAL = frozenset({SOF5, SOF6, SOF7, 0xCD, 0xCE, SOF15, DHP, EXP})
ARITHMETIC_FRAMES = frozenset({SOF9, 0xCA, 0xCB, DAC})


def is_restart(code: int) -> bool:
    """True for RST0 to RST7."""
    return RST0 <= code <= RST7


def stands_alone(code: int) -> bool:
    """True for markers without a length field (T.81 B.1.1.3)."""
    return code in (TEM, SOI, EOI) or is_restart(code)

"""A second opinion on what a damaged segment decodes to: which cells hold other coefficients.

Reads baseline files of one interleaved scan whose MCUs lie within one cell each (grayscale, 4:4:4,
4:2:2, 4:2:0), with tables of its own making (T.81, annexes C and F) and no hash of any kind.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from occulta.codec.jpeg.cells import Cut

Lookup = list[tuple[int, int]]
"""By the next 16 bits: (bits of the code, symbol); (0, 0) where no code begins so."""
Interval = tuple[bytes, int | None]
"""Between restart markers, without stuffing; the number of the marker behind."""
_WINDOW = 6
_CELL = 16


class Place(NamedTuple):
    """Where an MCU begins: the interval, the bit in it, and the predictors."""

    interval: int
    bit: int
    levels: tuple[int, ...]


@dataclass(slots=True)
class Reading:
    """What came out of a segment; MCUs are counted from its first."""

    intervals: list[Interval]
    places: list[Place] = field(default_factory=list)
    """Where each MCU read begins, and where the last one ends."""
    mcus: list[list[int]] = field(default_factory=list)
    """Of each MCU its levels, and place and value of each other coefficient that is not zero."""
    ended_well: bool = True
    """False where decoding stopped before the last MCU."""


class Truth(NamedTuple):
    """Cells of a segment that is not as it was."""

    differing: frozenset[int]
    """Decoded, and other than they were."""
    rest: frozenset[int]
    """Those behind the place where decoding stopped; none where it did not."""


class Decoder:
    """Decodes segments of one file, damaged or not."""

    def __init__(self, head: bytes) -> None:
        """`head`: the bytes from SOI up to the end of the SOS segment."""
        self._tables: dict[int, Lookup] = {}
        self._interval = 0
        self._blocks: list[tuple[int, Lookup, Lookup]] = []
        """Per block of an MCU: component, DC table, AC table."""
        sampled: dict[int, tuple[int, int]] = {}
        chosen: list[tuple[int, int]] = []
        for marker, body in _marker_segments(head):
            if marker == 0xC4:
                self._read_tables(body)
            elif marker in (0xC0, 0xC1):
                self.height, self.width = (int.from_bytes(body[i : i + 2], "big") for i in (1, 3))
                factors = zip(body[6::3], body[7::3], strict=True)
                sampled = {c: (hv >> 4, hv & 15) for c, hv in factors}
            elif marker == 0xDD:
                self._interval = int.from_bytes(body, "big")
            elif marker == 0xDA:
                chosen = list(zip(body[1:-3:2], body[2:-3:2], strict=True))
        self._lay_out(sampled, chosen)

    def _read_tables(self, body: bytes) -> None:
        while body:
            count = sum(body[1:17])
            self._tables[body[0]] = _lookup(body[1:17], body[17 : 17 + count])
            body = body[17 + count :]

    def _lay_out(
        self, sampled: dict[int, tuple[int, int]], chosen: list[tuple[int, int]]
    ) -> None:
        factors = [sampled[c] if len(chosen) > 1 else (1, 1) for c, _ in chosen]
        for index, ((_, tables), (h, v)) in enumerate(zip(chosen, factors, strict=True)):
            pair = self._tables[tables >> 4], self._tables[0x10 | tables & 15]
            self._blocks += [(index, *pair)] * (h * v)
        self._components = len(chosen)
        self._mcu_width, self._mcu_height = (8 * max(f[i] for f in factors) for i in (0, 1))
        self._across = -(-self.width // self._mcu_width)
        self._mcus = self._across * -(-self.height // self._mcu_height)
        self._columns = -(-self.width // _CELL)

    def cell_of(self, mcu: int) -> int:
        """The cell that an MCU of the scan lies in, row * columns + column."""
        y, x = divmod(mcu, self._across)
        return y * self._mcu_height // _CELL * self._columns + x * self._mcu_width // _CELL

    def read(self, cut: Cut, data: bytes, mcus: int) -> Reading:
        """Decode a whole segment."""
        reading = Reading(_intervals(cut, data))
        self._go_on(reading, Place(0, cut.bit, cut.predictors[: self._components]), cut, mcus)
        return reading

    def compare(self, original: Reading, cut: Cut, data: bytes) -> Truth:
        """What differs in altered bytes of the same segment."""
        altered = Reading(_intervals(cut, data))
        first = _first_difference(original.intervals, altered.intervals)
        count = len(original.mcus)
        same = bisect_right(original.places, first, key=lambda place: place[:2]) - 1
        same = max(0, min(same, count))
        altered.mcus += original.mcus[:same]
        altered.places += original.places[:same]
        self._go_on(altered, original.places[same], cut, count)
        pairs = zip(original.mcus, altered.mcus, strict=False)
        differing = {self.cell_of(cut.mcu + at) for at, (a, b) in enumerate(pairs) if a != b}
        rest = range(len(altered.mcus), count)
        return Truth(
            frozenset(differing), frozenset(self.cell_of(cut.mcu + at) for at in rest)
        )

    def _go_on(self, reading: Reading, place: Place, cut: Cut, count: int) -> None:
        """Decode from a place up to `count` MCUs."""
        for at in range(len(reading.mcus), count):
            reading.places.append(place)
            found = self._mcu(reading.intervals[place.interval][0], place)
            if found is None:
                reading.ended_well = False
                return
            values, place = found
            reading.mcus.append(values)
            number = cut.mcu + at + 1
            if self._interval and number % self._interval == 0 and number < self._mcus:
                behind = self._restart(reading, place, (number // self._interval - 1) % 8)
                if behind is None:
                    reading.ended_well = at + 1 == count
                    break
                place = behind
        reading.places.append(place)

    def _restart(self, reading: Reading, place: Place, number: int) -> Place | None:
        data, marker = reading.intervals[place.interval]
        if marker != number or len(data) != -(-place.bit // 8):
            return None
        return Place(place.interval + 1, 0, (0,) * self._components)

    def _mcu(self, data: bytes, place: Place) -> tuple[list[int], Place] | None:
        """The coefficients of an MCU and where it ends; None where there is none (F.2.2)."""
        bit, levels = place.bit, list(place.levels)
        end = 8 * len(data)
        values: list[int] = []
        for component, dc, ac in self._blocks:
            table, at = dc, 0
            while at < 64:
                start = bit >> 3
                window = int.from_bytes(data[start : start + _WINDOW].ljust(_WINDOW, b"\0"), "big")
                window = (window << (bit & 7)) & 0xFFFFFFFFFFFF
                length, symbol = table[window >> 32]
                size = symbol & 15
                bit += length + size
                if not length or bit > end:
                    return None
                value = (window >> (48 - length - size)) & ((1 << size) - 1)
                if size and not value >> (size - 1):
                    value += 1 - (1 << size)
                if table is dc and not at:
                    levels[component] += value
                    values += (-1, levels[component])
                    table, at = ac, 1
                    continue
                at += symbol >> 4
                if not size and symbol != 0xF0:
                    break
                if at > 63:
                    return None
                if size:
                    values += (at, value)
                at += 1
        return values, Place(place.interval, bit, tuple(levels))


def _marker_segments(head: bytes) -> Iterator[tuple[int, bytes]]:
    at = 2
    while at < len(head):
        size = int.from_bytes(head[at + 2 : at + 4], "big")
        yield head[at + 1], head[at + 4 : at + 2 + size]
        at += 2 + size


def _lookup(lengths: bytes, symbols: bytes) -> Lookup:
    """Annex C: codes of each length count on from those before."""
    table: Lookup = []
    left = iter(symbols)
    for length, count in enumerate(lengths, 1):
        for _ in range(count):
            table += [(length, next(left))] * (1 << 16 - length)
    return table + [(0, 0)] * ((1 << 16) - len(table))


def _intervals(cut: Cut, data: bytes) -> list[Interval]:
    """The bytes behind a cut, whose first byte may be shared, up to a marker that is no restart."""
    found: list[Interval] = []
    part = bytearray([cut.byte] if cut.bit else b"")
    at = 0
    while True:
        stop = data.find(b"\xff", at)
        if stop < 0 or stop + 1 == len(data):
            part += data[at:]
            break
        part += data[at:stop]
        code, at = data[stop + 1], stop + 2
        if code == 0:
            part.append(0xFF)
        elif 0xD0 <= code <= 0xD7:
            found.append((bytes(part), code - 0xD0))
            part = bytearray()
        elif code == 0xFF:
            at -= 1
        else:
            break
    return [*found, (bytes(part), None)]


def _first_difference(one: list[Interval], other: list[Interval]) -> tuple[int, int]:
    """(interval, bit) up to which both are the same."""
    for index, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            pairs = zip(a[0], b[0], strict=False)
            shorter = min(len(a[0]), len(b[0]))
            return index, 8 * next((at for at, (x, y) in enumerate(pairs) if x != y), shorter)
    return min(len(one), len(other)), 0

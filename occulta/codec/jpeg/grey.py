"""Flat mid-grey MCUs of a sequential scan, as bits, and Huffman tables that can say them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from occulta.codec.jpeg.engine import Destination
from occulta.codec.jpeg.headers import Scan
from occulta.codec.jpeg.huffman import AC, DC, MAX_LENGTH, HuffmanTable, optimal_lengths
from occulta.codec.jpeg.tables import EOB
from occulta.errors import OccultaError, Reason

LEVEL = (0, 0, 0, 0)
"""Mid-grey per component of a scan, and the DC predictors behind a restart marker."""
_DESTINATION = 3


def complete_tables(
    tables: dict[Destination, HuffmanTable], scan: Scan, precision: int
) -> dict[Destination, HuffmanTable]:
    """The scan's tables, with every DC category (T.81 F.1.2.1.1) and the end of a block."""
    categories = range(12 if precision == 8 else 16)
    return {
        (kind, slot): complete_table(tables[kind, slot], categories if kind == DC else (EOB,))
        for kind, slot in scan.tables
    }


def complete_table(table: HuffmanTable, needed: Iterable[int]) -> HuffmanTable:
    """`table` itself if it has all `needed` symbols, else one of its symbols and these.

    Codes are at most 16 bits long, and none is all ones (T.81 C.2).
    """
    missing = [symbol for symbol in needed if symbol not in table.by_symbol]
    if not missing:
        return table
    weights = [2 << (MAX_LENGTH - length) for _, length in table.by_symbol.values()]
    weights += [2] * len(missing)
    lengths = optimal_lengths([*weights, 1], MAX_LENGTH)  # the lightest: the code of all ones
    symbols = [*table.by_symbol, *missing]
    return HuffmanTable.from_lengths(list(zip(lengths, symbols, strict=False)))


class Grey:
    """Writes grey MCUs as '0' and '1'; differences of DC values go on from `level`."""

    def __init__(
        self, components: Sequence[int], scan: Scan, complete: dict[Destination, HuffmanTable]
    ) -> None:
        """`components`: index within the scan of each block of an MCU."""
        self.level: list[int] = list(LEVEL)
        """DC predictors, per component of the scan."""
        self._blocks: list[tuple[int, bool, HuffmanTable, str]] = []
        for at, (component, (dc, ac)) in enumerate(zip(components, scan.blocks, strict=True)):
            code, length = complete[AC, ac & _DESTINATION].by_symbol[EOB]
            is_last = component not in components[at + 1 :]
            table = complete[DC, dc & _DESTINATION]
            self._blocks.append((component, is_last, table, format(code, f"0{length}b")))

    def bits(self, mcus: int, target: Sequence[int] | None) -> str:
        """MCUs of level 0; with a `target` the last blocks of the last one are at its levels.

        Raises OccultaError(COEFFICIENT_OVERRUN) for a difference that the tables cannot say.
        """
        plain = mcus - (target is not None)
        text = self._mcu(LEVEL) if plain else ""
        if plain > 1:
            text += self._mcu(LEVEL) * (plain - 1)
        return text if target is None else text + self._mcu(target)

    def _mcu(self, target: Sequence[int]) -> str:
        """One MCU; the last block of each component is at the target's level."""
        text = ""
        for component, is_last, table, end in self._blocks:
            level = target[component] if is_last else 0
            text += _difference(table, level - self.level[component]) + end
            self.level[component] = level
        return text


def _difference(table: HuffmanTable, value: int) -> str:
    """The bits of a DC difference (T.81 F.1.2.1)."""
    size = abs(value).bit_length()
    if size not in table.by_symbol:
        raise OccultaError(Reason.COEFFICIENT_OVERRUN, f"a DC difference of {value}")
    code, length = table.by_symbol[size]
    extra = value if value >= 0 else value + (1 << size) - 1
    return format(code, f"0{length}b") + (format(extra, f"0{size}b") if size else "")

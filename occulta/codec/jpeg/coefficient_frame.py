"""A picture as quantised DCT coefficients: its description and its rows of MCUs.

Coefficients and quantisation tables are in zigzag order throughout (ITU-T T.81 figure A.6).
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import NamedTuple

from occulta.codec.jpeg.headers import MAX_BLOCKS_IN_MCU
from occulta.codec.jpeg.quantisation import Table, check_table

BLOCK = 64
"""Coefficients in a block."""
_SIDE = 8
_LARGEST = 65_535


@dataclass(frozen=True, slots=True)
class CodedComponent:
    """One component as its scan codes it.

    `horizontal` and `vertical` are its blocks across and down an MCU, 1..4; a component alone has
    one block there, whatever sampling factors its file gives (T.81 A.2.2).
    """

    identifier: int
    horizontal: int
    vertical: int
    table: Table


@dataclass(frozen=True, slots=True)
class CoefficientFrame:
    """A picture in one interleaved scan. `width` and `height` are in pixels."""

    width: int
    height: int
    components: tuple[CodedComponent, ...]

    @classmethod
    def gray(cls, width: int, height: int, table: Table) -> CoefficientFrame:
        """One component; raises ValueError as `check` does."""
        frame = cls(width, height, (CodedComponent(1, 1, 1, table),))
        frame.check()
        return frame

    def check(self) -> None:
        """Raises ValueError for a description that no sequential file can have."""
        if not (1 <= self.width <= _LARGEST and 1 <= self.height <= _LARGEST):
            raise ValueError(f"a picture of {self.width}x{self.height} pixels")
        if not 1 <= len(self.components) <= 4:
            raise ValueError(f"a picture of {len(self.components)} components")
        for component in self.components:
            check_table(component.table)
            factors = (component.horizontal, component.vertical)
            if not all(1 <= factor <= 4 for factor in factors):
                raise ValueError(f"sampling factors {factors}")
        identifiers = {component.identifier for component in self.components}
        if len(identifiers) < len(self.components) or not identifiers <= set(range(256)):
            raise ValueError("components need identifiers of their own, from 0 to 255")
        if len(self.components) == 1 and factors != (1, 1):
            raise ValueError("a component alone has one block in an MCU")
        if self.blocks_per_mcu > MAX_BLOCKS_IN_MCU:
            raise ValueError(f"{self.blocks_per_mcu} blocks in an MCU")

    @property
    def blocks_per_mcu(self) -> int:
        """Blocks of all components in an MCU."""
        return sum(c.horizontal * c.vertical for c in self.components)

    @property
    def mcus_across(self) -> int:
        """MCUs in a row of them."""
        return -(-self.width // (_SIDE * max(c.horizontal for c in self.components)))

    @property
    def rows(self) -> int:
        """Rows of MCUs."""
        return -(-self.height // (_SIDE * max(c.vertical for c in self.components)))

    def across(self, component: int) -> int:
        """Blocks of a component across the picture, padding included."""
        return self.mcus_across * self.components[component].horizontal

    def down(self, component: int) -> int:
        """Blocks of a component down the picture, padding included."""
        return self.rows * self.components[component].vertical

    def row_sizes(self) -> list[int]:
        """Coefficients of each component in a row of MCUs."""
        return [self.across(at) * c.vertical * BLOCK for at, c in enumerate(self.components)]

    def places(self) -> array[int]:
        """Where the kernel finds each block of an MCU when components follow one another.

        Per block its first coefficient in the first MCU, the step to the next MCU, and the step to
        the next row of MCUs, which is 0: each row of MCUs stands by itself.
        """
        places = array("q")
        first = 0
        for at, (component, size) in enumerate(zip(self.components, self.row_sizes(), strict=True)):
            for y in range(component.vertical):
                for x in range(component.horizontal):
                    block = y * self.across(at) + x
                    places.extend([first + block * BLOCK, component.horizontal * BLOCK, 0])
            first += size
        return places


class Row(NamedTuple):
    """One row of MCUs.

    `planes` holds per component an array('h') of blocks in raster order, 64 coefficients in zigzag
    order each: `vertical` rows of `frame.across(component)` blocks.
    """

    number: int
    planes: tuple[array[int], ...]

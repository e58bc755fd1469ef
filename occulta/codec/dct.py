"""The DCT of 8x8 blocks of 8-bit samples (ITU-T T.81 A.3.3) and quantisation (A.3.4).

The scaling is orthonormal (a block and its coefficients have the same energy), samples are shifted
by 128 (A.3.1), and coefficients are in zigzag order (figure A.6) as in occulta.codec.jpeg. The same
bits on every machine, see the kernel.

The grid of blocks can begin at any pixel: `dx` and `dy`, 0..7, are the columns and lines before it.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from occulta.codec.kernels import load_kernel

KERNEL = "occulta.codec.dct_kernel"
BLOCK = 64
SIDE = 8
ZIGZAG = (
    *(0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5),
    *(12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28),
    *(35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51),
    *(58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63),
)
"""Where in a block, row by row, each coefficient of the zigzag lies."""
_ZIGZAG = array("i", ZIGZAG)


def forward(
    pixels: bytes | bytearray | memoryview, width: int, dx: int = 0, dy: int = 0,
    kernel: str | None = None,
) -> array[float]:
    """Coefficients of the whole blocks of a raster, an array('d'), block rows from the top.

    `pixels` are whole lines of `width` bytes. There are (width - dx) // 8 blocks across and
    (lines - dy) // 8 down; what remains at the edges is left out. Values lie in -1024..1024.
    Raises ValueError for a size or an offset that cannot be.
    """
    across, down = _blocks(len(pixels), width, dx, dy)
    coefficients = array("d", [0.0]) * (BLOCK * across * down)
    with memoryview(pixels) as given:
        # The kernel takes writable memory only.
        raster = memoryview(bytearray(given)) if given.readonly else given
        load_kernel(KERNEL, kernel).forward(
            raster, width, dy * width + dx, across, down, memoryview(_ZIGZAG), _scratch(),
            memoryview(coefficients),
        )
    return coefficients


def inverse(coefficients: array[float], across: int, kernel: str | None = None) -> bytearray:
    """The raster of blocks, `across` in a row: lines of 8 * across bytes, rounded, 0..255.

    `coefficients` is an array('d'). Raises ValueError for anything but whole rows of blocks.
    """
    if across < 1 or len(coefficients) % (BLOCK * across):
        raise ValueError(f"{len(coefficients)} coefficients are no rows of {across} blocks")
    pixels = bytearray(len(coefficients))
    inverse_into(pixels, SIDE * across, coefficients, kernel=kernel)
    return pixels


def inverse_into(
    pixels: bytearray, width: int, coefficients: array[float], dx: int = 0, dy: int = 0,
    kernel: str | None = None,
) -> None:
    """As `inverse`, into the whole blocks of a raster of lines of `width` bytes.

    The counterpart of `forward`: pixels outside the blocks stay. Raises ValueError as it does.
    """
    across, down = _blocks(len(pixels), width, dx, dy)
    if coefficients.typecode != "d" or len(coefficients) != BLOCK * across * down:
        raise ValueError(f"an array('d') of {BLOCK * across * down} coefficients is needed")
    load_kernel(KERNEL, kernel).inverse(
        memoryview(coefficients), width, dy * width + dx, across, down, memoryview(_ZIGZAG),
        _scratch(), memoryview(pixels),
    )


def quantise(
    coefficients: array[float], table: Sequence[int], kernel: str | None = None
) -> array[int]:
    """Coefficients over their divisors, rounded (halves up), an array('h').

    DC is clipped to -1024..1023, AC to -1023..1023, which baseline JPEG can always code. `table`
    holds 64 divisors, 1..65535. Raises ValueError for other sizes.
    """
    divisors = array("d", _check(coefficients, "d", table))
    out = array("h", [0]) * len(coefficients)
    load_kernel(KERNEL, kernel).quantise(
        memoryview(coefficients), memoryview(divisors), memoryview(out)
    )
    return out


def dequantise(
    quantised: array[int], table: Sequence[int], kernel: str | None = None
) -> array[float]:
    """Products with the divisors, an array('d'), clipped to -32768..32767: files may be hostile.

    `quantised` is an array('h') of whole blocks. Raises ValueError as `quantise` does.
    """
    divisors = _check(quantised, "h", table)
    out = array("d", [0.0]) * len(quantised)
    load_kernel(KERNEL, kernel).dequantise(
        memoryview(quantised), memoryview(divisors), memoryview(out)
    )
    return out


def _scratch() -> memoryview:
    return memoryview(array("d", bytes(8 * BLOCK)))


def _blocks(size: int, width: int, dx: int, dy: int) -> tuple[int, int]:
    """Whole blocks across and down."""
    if width < 1 or size % width:
        raise ValueError(f"{size} bytes are no lines of {width}")
    if not (0 <= dx < SIDE and 0 <= dy < SIDE):
        raise ValueError(f"the grid begins at ({dx}, {dy}): 0 to 7 are possible")
    return max(0, width - dx) // SIDE, max(0, size // width - dy) // SIDE


def _check(values: array[float] | array[int], typecode: str, table: Sequence[int]) -> array[int]:
    if values.typecode != typecode or len(values) % BLOCK:
        raise ValueError(f"whole blocks in an array('{typecode}') are needed")
    if len(table) != BLOCK or not all(1 <= divisor <= 65535 for divisor in table):
        raise ValueError("a quantisation table has 64 divisors from 1 to 65535")
    return array("i", table)

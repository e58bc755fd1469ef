"""Real files as shares: every clean Huffman file comes back bit for bit, within the size promised.

Over the collection beside the project; skipped where it is absent.
"""

from __future__ import annotations

from occulta.codec.jpeg.cells import CellKeys, CellReader
from occulta.errors import OccultaError
from occulta.limits import DEFAULT_LIMITS
from occulta.schemes.shares.split import Splitter
from tests.shares_support import FORMS, gather, make, split
from tests.test_corpus import CLEAN, CODED_OTHERWISE, DEEP, OTHERS, Entry, each
from tests.test_corpus import load_small as load


def cells_of(data: bytes) -> int:
    reader = CellReader(DEFAULT_LIMITS, CellKeys(bytes(16)))
    reader.feed(data)
    reader.finish()
    return reader.grid.columns * reader.grid.rows if reader.grid else 0


@each(CLEAN + DEEP)
def test_clean_file(entry: Entry) -> None:
    data = load(entry)
    form = FORMS[len(data) % len(FORMS)]
    splitter = Splitter(make(form), None)
    shares = [
        b"".join(parts) for parts in zip(splitter.feed(data), splitter.finish(), strict=True)
    ]
    found, restored = gather(shares)
    assert restored == data
    assert found.is_intact
    bound = len(data) + 4 * cells_of(data) + 64 * splitter.segments + 1024 + splitter.padding
    assert len(shares[-1]) <= bound


@each(CODED_OTHERWISE + OTHERS)
def test_other_file_is_refused_or_comes_back(entry: Entry) -> None:
    data = load(entry)
    try:
        shares = split(data, make("seed"))
    except OccultaError as error:
        assert error.reason.value // 100 == 3
        return
    assert gather(shares)[1] == data

"""DHT segments that make an original table stand again, in a marked file of profile `exact`.

Scans that carry nothing keep their DHT segments; where such a scan uses a table that a marked one
has replaced, the original stands again in a segment right before SOS, told apart by one fill byte.
"""

from __future__ import annotations

from occulta.codec.jpeg import markers
from occulta.codec.jpeg.engine import Destination, StreamEngine, item_end
from occulta.codec.jpeg.headers import Scan
from occulta.codec.jpeg.huffman import HuffmanTable, dht_segment, parse_dht
from occulta.codec.jpeg.structure import Item

_FILL = b"\xff"


def standing_again(
    tables: dict[Destination, HuffmanTable], out: dict[Destination, HuffmanTable], scan: Scan
) -> bytes:
    """The DHT segment a scan without hidden bits needs first, or none."""
    needed = [(*d, tables[d]) for d in scan.tables if out.get(d) != tables[d]]
    return _FILL + dht_segment(needed) if needed else b""


def define(
    engine: StreamEngine, tables: dict[Destination, HuffmanTable], item: Item
) -> None:
    """Enter the tables of a DHT segment."""
    for kind, destination, table in parse_dht(engine.buffer.copy(item.body, item_end(item))):
        tables[kind, destination] = table


def looks_restanding(
    engine: StreamEngine, group: list[Item], own: dict[Destination, HuffmanTable],
    standing: dict[Destination, HuffmanTable], scan: Scan,
) -> bool:
    """True if the segment before SOS is one that `standing_again` made.

    `own` and `standing` are what stood before the group; they are used up.
    """
    if len(group) < 2 or group[-2].marker != markers.DHT:
        return False
    for item in group[:-2]:
        if item.marker == markers.DHT:
            define(engine, own, item)
            define(engine, standing, item)
    if any(d not in own for d in scan.tables):
        return False
    last = engine.buffer.copy(group[-2].start, item_end(group[-2]))
    return last == standing_again(own, standing, scan)

"""Shares in, the frame out: verified, or as much of it as is left and an account of the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from occulta.codec.crypto import PrivateKey, VerifyingKey
from occulta.codec.jpeg.cells import CellDecoder, CellKeys, Cut, Geometry, Grid
from occulta.errors import OccultaError
from occulta.limits import DEFAULT_LIMITS, Limits
from occulta.schemes.shares.conclusion import Conclusion, decode_conclusion
from occulta.schemes.shares.copies import Copies
from occulta.schemes.shares.damage import Damage, Rows
from occulta.schemes.shares.header import Form
from occulta.schemes.shares.locate import Source
from occulta.schemes.shares.opening import open_shares
from occulta.schemes.shares.regions import Regions
from occulta.schemes.shares.segments import HASH_SIZE, Checked, Kind, Segment, SetKeys


class _Band(NamedTuple):
    """Rows of cells of which something is known: the first `good` MCUs are as they were."""

    number: int
    cut: Cut
    mcus: int
    good: int
    cells: frozenset[int]


class Gatherer:
    """Restores the frame of some shares. `restore` first; `damage` and the rest are known then.

    Holds one segment and a few numbers for each. The constructor raises OccultaError for shares
    that cannot be used together (opening.open_shares); the rest raises INPUT_UNREADABLE alone.
    """

    def __init__(
        self, sources: Sequence[Source], key: PrivateKey, limits: Limits = DEFAULT_LIMITS,
        kernel: str | None = None,
    ) -> None:
        self.opened = open_shares(sources, key)
        self.damage = Damage(headers=self.opened.set_aside)
        self.conclusion: Conclusion | None = None
        self.length = 0
        """Bytes restored."""
        self.segments = 0
        """Segments looked for: all of them, or those before a lost end."""
        self.prefix = 0
        """Bytes restored before the first that are lost."""
        self.digest = b""
        """SHA-256 of what was restored."""
        self._recipient = key.public
        self._limits = limits
        self._kernel = kernel
        secrets, clear = self.opened.shares[0].secrets, self.opened.clear
        self._regions = secrets.regions
        self._keys = SetKeys(secrets.set_key, clear.set_id)
        self._copies = Copies(self.opened, self._keys, self.damage)
        self._head = bytearray()
        self._bands: list[_Band] = []
        self._decoder: CellDecoder | None = None

    @property
    def is_intact(self) -> bool:
        """True if the frame is the original and nothing speaks against it.

        Of two shares any alteration does; of k-of-n only what no share could make good.
        """
        redundant = self.opened.clear.form is Form.THRESHOLD
        return self.damage.is_lossless and (redundant or not self.damage.altered_shares)

    @property
    def head(self) -> bytes:
        """The headers of the JPEG, up to its first scan, as far as they were restored."""
        return bytes(self._head)

    @property
    def grid(self) -> Grid | None:
        """The cells of the picture; None while they are not needed or without its headers."""
        return None if self._decoder is None else self._decoder.geometry.grid

    def is_authentic(self, satellite: VerifyingKey) -> bool:
        """True if this satellite signed the frame to this recipient; says nothing of damage."""
        found = self.conclusion
        if found is None or not found.names(self._recipient):
            return False
        return found.is_authentic(satellite, self.opened.clear)

    def restore(self) -> Iterator[bytes]:
        """The bytes of the frame in order, without those that are lost."""
        digest, in_head, number = hashlib.sha256(), True, 0
        while self.conclusion is None and self._copies.has(number):
            segment, cells = self._read(number)
            if segment is None or segment.kind is not Kind.PLAIN:
                in_head = False
            elif in_head and len(self._head) <= self._limits.max_header_bytes:
                self._head += segment.data
            if segment is not None and segment.cut is not None:
                self._note(number, segment, segment.cut, cells)
            if segment is not None and segment.kind is Kind.CONCLUSION:
                self.conclusion = decode_conclusion(segment.data)
            elif segment is not None and cells is None:
                digest.update(segment.data)
                self.length += len(segment.data)
                self.prefix += len(segment.data) if self._is_whole else 0
                yield segment.data
            number += 1
        self.segments = number
        self.digest = digest.digest()
        self._conclude()

    def rows(self) -> Iterator[Rows]:
        """The scan in runs of MCUs, restored ones and lost ones; only after `restore`.

        Reads the shares again; nothing where the headers of the JPEG are lost.
        """
        for band in self._runs():
            if band.good:
                segment, _ = self._read(band.number)
                yield Rows(band.cut, band.good, None if segment is None else segment.data)
            if band.good < band.mcus:
                cut = _at(band.cut.mcu + band.good) if band.good else band.cut
                yield Rows(cut, band.mcus - band.good, None, band.cells)

    @property
    def _is_whole(self) -> bool:
        """Whether nothing was lost so far."""
        damage = self.damage
        return not (damage.missing or damage.coarse or damage.located)

    # Segments.

    def _read(self, number: int) -> tuple[Segment | None, frozenset[int] | None]:
        """A segment and its damaged cells, None where it is whole; notes what is wrong."""
        found = self._copies.verified(number)
        if found is not None and found.data_holds and found.hashes_hold:
            return found.segment, None
        attempts = []
        for attempt in self._copies.attempts(number):
            if attempt.data_holds:
                self.damage.restored.add(number)
                return attempt.segment, None
            attempts.append(attempt)
        judged = [known for each in attempts if (known := self._judge(each)) is not None]
        if judged:
            self.damage.located.add(number)
            return min(judged, key=lambda known: len(known[1]))
        where = self.damage.coarse if attempts else self.damage.missing
        where.add(number)
        return None, None

    def _judge(self, found: Checked) -> tuple[Segment, frozenset[int]] | None:
        """The damaged cells of rows whose hashes are known to be right."""
        segment = found.segment
        if not found.hashes_hold or segment.cut is None:
            return None
        decoder = self._open_decoder()
        if decoder is None:
            return None
        return segment, damaged_cells(decoder, self._regions, segment, segment.cut)

    def _open_decoder(self) -> CellDecoder | None:
        if self._decoder is None and not self.damage.head_lost:
            keys = CellKeys(self._keys.cells)
            try:
                self._decoder = CellDecoder(bytes(self._head), keys, self._limits, self._kernel)
            except OccultaError:
                self.damage.head_lost = True
        return self._decoder

    def _note(
        self, number: int, segment: Segment, cut: Cut, cells: frozenset[int] | None
    ) -> None:
        good = segment.mcus
        if cells is not None and self._decoder is not None:
            good = _good_mcus(self._decoder.geometry, self._regions, segment, cut, cells)
        self._bands.append(_Band(number, cut, segment.mcus, good, cells or frozenset()))

    # The whole.

    def _conclude(self) -> None:
        damage = self.damage
        damage.end_lost = self.conclusion is None
        if self.conclusion is not None:
            expected = (self.conclusion.length, self.conclusion.digest)
            damage.digest_matches = (self.length, self.digest) == expected
        if not damage.is_lossless:
            for band in self._runs():
                damage.cells |= band.cells

    def _runs(self) -> Iterator[_Band]:
        """What is known of the scan, and between it what is not."""
        decoder = self._open_decoder()
        if decoder is None:
            return
        at, geometry = 0, decoder.geometry
        for band in self._bands:
            if band.cut.mcu < at or band.cut.mcu + band.mcus > geometry.mcus:
                continue  # no satellite writes that
            if band.cut.mcu > at:
                yield _gap(geometry, at, band.cut.mcu)
            yield band
            at = band.cut.mcu + band.mcus
        if at < geometry.mcus:
            yield _gap(geometry, at, geometry.mcus)


def damaged_cells(
    decoder: CellDecoder, regions: Regions, segment: Segment, cut: Cut
) -> frozenset[int]:
    """Cells of a segment whose hash is not the one sent, and all behind where decoding stopped.

    Of cells outside the regions of interest only the latter can be known.
    """
    geometry = decoder.geometry
    first, count = geometry.first_cell(cut), geometry.cells_in(cut, segment.mcus)
    found = decoder.decode(cut, segment.data, segment.mcus).hashes
    damaged = set(range(first + len(found) // HASH_SIZE, first + count))
    columns = geometry.grid.columns
    hashed = regions.cells(first // columns, count // columns, columns)
    for index, cell in enumerate(hashed):
        at, sent = HASH_SIZE * (cell - first), segment.hashes[HASH_SIZE * index :][:HASH_SIZE]
        if found[at : at + HASH_SIZE] != sent:
            damaged.add(cell)
    return frozenset(damaged)


def _good_mcus(
    geometry: Geometry, regions: Regions, segment: Segment, cut: Cut, cells: frozenset[int]
) -> int:
    """How many MCUs before the first damaged cell verify: whole rows, where all have hashes."""
    if regions.rectangles:
        return 0
    good = 0
    first = min(cells, default=geometry.first_cell(cut) + geometry.cells_in(cut, segment.mcus))
    while good < segment.mcus:
        band = geometry.band_mcus(cut.mcu + good)
        if (geometry.row_of(cut.mcu + good + band)) * geometry.grid.columns > first:
            break
        good += band
    return min(good, segment.mcus)


def _at(mcu: int) -> Cut:
    return Cut(mcu, 0, 0, (0, 0, 0, 0), 0, 0)


def _gap(geometry: Geometry, start: int, end: int) -> _Band:
    """Rows of which nothing is known."""
    first = geometry.row_of(start) * geometry.grid.columns
    last = geometry.row_of(end) * geometry.grid.columns
    return _Band(-1, _at(start), end - start, 0, frozenset(range(first, last)))

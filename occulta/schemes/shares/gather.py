"""Shares in, the frame out: verified, or as much of it as is left and an account of the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from occulta.codec.crypto import PrivateKey, VerifyingKey
from occulta.codec.jpeg.cells import CellDecoder, CellKeys, Cut, Grid
from occulta.codec.jpeg.structure import ItemKind, JpegBuffer
from occulta.errors import OccultaError
from occulta.limits import DEFAULT_LIMITS, Limits
from occulta.schemes.shares.cellset import MAX_RUNS, CellSet
from occulta.schemes.shares.conclusion import Conclusion, decode_conclusion
from occulta.schemes.shares.copies import Copies
from occulta.schemes.shares.damage import Damage, Rows
from occulta.schemes.shares.header import Form
from occulta.schemes.shares.judge import Judge, Judged
from occulta.schemes.shares.locate import Source
from occulta.schemes.shares.opening import open_shares
from occulta.schemes.shares.regions import Rectangle
from occulta.schemes.shares.segments import Checked, Kind, Segment, SetKeys


class _Band(NamedTuple):
    """MCUs of the segment `number`, or (-1) of none that is known; and which cells are damaged."""

    number: int
    mcu: int
    mcus: int
    cells: CellSet


class Gatherer:
    """Restores the frame of some shares. `restore` first; `damage` and the rest are known then.

    Holds one segment and a few numbers for each. The constructor raises OccultaError for shares
    that cannot be used together (opening.open_shares); the rest raises INPUT_UNREADABLE alone.
    """

    def __init__(
        self, sources: Sequence[Source], key: PrivateKey, limits: Limits = DEFAULT_LIMITS,
        kernel: str | None = None, named: Sequence[Source] = (),
    ) -> None:
        """`named`: the sources that choose among several whole sets (opening.open_shares)."""
        self.opened = open_shares(sources, key, named)
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
        self._runs_left = MAX_RUNS
        self._keys = SetKeys(secrets.set_key, clear.set_id)
        self._copies = Copies(self.opened, self._keys, self.damage)
        self._head = bytearray()
        self._bands: list[_Band] = []
        self._judge: Judge | None = None

    @property
    def is_intact(self) -> bool:
        """True if the frame is the original and nothing speaks against it.

        Of two shares any alteration does; of k-of-n only what no share could make good.
        """
        redundant = self.opened.clear.form is Form.THRESHOLD
        damage = self.damage
        return damage.is_lossless and (redundant or not (damage.altered or damage.moved))

    @property
    def head(self) -> bytes:
        """The headers of the JPEG, up to its first scan, as far as they were restored."""
        buffer = JpegBuffer(self._limits)
        with suppress(OccultaError):  # those before the damage are there all the same
            buffer.append(bytes(self._head))
        scans = (item.start for item in buffer.items if item.kind is ItemKind.SCAN)
        return bytes(self._head[: next(scans, len(self._head))])

    @property
    def grid(self) -> Grid | None:
        """The cells of the picture; None while they are not needed or without its headers."""
        return None if self._judge is None else self._judge.geometry.grid

    @property
    def regions(self) -> tuple[Rectangle, ...]:
        """The regions of interest, none for the whole picture."""
        return self._regions.rectangles

    @property
    def hashed(self) -> CellSet:
        """The cells that have a hash; none while `grid` is None."""
        return CellSet() if self._judge is None else self._judge.hashed

    def is_authentic(self, satellite: VerifyingKey) -> bool:
        """True if this satellite signed the frame to this recipient; says nothing of damage."""
        found = self.conclusion
        if found is None or not found.names(self._recipient):
            return False
        return found.is_authentic(satellite, self.opened.clear)

    def restore(self) -> Iterator[bytes]:
        """The bytes of the frame in order, without those that are lost."""
        digest, in_head, number = hashlib.sha256(), True, 0
        last: Segment | None = None
        while self.conclusion is None and self._copies.has(number):
            last, judged = self._read(number)
            segment = last if judged is None else judged.segment
            if segment is None or segment.kind is not Kind.PLAIN:
                in_head = False
            elif in_head and len(self._head) <= self._limits.max_header_bytes:
                self._head += segment.data
            if segment is not None and segment.cut is not None:
                self._note(number, segment, segment.cut, judged)
            if last is not None and last.kind is Kind.CONCLUSION:
                self.conclusion = decode_conclusion(last.data)
            elif last is not None:
                digest.update(last.data)
                self.length += len(last.data)
                self.prefix += len(last.data) if self._is_whole else 0
                yield last.data
            number += 1
        self.segments = number
        self.digest = digest.digest()
        if self.conclusion is None and (not number or (last and last.kind is not Kind.CONCLUSION)):
            self._copies.note_end(number)
        self._conclude()

    def rows(self) -> Iterator[Rows]:
        """The scan in runs of MCUs, restored ones and lost ones; only after `restore`.

        Reads the shares again; nothing where the headers of the JPEG are lost.
        """
        judge = self._open_judge()
        if judge is None:
            return
        for band in self._runs(judge):
            segment, judged = None, None
            if band.number >= 0:
                segment, judged = self._read(band.number, band.mcu)
            if judged is not None:
                yield from judge.rows(judged)
            elif segment is not None and segment.cut is not None:
                yield Rows(segment.cut, segment.mcus, segment.data)
            else:
                yield judge.lost(band.cells, band.mcu, band.mcu + band.mcus)

    @property
    def _is_whole(self) -> bool:
        """Whether nothing was lost so far."""
        damage = self.damage
        return not (damage.missing or damage.coarse or damage.located)

    # Segments.

    def _read(self, number: int, mcu: int | None = None) -> tuple[Segment | None, Judged | None]:
        """A segment that is whole, or what can be said of one that is not; notes what is wrong.

        `mcu`: where the rows before it end.
        """
        found = self._copies.verified(number)
        if found is not None and found.data_holds and found.hashes_hold:
            return found.segment, None
        best: Judged | None = None
        for attempt in self._copies.attempts(number):
            if attempt.data_holds:
                self.damage.restored.add(number)
                return attempt.segment, None
            judged = self._judged(attempt, self._scanned if mcu is None else mcu)
            if judged is not None and (best is None or len(judged.cells) < len(best.cells)):
                best = judged
        if best is not None:
            self.damage.located.add(number)
            return None, best
        where = self.damage.coarse if self._copies.stands(number) else self.damage.missing
        where.add(number)
        return None, None

    @property
    def _scanned(self) -> int:
        """MCUs up to the end of the last rows found."""
        return self._bands[-1].mcu + self._bands[-1].mcus if self._bands else 0

    def _judged(self, found: Checked, mcu: int) -> Judged | None:
        """The damaged cells of rows whose hashes are known to be right."""
        cut = found.segment.cut
        if not found.hashes_hold or cut is None or cut.mcu < mcu:
            return None
        judge = self._open_judge()
        return None if judge is None else judge.judge(found.segment)

    def _open_judge(self) -> Judge | None:
        if self._judge is None and not self.damage.head_lost:
            keys = CellKeys(self._keys.cells)
            try:
                decoder = CellDecoder(self.head, keys, self._limits, self._kernel)
            except OccultaError:
                self.damage.head_lost = True
            else:
                self._judge = Judge(decoder, self._regions)
        return self._judge

    def _note(self, number: int, segment: Segment, cut: Cut, judged: Judged | None) -> None:
        cells = CellSet()
        if judged is not None:
            if self._regions.rectangles and not judged.cells:
                self.damage.outside.add(number)
            cells = CellSet(judged.cells.runs, max(1, self._runs_left))
            self._runs_left -= len(cells.runs)
        self._bands.append(_Band(number, cut.mcu, segment.mcus, cells))

    # The whole.

    def _conclude(self) -> None:
        damage = self.damage
        damage.end_lost = self.conclusion is None
        if self.conclusion is not None:
            expected = (self.conclusion.length, self.conclusion.digest)
            damage.digest_matches = (self.length, self.digest) == expected
        judge = None if damage.is_lossless else self._open_judge()
        if judge is not None:
            damage.cells = CellSet(run for band in self._runs(judge) for run in band.cells.runs)

    def _runs(self, judge: Judge) -> Iterator[_Band]:
        """What is known of the scan, and between it what is not."""
        damage, at, number = self.damage, 0, 0
        lost = damage.missing | damage.coarse | damage.located
        if damage.end_lost:
            lost.add(self.segments)
        for band in self._bands:
            if band.mcu < at or not judge.holds(band.mcu, band.mcus):
                continue  # no satellite writes that
            if band.mcu > at:
                yield _gap(judge, at, band.mcu, lost, range(number, band.number))
            yield band
            at, number = band.mcu + band.mcus, band.number + 1
        if at < judge.geometry.mcus:
            numbers = range(number, self.segments + 1)
            yield _gap(judge, at, judge.geometry.mcus, lost, numbers)


def _gap(judge: Judge, start: int, end: int, lost: set[int], numbers: range) -> _Band:
    """MCUs that no segment of rows holds, but some of `numbers` if those are not lost.

    Rows that are longer than a segment can be travel as plain bytes.
    """
    is_whole = bool(numbers) and lost.isdisjoint(numbers)
    cells = CellSet() if is_whole else CellSet([range(*judge.span(start, end))])
    return _Band(-1, start, end - start, cells)

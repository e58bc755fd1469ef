"""Random tampering with shares: whether it is noticed, and whether the place told is the true one.

Each tamper is made of its number alone. The truth comes from the bytes: a segment that the tamper
left whole, moved or not, must be restored; what the bytes of a damaged one decode to,
`shares_truth` says.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from bench.shares_alter import DATA, KINDS, Alteration
from bench.shares_drive import FORMS, Laid, Split, create, gather, joined, layout, split
from bench.shares_truth import Decoder, Reading
from occulta.errors import OccultaError
from occulta.schemes.shares.gather import Gatherer
from occulta.schemes.shares.header import share_name
from occulta.schemes.shares.segments import DATA_CHECK_SIZE, MAC_SIZE, MARK_SIZE, Kind

COUNTED = ("tampers", "detected", "share named", "refused", "made good", "to cells",
           "to lost step", "to the segment", "wrong", "undamaged lost", "flips in JPEG bytes",
           "of them located")
"""What a campaign counts, for each kind of tamper."""


@dataclass(slots=True)
class Built:
    """A frame's shares in one form, and what its segments decode to."""

    done: Split
    laid: list[Laid]
    decoder: Decoder | None
    readings: dict[int, Reading]

    @classmethod
    def of(cls, name: str, jpeg: bytes, form: str) -> Built:
        """Split a picture; raises AssertionError where a fault shows without any tampering."""
        done = split(jpeg, create(form, f"{name} {form}"))
        laid = layout(done)
        found, restored = gather(done.shares)
        if not found.is_intact or found.damage.cells or restored != jpeg or joined(laid) != jpeg:
            raise AssertionError(f"{name}: the shares do not give the picture")
        cells = [each for each in laid if each.segment.kind is Kind.CELLS]
        decoder = Decoder(joined(laid[: cells[0].number])) if cells else None
        readings = {}
        for each in cells:
            cut = each.segment.cut
            assert cut is not None and decoder is not None
            readings[each.number] = decoder.read(cut, each.segment.data, each.segment.mcus)
            if not readings[each.number].ended_well:
                raise AssertionError(f"{name}: the second decoder cannot read it")
        return cls(done, laid, decoder, readings)

    def cells_of(self, laid: Laid) -> set[int]:
        """Every cell of a segment."""
        segment = laid.segment
        if segment.cut is None or self.decoder is None:
            return set()
        first = segment.cut.mcu
        return {self.decoder.cell_of(mcu) for mcu in range(first, first + segment.mcus)}


@dataclass(slots=True)
class Found:
    """Counts by (kind of tamper, one of COUNTED), and a line for every fault."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    """The same where damage was noticed and another share named, or none."""

    def add(self, other: Found) -> None:
        """Take the other's as well."""
        self.counts.update(other.counts)
        self.faults += other.faults
        self.unnamed += other.unnamed

    def total(self, what: str) -> int:
        """Over all kinds of tamper."""
        return sum(self.counts[kind, what] for kind in KINDS)


def campaign(pictures: Mapping[str, bytes], numbers: Iterable[int]) -> Found:
    """Tamper with the shares of some pictures once for each number."""
    built: dict[tuple[str, str], Built] = {}
    found = Found()
    for number in numbers:
        chance = random.Random(number)
        name, form = chance.choice([*pictures]), chance.choice(FORMS)
        for key in ((name, form), (_next(pictures, name), form)):
            if key not in built:
                built[key] = Built.of(key[0], pictures[key[0]], form)
        strange = built[_next(pictures, name), form].done.shares[-1]
        found.add(Trial(number, f"{name}, {form}", built[name, form], strange, chance).run())
    return found


def parallel_campaign(pictures: Mapping[str, bytes], count: int) -> Found:
    """The campaign of numbers 0 to `count`, on every core."""
    workers = os.cpu_count() or 1
    found = Found()
    with ProcessPoolExecutor(workers) as pool:
        parts = [range(start, count, workers) for start in range(workers)]
        for part in pool.map(partial(campaign, pictures), parts):
            found.add(part)
    return found


def _next(pictures: Mapping[str, bytes], name: str) -> str:
    names = [*pictures]
    return names[(names.index(name) + 1) % len(names)]


class Trial:
    """One tamper of one share, and what the recovery makes of it."""

    def __init__(
        self, number: int, what: str, built: Built, strange: bytes, chance: random.Random
    ) -> None:
        """`strange` is a share of another frame, to splice from."""
        self._built = built
        done = built.done
        bodies = [n for n, share in enumerate(done.shares) if len(share) > done.headers[n]]
        is_sealed_key = len(bodies) < len(done.shares) and not chance.randrange(8)
        self._index = 0 if is_sealed_key else chance.choice(bodies)
        self._header = done.headers[self._index]
        self._old = done.shares[self._index]
        others = [strange, *(done.shares[n] for n in bodies if n != self._index)]
        self._altered = Alteration(self._old, self._header, built.laid, others, chance)
        self._new = self._altered.new
        self._kind = self._altered.kind
        self._said = f"tamper {number} ({self._kind}, share {self._index} of {what})"
        self._found = Found()

    def run(self) -> Found:
        """Recover, and compare with the truth."""
        self._count("tampers")
        shares = [*self._built.done.shares]
        shares[self._index] = self._new
        try:
            gatherer, restored = gather(shares)
        except OccultaError as error:
            self._judge_refusal(error)
            return self._found
        if self._header_altered and len(shares) == 2:
            self._fault("wrong", "the altered header was not noticed")
        elif len(shares) > 2:
            self._judge_made_good(gatherer, restored)
        else:
            self._judge(gatherer, restored)
        return self._found

    def _count(self, what: str, number: int = 1) -> None:
        self._found.counts[self._kind, what] += number

    def _fault(self, what: str, why: str) -> None:
        self._count(what)
        self._found.faults.append(f"{self._said}: {why}")

    # The verdict.

    @property
    def _header_altered(self) -> bool:
        return self._new[: self._header] != self._old[: self._header]

    def _judge_refusal(self, error: OccultaError) -> None:
        if not self._header_altered:
            self._fault("wrong", f"refused, though the header is as it was: {error}")
            return
        self._count("detected")
        self._count("refused")
        names = share_name(self._index), f"input {self._index}"
        if any(name in error.detail for name in names):
            self._count("share named")
        else:
            self._found.unnamed.append(f"{self._said}: {error}")

    def _judge_made_good(self, gatherer: Gatherer, restored: bytes) -> None:
        """Of k-of-n: the frame is whole, and the share is named."""
        names = gatherer.damage.altered_shares
        if names:
            self._count("detected")
        self._judge_names(names)
        if not gatherer.is_intact or restored != self._built.done.frame:
            self._fault("undamaged lost", "the other shares hold all of it")
        else:
            self._count("made good")

    def _judge_names(self, names: list[str]) -> None:
        if names in ([share_name(self._index)], [f"input {self._index}"]):
            self._count("share named")
        else:
            self._found.unnamed.append(f"{self._said}: named were {names}")

    def _judge(self, gatherer: Gatherer, restored: bytes) -> None:
        damage = gatherer.damage
        if not gatherer.is_intact:
            self._count("detected")
        self._judge_names(damage.altered_shares)
        laid = self._built.laid
        lost = damage.missing | damage.coarse | damage.located
        if damage.end_lost:
            lost |= set(range(gatherer.segments, len(laid)))
        for each in laid:
            if each.number in lost and self._is_there(each):
                self._fault("undamaged lost", f"segment {each.number} is undamaged")
        if restored != joined(each for each in laid if each.number not in lost):
            self._fault("wrong", "other bytes than those of the segments restored")
        elif gatherer.grid is None:
            self._judge_headless(gatherer, lost)
        else:
            self._judge_cells(gatherer, [laid[number] for number in sorted(lost)])
        if self._altered.flipped is not None:
            self._judge_flip(gatherer, self._altered.flipped - self._header)

    def _judge_headless(self, gatherer: Gatherer, lost: set[int]) -> None:
        """No cells can be told: of a file without any, without its headers, or undamaged."""
        if gatherer.damage.cells:
            self._fault("wrong", "cells of a picture that is not known")
        else:
            self._count("to the segment", len(lost))

    def _judge_cells(self, gatherer: Gatherer, lost: Sequence[Laid]) -> None:
        told = set(gatherer.damage.cells)
        if told - set().union(*map(self._built.cells_of, lost)):
            self._fault("wrong", "cells of undamaged segments")
            return
        for each in lost:
            cells = self._built.cells_of(each)
            if each.number in gatherer.damage.located:
                self._judge_located(each, told & cells)
            elif told & cells == cells:
                self._count("to the segment")
            else:
                self._fault("wrong", f"segment {each.number} is damaged whole")

    def _judge_located(self, laid: Laid, told: set[int]) -> None:
        """Cells told one by one must be those that differ, and behind lost step nothing counts."""
        cut, decoder = laid.segment.cut, self._built.decoder
        assert cut is not None and decoder is not None
        for data in self._readings(laid):
            truth = decoder.compare(self._built.readings[laid.number], cut, data)
            if truth.differing <= told <= truth.differing | truth.rest:
                self._count("to lost step" if truth.rest else "to cells")
                return
        self._fault("wrong", f"segment {laid.number}: cells that are not those that differ")

    def _readings(self, laid: Laid) -> Iterable[bytes]:
        """The JPEG bytes as they are wherever the mark of a segment stands.

        A share is the segment XOR something that both the old and the new one have.
        """
        marks = sorted(at for each in self._built.laid for at in self._places(each))
        start, data = self._header + laid.at, laid.segment.data
        old = self._old[start + DATA :][: len(data)]
        for at in self._places(laid):
            end = min((mark for mark in marks if mark > at), default=len(self._new))
            new = self._new[at + DATA : max(at + DATA, end - MAC_SIZE)][: len(data)]
            if self._new[at:][:DATA] == self._old[start:][:DATA]:
                yield bytes(x ^ y ^ z for x, y, z in zip(old, new, data, strict=False))

    def _places(self, laid: Laid) -> list[int]:
        start = self._header + laid.at
        mark, found = self._old[start : start + MARK_SIZE], []
        at = self._new.find(mark)
        while at >= 0:
            found.append(at)
            at = self._new.find(mark, at + 1)
        return found

    def _is_there(self, laid: Laid) -> bool:
        """Whether the whole segment is as it was, wherever it stands now."""
        start = self._header + laid.at
        return self._altered.keeps(start, start + laid.size)

    def _judge_flip(self, gatherer: Gatherer, at: int) -> None:
        """Where it did not hit the head of a segment, its JPEG bytes or their check, nothing is
        lost."""
        damage = gatherer.damage
        for laid in self._built.laid:
            inside, end = at - laid.at, DATA + len(laid.segment.data)
            if not 0 <= inside < laid.size:
                continue
            if inside in range(DATA, end) and laid.segment.cut is not None:
                self._count("flips in JPEG bytes")
                self._count("of them located", laid.number in damage.located)
            checks = end + len(laid.segment.hashes)
            hurts = MARK_SIZE <= inside < end or checks <= inside < checks + DATA_CHECK_SIZE
            if not hurts and (damage.cells or not damage.digest_matches):
                self._fault("undamaged lost", "the JPEG bytes are as they were")

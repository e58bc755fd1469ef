"""The report of a recovery from shares, in the words of ground/report.py.

`intact`: every segment verified, the restored bytes match the digest inside the shares, and nothing
else was refused. `origin`: whether a known satellite's signature verifies, over the frame's
length, its digest and this set of shares. `authentic`: whether the restored bytes are those that
it signed; null where nobody looked. Of a damaged picture the signature does not say that what is
left is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from occulta.codec.jpeg.cells import Grid
from occulta.errors import OccultaError
from occulta.schemes.shares.cellset import CellSet
from occulta.schemes.shares.damage import Damage
from occulta.schemes.shares.gather import Gatherer
from occulta.schemes.shares.header import share_name

NOT_CHECKED, NOT_VERIFIED, VERIFIED = "not checked", "not verified", "verified"
"""What is known of the origin."""
COLOURS = {(True, False): "red", (False, True): "blue", (True, True): "magenta"}
"""Outlines in tamper.png, by whether share a, share b of two was altered."""
_MOST_LISTED = 8
MOST_RUNS = 1000
"""Runs of damaged cells that a report lists."""


@dataclass
class Report:
    """Filled in as a recovery goes on; nothing is true that was not checked."""

    intact: bool = False
    authentic: bool | None = None
    origin: str = NOT_CHECKED
    signed: bool | None = None
    set_id: str | None = None
    threshold: int | None = None
    holders: int | None = None
    shares: list[str] = field(default_factory=list)
    regions: list[list[int]] = field(default_factory=list)
    """Regions of interest, x, y, width, height; none: all of the picture."""
    carrier: str | None = None
    """The file of the restored frame, once it is intact."""
    carrier_bytes: int | None = None
    carrier_sha256: str | None = None
    damage: Damage | None = None
    grid: Grid | None = None
    """The cells of the picture; None while they are not needed or not known."""
    hashed: CellSet = field(default_factory=CellSet)
    """Those that have a hash: of the regions, or all."""
    pictures: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    altered_shares: list[str] | None = None
    """Shares of this frame that are not as they were sent."""
    set_aside: list[str] = field(default_factory=list)
    """Inputs that were not used: no shares, or none of this frame."""
    chosen: str | None = None
    """Why this frame and no other, where that is not clear from the shares that were named."""
    unread: list[str] = field(default_factory=list)
    """Shares in use that cannot be read to their end."""
    error: OccultaError | None = None

    def enter(self, gatherer: Gatherer, claimed: list[str]) -> None:
        """What a gatherer found; `claimed`: inputs it left out that claim to be of its shares."""
        clear = gatherer.opened.clear
        self.set_id, self.threshold = clear.set_id.hex(), clear.threshold
        self.holders = clear.holders
        self.shares = [share.clear.name for share in gatherer.opened.shares]
        self.damage = damage = gatherer.damage
        touched = sorted({*damage.altered, *damage.moved})
        self.altered_shares = [*map(share_name, touched), *claimed]
        self.set_aside += [name for name in damage.headers if name not in claimed]
        if gatherer.conclusion is not None:
            self.signed = bool(gatherer.conclusion.signature)
        if damage.digest_matches:
            self.carrier_bytes, self.carrier_sha256 = gatherer.length, gatherer.digest.hex()
        self.grid, self.hashed = gatherer.grid, gatherer.hashed
        self.regions = [list(rectangle) for rectangle in gatherer.regions]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        said: dict[str, object] = {"scheme": "shares", "profile": "jpeg"}
        said |= {name: value for name, value in vars(self).items() if name not in _APART}
        if self.damage is not None:
            said["damage"] = _damage_said(self.damage, self.grid) | {
                "cells_in_regions": len(self.hashed),
                "damaged_in_regions": self.damaged_in_regions,
            }
        if self.error is not None:
            said["error"] = self.error.as_dict()
        said["verdict"] = self.verdict
        return said

    @property
    def damaged_in_regions(self) -> int:
        """Damaged cells of the regions of interest, of the whole picture without any."""
        return 0 if self.damage is None else self.hashed.shared(self.damage.cells)

    @property
    def verdict(self) -> str:
        """One line."""
        if self.error is not None:
            return one_line(f"not verified: {self.error.detail}")
        origin = "signature not checked" if self.signed else "unsigned"
        origin = "authentic" if self.authentic else origin
        found = [f"intact, {origin}: {self.carrier_bytes} bytes of {len(self.shares)} shares"]
        if self.chosen:
            found.append(self.chosen)
        if self.altered_shares:
            found.append(f"made good: {listed(self.altered_shares)}")
        found += self.unread
        if self.set_aside:
            found.append(f"set aside: {listed(self.set_aside)}")
        return one_line("; ".join(found))


_APART = ("damage", "grid", "hashed", "error")
"""Fields that JSON shows in another form."""


def one_line(text: str) -> str:
    """Names of files may hold what looks like a line of ours."""
    return text.replace("\n", "\\n")


def listed(names: Sequence[object]) -> str:
    """As many as a line holds; the report has all of them."""
    shown = ", ".join(map(str, names[:_MOST_LISTED]))
    more = len(names) - _MOST_LISTED
    return f"{shown} and {more} more" if more > 0 else shown


def who(altered: list[str]) -> str:
    """Whose share was altered; nothing if nobody's was."""
    return f"{listed(altered)} {'was' if len(altered) == 1 else 'were'} altered" if altered else ""


def extent(report: Report) -> str:
    """What is damaged, and whether the end is lost; nothing where nothing is known of damage."""
    damage = report.damage
    if damage is None:
        return ""
    if damage.digest_matches:
        signed = ", as the satellite signed it" if report.authentic else ""
        return f"the picture itself could be restored{signed}"
    found = _cells_said(report, damage) or _segments_said(damage)
    if damage.head_lost:
        found.append("no place in the picture can be told")
    if damage.end_lost:
        found.append("the end of the frame is lost")
    return "; ".join(found)


def _cells_said(report: Report, damage: Damage) -> list[str]:
    """Damaged cells, apart those in the regions and those which are only outside of them."""
    inside, found = report.damaged_in_regions, []
    if inside:
        where = "regions" if report.regions else "picture"
        is_damaged = "is damaged" if inside == 1 else "are damaged"
        found.append(f"{inside} of {len(report.hashed)} cells of the {where} {is_damaged}")
    if outside := len(damage.cells) - inside:
        cells = "cell outside the regions is" if outside == 1 else "cells outside the regions are"
        found.append(f"{outside} {cells} lost")
    elif inside and damage.outside:
        found.append("damage outside the regions too")
    return found


def _segments_said(damage: Damage) -> list[str]:
    lost = sorted(damage.missing | damage.coarse | damage.located)
    if not lost:
        return []
    where = " outside the regions of interest" if damage.outside.issuperset(lost) else ""
    what = f"segment {lost[0]} is" if len(lost) == 1 else f"segments {listed(lost)} are"
    return [f"{what} damaged{where}"]


def _damage_said(damage: Damage, grid: Grid | None) -> dict[str, object]:
    """For JSON: shares by name, damaged cells as runs [column, row, length]."""
    runs, left_out = _runs(damage, grid)
    return {
        "altered": {share_name(n): sorted(damage.altered[n]) for n in sorted(damage.altered)},
        "moved": {share_name(n): sorted(damage.moved[n]) for n in sorted(damage.moved)},
        "headers": damage.headers, "missing": sorted(damage.missing),
        "restored": sorted(damage.restored), "located": sorted(damage.located),
        "coarse": sorted(damage.coarse), "outside_regions": sorted(damage.outside),
        "head_lost": damage.head_lost, "end_lost": damage.end_lost,
        "digest_matches": damage.digest_matches, "grid": None if grid is None else list(grid),
        "cells": len(damage.cells), "runs": runs, "runs_left_out": left_out,
    }


def _runs(damage: Damage, grid: Grid | None) -> tuple[list[list[int]], int]:
    """At most MOST_RUNS runs of damaged cells, each within its row, and how many there are more."""
    if grid is None:
        return [], 0
    runs = damage.cells.rows(grid.columns)
    listed = [[first, row, last - first + 1] for row, first, last in islice(runs, MOST_RUNS)]
    return listed, sum(1 for _ in runs)

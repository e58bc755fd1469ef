"""The report of a recovery from shares, in the words of ground/report.py.

`intact`: every segment verified and the restored bytes match the sealed digest. `authentic`: the
known satellite's signature inside the shares verifies.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from occulta.errors import OccultaError
from occulta.schemes.shares.damage import Damage
from occulta.schemes.shares.gather import Gatherer
from occulta.schemes.shares.header import share_name


@dataclass
class Report:
    """Filled in as a recovery goes on; nothing is true that was not checked."""

    intact: bool = False
    authentic: bool = False
    signed: bool | None = None
    set_id: str | None = None
    threshold: int | None = None
    holders: int | None = None
    shares: list[str] = field(default_factory=list)
    carrier_bytes: int | None = None
    carrier_sha256: str | None = None
    damage: Damage | None = None
    cells: tuple[int, int] | None = None
    pictures: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    error: OccultaError | None = None

    def enter(self, gatherer: Gatherer) -> None:
        """What a gatherer found."""
        clear = gatherer.opened.clear
        self.set_id, self.threshold = clear.set_id.hex(), clear.threshold
        self.holders = clear.holders
        self.shares = [share.clear.name for share in gatherer.opened.shares]
        self.damage = gatherer.damage
        self.intact = gatherer.is_intact
        if gatherer.conclusion is not None:
            self.signed = bool(gatherer.conclusion.signature)
        self.carrier_bytes, self.carrier_sha256 = gatherer.length, gatherer.digest.hex()
        self.cells = gatherer.grid

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        said: dict[str, object] = {"scheme": "shares", "profile": "jpeg"}
        said |= {name: value for name, value in vars(self).items() if name not in _APART}
        if self.damage is not None:
            said["altered_shares"] = self.damage.altered_shares
            said["damage"] = _damage_said(self.damage, self.cells)
        if self.error is not None:
            said["error"] = self.error.as_dict()
        said["verdict"] = self.verdict
        return said

    @property
    def verdict(self) -> str:
        """One line."""
        if self.error is not None:
            return f"not verified: {self.error.detail}"
        words = ["intact"]
        if self.authentic:
            words.append("authentic")
        else:
            words.append("signature not checked" if self.signed else "unsigned")
        if self.damage is not None and self.damage.altered_shares:
            words.append(f"made good: {', '.join(self.damage.altered_shares)}")
        return f"{', '.join(words)}: {self.carrier_bytes} bytes of {len(self.shares)} shares"


_APART = ("damage", "cells", "error")
"""Fields that JSON shows in another form."""


def _damage_said(damage: Damage, cells: tuple[int, int] | None) -> dict[str, object]:
    """For JSON: shares by name, cells as [column, row]."""
    columns = cells[0] if cells is not None else 1
    return {
        "altered": {share_name(n): sorted(damage.altered[n]) for n in sorted(damage.altered)},
        "moved": {share_name(n): sorted(damage.moved[n]) for n in sorted(damage.moved)},
        "headers": damage.headers, "missing": sorted(damage.missing),
        "restored": sorted(damage.restored), "located": sorted(damage.located),
        "coarse": sorted(damage.coarse), "head_lost": damage.head_lost,
        "end_lost": damage.end_lost, "digest_matches": damage.digest_matches,
        "grid": None if cells is None else list(cells),
        "cells": [[cell % columns, cell // columns] for cell in sorted(damage.cells)],
    }

"""What a recovery found: which shares were altered, what is lost, and where in the picture."""

from __future__ import annotations

from dataclasses import dataclass, field

from occulta.codec.jpeg.cells import Cut
from occulta.schemes.shares.cellset import CellSet
from occulta.schemes.shares.header import share_name


@dataclass(frozen=True, slots=True)
class Rows:
    """A run of MCUs of the scan, in order, from one segment, or from several that are missing.

    `cut` tells the place and the state before the first MCU; of missing segments only its `mcu`
    is known and the rest is zero. `data` is verified entropy-coded bytes from the cut on (as
    `CellDecoder.decode` takes them), of which only the first `mcus` MCUs count; None where nothing
    verified is left. `damaged`: its damaged cells. `verified`: where only part of what decodes has
    a hash, those cells that are right; None elsewhere.
    Neither data nor damaged cells: rows that are whole but cannot be decoded by themselves.
    """

    cut: Cut
    mcus: int
    data: bytes | None
    damaged: CellSet = field(default_factory=CellSet)
    verified: CellSet | None = None


@dataclass(slots=True)
class Damage:
    """What recovery found. Shares are named by index (0 is share a), segments by number."""

    altered: dict[int, set[int]] = field(default_factory=dict)
    """Per share the segments whose MAC does not hold in it, missing ones included."""
    moved: dict[int, set[int]] = field(default_factory=dict)
    """Per share the segments out of order, there twice, or with bytes put before or behind."""
    headers: list[str] = field(default_factory=list)
    """Inputs (by name) whose header was altered, and which were left out."""
    missing: set[int] = field(default_factory=set)
    """Segments of which nothing was found."""
    restored: set[int] = field(default_factory=set)
    """Altered segments whose JPEG bytes verify all the same."""
    located: set[int] = field(default_factory=set)
    """Damaged segments whose damaged cells are known one by one, as far as decoding kept step."""
    coarse: set[int] = field(default_factory=set)
    """Damaged segments located no closer than the segment; missing ones are not repeated here."""
    outside: set[int] = field(default_factory=set)
    """Those located segments of which every cell with a hash is whole, in a picture with regions
    of interest: the damage is outside the regions."""
    cells: CellSet = field(default_factory=CellSet)
    """Every damaged cell of the picture, row * columns + column."""
    head_lost: bool = False
    """The headers of the JPEG are not there, or those of a file without cells: no place in the
    picture can be told."""
    end_lost: bool = False
    """The last segment is lost: length, digest and signature are not known."""
    digest_matches: bool | None = None
    """Whether the restored bytes are the original; None where its digest is not known."""

    @property
    def altered_shares(self) -> list[str]:
        """Names of everything that is not as it left the satellite."""
        return [share_name(index) for index in sorted({*self.altered, *self.moved})] + self.headers

    @property
    def is_lossless(self) -> bool:
        """True if every segment has a verified copy and the restored bytes are the original."""
        hurt = self.missing or self.restored or self.located or self.coarse
        return not hurt and not self.end_lost and self.digest_matches is True

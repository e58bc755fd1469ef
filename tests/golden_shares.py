"""Frozen shares: `python -m tests.golden_shares` makes those that are missing.

HPKE and Shamir's sharing draw their own randomness, so headers are frozen with the rest and opened
again for the keys; the frame's key, which no header of a key stream holds, is fixed here.
"""

from __future__ import annotations

from pathlib import Path

from occulta.schemes.shares.keys import Share, ShareSet
from occulta.schemes.shares.opening import open_shares
from occulta.schemes.shares.regions import Regions
from tests import jpegs
from tests.shares_support import FORMS, Shares, make, seeded, sources, split
from tests.support import KEY

GOLDEN = Path(__file__).with_name("golden") / "shares"
REGIONS = Regions(((16, 0, 20, 20), (40, 30, 9, 4)))
SEED = 17


def frame() -> bytes:
    """The frozen picture."""
    return (GOLDEN / "frame.jpg").read_bytes()


def frozen(form: str) -> Shares:
    """The frozen shares of a form."""
    return tuple(path.read_bytes() for path in sorted(GOLDEN.glob(f"{form}-*.occ")))


def reopened(shares: Shares) -> ShareSet:
    """The keys that frozen shares were made with."""
    opened = open_shares(sources(shares), KEY)
    first = opened.shares[0].secrets
    made = tuple(
        Share(share.clear, data[: share.start], share.secrets.mac_key)
        for share, data in zip(opened.shares, shares, strict=True)
    )
    random = seeded(SEED)
    random(len(first.set_key))
    return ShareSet(
        first.set_key, random(32), first.regions, KEY.public.fingerprint, made
    )


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    if not (GOLDEN / "frame.jpg").exists():
        picture = jpegs.encode(7, 72, 56, quality=80, restart_marker_blocks=6)
        (GOLDEN / "frame.jpg").write_bytes(picture)
    for form in FORMS:
        if frozen(form):
            continue
        regions = REGIONS if form == "stream" else Regions()
        for index, data in enumerate(split(frame(), make(form, SEED, regions=regions))):
            (GOLDEN / f"{form}-{index}.occ").write_bytes(data)


if __name__ == "__main__":
    main()

"""A place whose shares lie in a folder, in archives, and the commands that make and use them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.cli import Outcome, Place, call, names
from tests.shares_support import flipped, frame

DAMAGED = ["carrier.partial.jpg", "report.json", "tamper.png"]


class Holders(Place):
    """A place whose shares lie in a folder."""

    def split(self, *extra: object) -> Outcome:
        return call("onboard", "protect", self.image, "--scheme", "shares", "--to",
                    self.key("recipient.pub"), "-o", self.work, *extra)

    def share(self, letter: str) -> Path:
        return self.work / f"share-{letter}.occ"

    def join(self, *shares: object, key: str = "recipient.key", extra: tuple = ()) -> Outcome:
        return call("ground", "recover", *shares, "--key", self.key(key),
                    "-o", self.folder, *extra)

    def spoil(self, letter: str, at: int) -> None:
        self.share(letter).write_bytes(flipped(self.share(letter).read_bytes(), at))

    def archive(self, *letters: str) -> Path:
        root = self.root / f"archive-{''.join(letters)}"
        for number, letter in enumerate(letters):
            place = root / "products" / f"{number:032x}"
            place.mkdir(parents=True)
            (place / "received.occ").write_bytes(self.share(letter).read_bytes())
        return root


UNSIGNED = "intact, unsigned"


def assert_restored(place: Holders, done: Outcome, verdict: str, *more: str) -> Any:
    """`more`: everything that the verdict says behind its first sentence, if it is given."""
    assert (done.status, done.err) == (0, "")
    assert names(place.folder) == ["carrier.jpg", "report.json"]
    assert (place.folder / "carrier.jpg").read_bytes() == frame()
    report = place.report()
    first, *others = report["verdict"].split("; ")
    assert first.startswith(verdict)
    assert first.endswith(f": {len(frame())} bytes of {len(report['shares'])} shares")
    assert not more or others == list(more)
    assert report["intact"]
    return report

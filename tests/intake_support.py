"""The intake over a spool on a disk, fed by scripted peers, and what comes back on the ground."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis import settings

from occulta.codec import crypto
from occulta.errors import Reason
from occulta.link import messages
from occulta.link.messages import (
    Credit,
    FrameBegin,
    FrameChunk,
    FrameEnd,
    FrameRefused,
    FrameStored,
    FromCamera,
    ItemBegin,
    ItemChunk,
    ItemEnd,
    ItemRefused,
    ItemStored,
    Message,
    ProductManifest,
)
from occulta.schemes.records import decode_records
from occulta.schemes.sealed import OpeningStream
from onboard.config import LAST_RULES, Rule
from onboard.frames import Frames
from onboard.items import Items
from onboard.pipeline import Keys
from onboard.spool import Spool
from onboard.workshop import Workshop
from sim.feed import Offer
from tests.support import KEY, SATELLITE, recover

CAMERA, OTHER_CAMERA, PAYLOAD = "camera-1", "camera-2", "payload"
GROUND = 2
WINDOW = 1 << 16
WALL = 5000.0
EXAMPLES = settings(deadline=None, derandomize=True, database=None)
PLAIN = Rule(name="plain", scheme="plain", sensitive=False)
SEALED = Rule(name="sealed", scheme="sealed")
EXACT = Rule(name="exact", scheme="reversible", profile="exact")
STRICT = Rule(name="strict", scheme="reversible", fallback="none")
PAPER = Rule(name="paper", scheme="reversible", profile="paper")


class Onboard:
    """Spool, workshop and both machines, as the daemon puts them together."""

    def __init__(self, folder: Path, *rules: Rule, **changes: Any) -> None:
        self.folder = folder
        self._rules = [*rules, *LAST_RULES]
        self._settings: dict[str, Any] = {
            "recipients": (KEY.public,), "destinations": (GROUND,), "share": 0.05,
            "when_unknown": 1 << 14, "window": WINDOW, "timeout": 10.0, "most_open": 4,
            "max_bytes": 1 << 28, "max_products": 10_000, "max_items": 100, "when_full": "refuse",
        } | changes
        self._numbers = count(1)
        self.open()

    def open(self) -> None:
        """A daemon starts on the spool as it is."""
        of = self._settings
        limits = ("max_bytes", "max_products", "max_items", "when_full")
        self.spool = Spool(self.folder, **{name: of[name] for name in limits})
        self.workshop = Workshop(
            self.spool, Keys(of["recipients"], SATELLITE), self._rules,
            {f"ground-{number}": number for number in of["destinations"]},
            share=of["share"], when_unknown=of["when_unknown"],
            random=lambda size: next(self._numbers).to_bytes(size, "big"), wall=lambda: WALL,
        )
        self.frames = Frames(
            self.workshop, window=of["window"], timeout=of["timeout"], most_open=of["most_open"]
        )
        self.items = Items(self.workshop, timeout=of["timeout"], most_open=of["most_open"])

    def restart(self) -> None:
        """The daemon ends as it is meant to, and starts."""
        self.frames.abandon()
        self.items.abandon()
        self.spool.close()
        self.open()

    def __enter__(self) -> Onboard:
        return self

    def __exit__(self, *exception: object) -> None:
        self.spool.close()

    # What lies on the disk.

    def product(self, product_id: bytes) -> tuple[ProductManifest, bytes]:
        """A product's manifest, which this satellite signed, and the data that it vouches for."""
        folder = self.spool.products.folder / product_id.hex()
        known = {messages.satellite_fingerprint(SATELLITE.public): SATELLITE.public}
        manifest, authentic = messages.open_manifest((folder / "manifest").read_bytes(), known)
        data = (folder / "data").read_bytes()
        (file,) = manifest.files
        assert authentic
        assert (manifest.product_id, file.name) == (product_id, "data")
        assert (file.size, file.sha256) == (len(data), hashlib.sha256(data).digest())
        return manifest, data

    def queued(self) -> dict[str, bytes]:
        """What no product carries of the sealed items."""
        file = self.spool.products.begin(None, 0)
        found: dict[str, bytes] = {}
        for piece in self.spool.items.next_pieces(file, 1 << 24, 0):
            found[piece.item_key] = found.get(piece.item_key, b"") + piece.data
        file.discard()
        return found

    def everything(self) -> bytes:
        """All bytes of all files of the spool, finished or not."""
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return b"\0".join(path.read_bytes() for path in files)

    def unfinished(self) -> list[str]:
        """Files in progress that lie on the disk."""
        return sorted(path.name for path in self.folder.rglob(".*~"))


# --- peers


def begin(frame_id: str = "frame-1", size: int | None = None, **changes: Any) -> FrameBegin:
    facts: dict[str, Any] = {
        "camera": CAMERA, "captured_at": 1000.0, "sensitive": False, "labels": {},
    } | changes
    return FrameBegin(frame_id, size=size, **facts)


def end(data: bytes, frame_id: str = "frame-1") -> FrameEnd:
    return FrameEnd(frame_id, len(data), hashlib.sha256(data).digest())


def tell(frames: Frames, peer: str, message: FromCamera, now: float = 0.0) -> list[Message]:
    """What a camera is answered once everything that there is to do is done."""
    answers = list(frames.receive(peer, message, now))
    while frames.is_working:
        answers += [answer for told, answer in frames.work() if told == peer]
    return answers


def offer(
    frames: Frames, frame: FrameBegin, data: bytes, peer: str = CAMERA, now: float = 0.0,
    chunk: int = 20_000,
) -> Message:
    """A camera that keeps to its credit: the last answer."""
    answers = frames.receive(peer, frame, now)
    position = credit = 0
    while True:
        assert len(answers) <= 1
        for answer in answers:
            if not isinstance(answer, Credit):
                return answer
            assert answer.frame_id == frame.frame_id
            credit = answer.up_to
        if position == len(data):
            break
        piece = data[position : min(position + chunk, credit)]
        assert piece, "the credit ran out"
        answers = frames.receive(peer, FrameChunk(frame.frame_id, position, piece), now)
        position += len(piece)
    (answer,) = tell(frames, peer, end(data, frame.frame_id), now)
    return answer


def store(
    frames: Frames, data: bytes, frame_id: str = "frame-1", peer: str = CAMERA, **changes: Any
) -> bytes:
    """Offer a frame that is to be stored; the product's id."""
    facts = {"size": len(data), "camera": peer} | changes
    answer = offer(frames, begin(frame_id, **facts), data, peer)
    assert isinstance(answer, FrameStored), answer
    assert answer.frame_id == frame_id
    return answer.product_id


def refused(answers: Message | Sequence[Message], frame_id: str = "frame-1") -> tuple[Reason, bool]:
    """Why, and whether to try again."""
    (answer,) = answers if isinstance(answers, Sequence) else (answers,)
    assert isinstance(answer, FrameRefused | ItemRefused), answer
    assert (answer.item_id if isinstance(answer, ItemRefused) else answer.frame_id) == frame_id
    return Reason(answer.reason), answer.retry


def give(
    items: Items, data: bytes, item_id: str = "item-1", peer: str = PAYLOAD, now: float = 0.0,
    recipients: tuple[bytes, ...] = (), chunk: int = 5000,
) -> Message:
    """A payload program: the last answer."""
    answers = items.receive(peer, ItemBegin(item_id, len(data), recipients), now)
    for at in range(0, len(data), chunk):
        if answers:
            return answers[-1]
        answers = items.receive(peer, ItemChunk(item_id, at, data[at : at + chunk]), now)
    if not answers:
        answers = items.receive(peer, item_end(data, item_id), now)
    (answer,) = answers
    return answer


def item_end(data: bytes, item_id: str = "item-1") -> ItemEnd:
    return ItemEnd(item_id, len(data), hashlib.sha256(data).digest())


def queue(items: Items, data: bytes, item_id: str = "item-1", **options: Any) -> None:
    """Give private data that is to be stored."""
    assert give(items, data, item_id, **options) == ItemStored(item_id)


# --- what feeders offer


def frame(data: bytes, frame_id: str = "f", announced: bool = True, **facts: Any) -> Offer[Any]:
    message = begin(frame_id, len(data) if announced else None, **facts)
    return Offer(message, lambda: io.BytesIO(data))


def item(data: bytes, item_id: str = "i") -> Offer[Any]:
    return Offer(ItemBegin(item_id, len(data), ()), lambda: io.BytesIO(data))


# --- the ground


def open_sealed(data: bytes, key: crypto.PrivateKey = KEY) -> bytes:
    """What was sealed; this satellite signed it."""
    stream = OpeningStream(key)
    plain = stream.feed(data) + stream.finish()
    assert stream.is_authentic(SATELLITE.public)
    return plain


def recovered(onboard: Onboard, product_id: bytes) -> tuple[bytes, bytes]:
    """The original and the private data of a product, by whatever scheme; all of it verified."""
    manifest, data = onboard.product(product_id)
    if manifest.scheme == "plain":
        return data, b""
    if manifest.scheme == "sealed":
        return open_sealed(data), b""
    back = recover(data, manifest.profile)
    assert back.unsealer.is_authentic(back.conclusion, SATELLITE.public)
    assert back.remarked() == data
    return back.original, back.private


def joined(payloads: Iterable[bytes]) -> dict[str, bytes]:
    """Items by their ids, from what frames carried; every byte came once."""
    pieces: dict[str, dict[int, bytes]] = {}
    totals: dict[str, int] = {}
    for payload in payloads:
        for record in decode_records(payload):
            assert record.offset not in pieces.setdefault(record.item, {})
            assert totals.setdefault(record.item, record.total) == record.total
            pieces[record.item][record.offset] = record.data
    for item, found in pieces.items():
        at = 0
        for offset, data in sorted(found.items()):
            assert offset == at, "a gap, or bytes twice"
            at += len(data)
        assert at == totals[item]
    return {item: b"".join(data for _, data in sorted(found.items()))
            for item, found in pieces.items()}

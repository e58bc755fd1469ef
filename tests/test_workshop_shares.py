"""Frames that go among holders: what each of them gets, proved by restoring it as the ground does.

Also that nothing of the frame lies on the disk in clear, that what is no JPEG is shared all the
same and never sealed to all instead, and that no frame is held in memory.
"""

from __future__ import annotations

import tracemalloc
from itertools import combinations
from pathlib import Path

import pytest
from PIL import Image

from bench.strip import encode_strip, shuffled
from occulta.errors import OccultaError, Reason
from occulta.link.messages import Credit, FrameChunk, FrameStored, ProductManifest
from occulta.schemes.shares.gather import Gatherer
from onboard.config import LAST_RULES, Rule
from onboard.workshop import matches
from tests import jpegs
from tests.intake_support import (
    CAMERA,
    EXACT,
    GROUND,
    WALL,
    Onboard,
    begin,
    end,
    offer,
    queue,
    refused,
    store,
    tell,
)
from tests.shares_support import sources
from tests.support import KEY, SATELLITE, private_bytes, runs_compiled

B, C = 7, 9
TWO = Rule(name="two", scheme="shares", holders=("ground-2", "ground-7"), priority=9)
THREE = Rule(
    name="three", scheme="shares", holders=("ground-9", "ground-2", "ground-7"), threshold=2
)
FRAME = jpegs.encode(3, 160, 128, quality=90)
NOT_HUFFMAN = FRAME.replace(b"\xff\xc0", b"\xff\xc9", 1)
DAMAGED = FRAME[: len(FRAME) // 2] + b"\xff\xd0" * 40 + FRAME[len(FRAME) // 2 :]


def opened(folder: Path, *rules: Rule, **changes: object) -> Onboard:
    return Onboard(folder, *rules, **{"destinations": (GROUND, B, C), **changes})


def shares(onboard: Onboard) -> dict[int, tuple[ProductManifest, bytes]]:
    """What waits for each destination: manifest and data of its one product."""
    found = {}
    for number in (GROUND, B, C):
        product = onboard.spool.deliveries.next_waiting(number)
        if product is not None:
            assert product.destinations == (number,)
            assert onboard.spool.deliveries.next_waiting(number, [product.id]) is None
            found[number] = onboard.product(product.id)
    return found


def restored(*parts: bytes) -> bytes:
    gatherer = Gatherer(sources(parts), KEY)
    data = b"".join(gatherer.restore())
    assert gatherer.is_intact and gatherer.is_authentic(SATELLITE.public)
    return data


# --- rules


@pytest.mark.parametrize(("says", "of_open", "of_sensitive"), [
    (None, True, True), (True, False, True), (False, True, False),
])
def test_sensitivity(says: bool | None, of_open: bool, of_sensitive: bool) -> None:
    """Nothing of the frame is in view: the rule need not say that it is for sensitive ones."""
    rule = Rule(scheme="shares", holders=("a", "b"), sensitive=says)
    assert matches(rule, begin()) is of_open
    assert matches(rule, begin(sensitive=True)) is of_sensitive


# --- products


def test_two_holders(tmp_path: Path) -> None:
    with opened(tmp_path, TWO) as onboard:
        product = store(onboard.frames, FRAME, sensitive=True, captured_at=1234.5)
        found = shares(onboard)
        assert list(found) == [GROUND, B]
        (one, seed), (two, cipher) = found.values()
        assert product == one.product_id != two.product_id
        for manifest in (one, two):
            assert (manifest.frame_id, manifest.captured_at, manifest.created_at) == (
                "frame-1", 1234.5, WALL)
            assert (manifest.scheme, manifest.profile) == ("shares", "jpeg")
        assert len(seed) < 1024 and len(cipher) > len(FRAME)
        row = onboard.spool.products.get(two.product_id)
        assert row is not None and (row.camera, row.priority) == (CAMERA, 9)
        assert restored(seed, cipher) == FRAME
        with pytest.raises(OccultaError) as caught:
            restored(cipher)
        assert caught.value.reason is Reason.TOO_FEW_SHARES


def test_two_of_three_in_the_order_of_the_rule(tmp_path: Path) -> None:
    with opened(tmp_path, THREE) as onboard:
        product = store(onboard.frames, FRAME)
        found = shares(onboard)
        assert {number: data[6] for number, (_, data) in found.items()} == {C: 0, GROUND: 1, B: 2}
        assert product == found[C][0].product_id
        for pair in combinations([data for _, data in found.values()], 2):
            assert restored(*pair) == FRAME
        with pytest.raises(OccultaError) as caught:
            restored(found[B][1])
        assert caught.value.reason is Reason.TOO_FEW_SHARES


def test_no_two_frames_share_keys(tmp_path: Path) -> None:
    with opened(tmp_path, TWO) as onboard:
        store(onboard.frames, FRAME, "f1")
        first = shares(onboard)
    with opened(tmp_path / "other", TWO) as onboard:
        onboard.workshop._random(1)
        store(onboard.frames, FRAME, "f1")
        second = shares(onboard)
    with pytest.raises(OccultaError) as caught:
        restored(first[GROUND][1], second[B][1])
    assert caught.value.reason is Reason.SHARES_OF_DIFFERENT_SETS


def test_nothing_lies_on_the_disk_in_clear(tmp_path: Path) -> None:
    marker = private_bytes(64, seed=9)
    frame = FRAME[:2] + b"\xff\xfe" + (66).to_bytes(2, "big") + marker + FRAME[2:]
    with opened(tmp_path, THREE) as onboard:
        for frame_id, sent in (("jpeg", frame), ("bytes", b"no picture" + frame)):
            onboard.frames.receive(CAMERA, begin(frame_id, size=len(sent), sensitive=True), 0.0)
            onboard.frames.receive(CAMERA, FrameChunk(frame_id, 0, sent[:9000]), 0.0)
            assert marker[:16] not in onboard.everything()
            offer(onboard.frames, begin(frame_id, sensitive=True), sent)
            offer(onboard.frames, begin(frame_id, sensitive=True), sent)
            assert onboard.spool.products.known_frame(CAMERA, frame_id) is not None
            assert marker[:16] not in onboard.everything()


def test_private_data_waits_for_another_frame(tmp_path: Path) -> None:
    with opened(tmp_path, TWO) as onboard:
        queue(onboard.items, private_bytes(500))
        waiting = onboard.spool.counts().private_bytes
        store(onboard.frames, FRAME)
        assert onboard.spool.counts().private_bytes == waiting
        assert restored(*(data for _, data in shares(onboard).values())) == FRAME


def test_other_frames_go_everywhere(tmp_path: Path) -> None:
    rule = Rule(scheme="shares", sensitive=True, holders=("ground-2", "ground-7"))
    with opened(tmp_path, rule) as onboard:
        product = onboard.spool.products.get(store(onboard.frames, FRAME))
        assert product is not None and product.destinations == (GROUND, B, C)


# --- what the camera is told


def test_the_frame_is_known_as_one(tmp_path: Path) -> None:
    with opened(tmp_path, TWO) as onboard:
        product = store(onboard.frames, FRAME)
        onboard.restart()
        assert tell(onboard.frames, CAMERA, begin()) == [FrameStored("frame-1", product)]
        assert onboard.spool.counts().products == 2


def test_a_frame_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    with opened(tmp_path, THREE) as onboard:
        onboard.frames.receive(CAMERA, begin(size=len(FRAME)), 0.0)
        onboard.frames.receive(CAMERA, FrameChunk("frame-1", 0, FRAME[:5000]), 0.0)
        assert len(onboard.unfinished()) == 1
        onboard.frames.handle_timer(100.0)
        assert onboard.unfinished() == [] and onboard.spool.counts().bytes == 0


def test_a_frame_that_has_no_room(tmp_path: Path) -> None:
    with opened(tmp_path, THREE, max_bytes=1 << 20) as onboard:
        answer = onboard.frames.receive(CAMERA, begin(size=400_000), 0.0)
        assert refused(answer) == (Reason.SPOOL_FULL, True)
        assert isinstance(
            onboard.frames.receive(CAMERA, begin(size=300_000), 0.0)[0], Credit)
    with opened(tmp_path / "few", THREE, max_products=2) as onboard:
        assert refused(onboard.frames.receive(CAMERA, begin(), 0.0)) == (Reason.SPOOL_FULL, True)


# --- what is no JPEG


@pytest.mark.parametrize(("frame", "reason"), [
    (DAMAGED, None), (NOT_HUFFMAN, Reason.ARITHMETIC), (b"GIF89a" + FRAME, Reason.NOT_JPEG),
    (FRAME[: len(FRAME) // 2], None), (private_bytes(100_000), Reason.NOT_JPEG),
], ids=["damaged", "arithmetic", "gif", "cut", "long"])
@pytest.mark.parametrize("rule", [TWO, THREE], ids=lambda rule: rule.name)
def test_what_cannot_be_parsed_is_shared_as_bytes(
    tmp_path: Path, rule: Rule, frame: bytes, reason: Reason | None
) -> None:
    with opened(tmp_path, rule) as onboard:
        found, again = refused(offer(onboard.frames, begin(sensitive=True), frame))
        assert again and (reason is None or found is reason)
        assert onboard.unfinished() == [] and onboard.spool.counts().bytes == 0
        store(onboard.frames, frame, sensitive=True)
        manifests = shares(onboard)
        assert {manifest.scheme for manifest, _ in manifests.values()} == {"shares"}
        assert restored(*(data for _, data in manifests.values())) == frame
        (notice,) = onboard.frames.take_notices()
        assert notice.startswith("frame-1 was split as bytes: ")
        assert onboard.frames.counters["frames_fallback"] == 1


def test_an_empty_frame_is_refused_for_good(tmp_path: Path) -> None:
    with opened(tmp_path, TWO) as onboard:
        answers = [*onboard.frames.receive(CAMERA, begin(size=0), 0.0)]
        answers = tell(onboard.frames, CAMERA, end(b""))
        assert refused(answers) == (Reason.EMPTY_INPUT, False)
        assert onboard.unfinished() == []


@pytest.mark.parametrize(("before", "after"), [(EXACT, TWO), (TWO, EXACT), (TWO, THREE)],
                         ids=["to shares", "from shares", "other holders"])
def test_what_one_rule_refused_another_one_takes_as_ever(
    tmp_path: Path, before: Rule, after: Rule
) -> None:
    """As after a telecommand: what is remembered holds for the rule that refused the frame."""
    with opened(tmp_path, before) as onboard:
        for frame_id in ("frame-1", "frame-2"):
            assert refused(offer(onboard.frames, begin(frame_id), b"GIF"), frame_id)[1]
        onboard.workshop.rules[0] = after
        store(onboard.frames, FRAME)
        assert onboard.frames.take_notices() == []
        assert refused(offer(onboard.frames, begin("frame-3"), b"GIF"), "frame-3")[1]
        onboard.workshop.rules[0] = before
        store(onboard.frames, b"GIF", "frame-2")
        assert len(onboard.frames.take_notices()) == 1


# --- bounds


@pytest.mark.parametrize("is_jpeg", [True, False])
def test_no_frame_is_held_in_memory(tmp_path: Path, is_jpeg: bool) -> None:
    if is_jpeg and not runs_compiled():
        pytest.skip("traced, the plain kernel takes minutes; its buffers are the same")
    strip = encode_strip(Image.fromarray(jpegs.picture(1, 1000, 128)), 85)
    large = b"".join(strip.repeated(12_000, shuffled(len(strip.rows))))
    assert len(large) > 2_500_000
    frame = large if is_jpeg else b"no JPEG" + large
    with opened(tmp_path, THREE, window=1 << 20) as onboard:
        if not is_jpeg:
            refused(offer(onboard.frames, begin(), frame[:100]))
        tracemalloc.start()
        try:
            answer = offer(onboard.frames, begin(), frame, chunk=1 << 18)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert isinstance(answer, FrameStored)
        assert peak < 1_800_000
        assert restored(*(data for _, data in shares(onboard).values())) == frame


def test_shares_are_not_the_default() -> None:
    assert [rule.holders for rule in LAST_RULES] == [(), ()]

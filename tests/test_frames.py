"""Frames on their way in: what a camera may do, and what becomes of a frame that goes wrong.

Proves that a camera is never allowed more than its window ahead and never left without credit, and
that a frame is stored exactly once under its id, whole or not at all.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from occulta.errors import Reason
from occulta.link.messages import (
    MAX_SIZE,
    Credit,
    FrameAbort,
    FrameChunk,
    FrameEnd,
    FrameRefused,
    FrameStored,
    encode,
)
from onboard.frames import Frames
from tests import jpegs
from tests.intake_support import (
    CAMERA,
    EXACT,
    EXAMPLES,
    GROUND,
    OTHER_CAMERA,
    PLAIN,
    STRICT,
    WINDOW,
    Onboard,
    begin,
    end,
    offer,
    queue,
    recovered,
    refused,
    store,
    tell,
)
from tests.support import private_bytes

DATA = private_bytes(100_000)
RETRY = (Reason.BAD_INTAKE, True)


@pytest.fixture
def onboard(tmp_path: Path) -> Iterator[Onboard]:
    with Onboard(tmp_path / "spool", PLAIN) as found:
        yield found


def chunk(data: bytes, offset: int = 0, frame_id: str = "frame-1") -> FrameChunk:
    return FrameChunk(frame_id, offset, data)


def stored_data(onboard: Onboard, product_id: bytes) -> bytes:
    return onboard.product(product_id)[1]


# --- credit


@given(st.lists(st.integers(1, 30_000), max_size=30), st.integers(1000, 30_000))
@settings(EXAMPLES, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_credit_stays_within_the_window_and_never_ends(
    onboard: Onboard, sizes: list[int], window: int
) -> None:
    frames = Frames(onboard.workshop, window=window, timeout=10, most_open=4)
    (first,) = frames.receive(CAMERA, begin("any"), 0)
    assert first == Credit("any", window)
    position, credit = 0, window
    for size in sizes:
        data = bytes(min(size, credit - position))
        answers = frames.receive(CAMERA, chunk(data, position, "any"), 0)
        position += len(data)
        for answer in answers:
            assert isinstance(answer, Credit)
            assert credit < answer.up_to == position + window
            credit = answer.up_to
        # Granted as it is consumed: half a window is always left.
        assert window // 2 < credit - position <= window
    frames.abandon()


def test_more_than_the_credit_is_refused(onboard: Onboard) -> None:
    onboard.frames.receive(CAMERA, begin(), 0)
    assert refused(onboard.frames.receive(CAMERA, chunk(bytes(WINDOW + 1)), 0)) == RETRY
    assert onboard.unfinished() == []
    onboard.frames.receive(CAMERA, begin(), 0)
    assert onboard.frames.receive(CAMERA, chunk(bytes(WINDOW)), 0) == [
        Credit("frame-1", 2 * WINDOW)
    ]


def test_credit_ends_where_no_message_can_say_more(onboard: Onboard) -> None:
    frames = Frames(onboard.workshop, window=2 * MAX_SIZE, timeout=10, most_open=4)
    (answer,) = frames.receive(CAMERA, begin(), 0)
    assert answer == Credit("frame-1", MAX_SIZE // 2)
    assert encode(answer)


# --- what does not agree with itself


@pytest.mark.parametrize("offset", [0, 999, 1001, 2000, MAX_SIZE])
def test_offsets_out_of_order(onboard: Onboard, offset: int) -> None:
    onboard.frames.receive(CAMERA, begin(), 0)
    assert onboard.frames.receive(CAMERA, chunk(bytes(1000)), 0) == []
    assert refused(onboard.frames.receive(CAMERA, chunk(b"x", offset), 0)) == RETRY
    assert onboard.frames.open_frames == 0
    assert onboard.unfinished() == []


def test_more_than_announced(onboard: Onboard) -> None:
    onboard.frames.receive(CAMERA, begin(size=1000), 0)
    assert onboard.frames.receive(CAMERA, chunk(bytes(1000)), 0) == []
    assert refused(onboard.frames.receive(CAMERA, chunk(b"x", 1000), 0)) == RETRY


def test_less_than_announced(onboard: Onboard) -> None:
    data = DATA[:999]
    assert refused(offer(onboard.frames, begin(size=1000), data)) == RETRY
    assert onboard.spool.counts().products == 0


@pytest.mark.parametrize("wrong", [
    FrameEnd("frame-1", 999, hashlib.sha256(DATA[:1000]).digest()),
    FrameEnd("frame-1", 1001, hashlib.sha256(DATA[:1000]).digest()),
    FrameEnd("frame-1", 1000, hashlib.sha256(DATA[:999]).digest()),
    FrameEnd("frame-1", 999, hashlib.sha256(DATA[:999]).digest()),
])
def test_wrong_size_or_digest_at_the_end(onboard: Onboard, wrong: FrameEnd) -> None:
    onboard.frames.receive(CAMERA, begin(), 0)
    onboard.frames.receive(CAMERA, chunk(DATA[:1000]), 0)
    assert refused(tell(onboard.frames, CAMERA, wrong, 0)) == RETRY
    assert onboard.spool.counts().products == 0
    assert onboard.unfinished() == []
    assert stored_data(onboard, store(onboard.frames, DATA)) == DATA


@given(st.lists(st.integers(0, len(DATA)), max_size=8), st.booleans())
@settings(EXAMPLES, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_it_is_cut(onboard: Onboard, cuts: list[int], size_known: bool) -> None:
    frame_id = f"frame-{onboard.frames.counters['frames_in']}"
    frames, edges = onboard.frames, [0, *sorted(cuts), len(DATA)]
    frames.receive(CAMERA, begin(frame_id, len(DATA) if size_known else None), 0)
    for a, b in zip(edges, edges[1:], strict=False):
        for at in range(a, b, WINDOW // 2):
            piece = DATA[at : min(at + WINDOW // 2, b)]
            assert not refusals(frames.receive(CAMERA, chunk(piece, at, frame_id), 0))
    (answer,) = tell(frames, CAMERA, end(DATA, frame_id), 0)
    assert isinstance(answer, FrameStored)
    assert stored_data(onboard, answer.product_id) == DATA


def refusals(answers: object) -> list[object]:
    assert isinstance(answers, list)
    return [answer for answer in answers if isinstance(answer, FrameRefused)]


# --- cameras that die, start anew, come again


def test_a_camera_that_dies(onboard: Onboard) -> None:
    frames = onboard.frames
    assert frames.next_timer() is None
    frames.receive(CAMERA, begin(), 5)
    frames.receive(OTHER_CAMERA, begin("frame-2"), 6)
    frames.receive(CAMERA, chunk(DATA[:1000]), 7)
    assert frames.next_timer() == 16
    assert frames.handle_timer(15.9) == []
    silent = FrameRefused("frame-2", Reason.BAD_INTAKE, "the camera was silent", True)
    assert frames.handle_timer(16) == [(OTHER_CAMERA, silent)]
    assert (frames.next_timer(), frames.open_frames) == (17, 1)
    (told,) = frames.handle_timer(30)
    assert told[0] == CAMERA and refused(told[1]) == RETRY
    assert frames.next_timer() is None
    assert frames.counters["frames_discarded"] == 2
    assert onboard.unfinished() == []
    # What it still sends changes nothing; it is told to begin again.
    assert frames.receive(CAMERA, chunk(DATA[1000:2000], 1000), 31) == []
    assert refused(tell(frames, CAMERA, end(DATA), 31)) == RETRY
    assert stored_data(onboard, store(frames, DATA)) == DATA


def test_chunks_of_another_frame_keep_no_frame_alive(onboard: Onboard) -> None:
    onboard.frames.receive(CAMERA, begin(), 0)
    assert onboard.frames.receive(CAMERA, chunk(b"x", 0, "another"), 9) == []
    assert onboard.frames.next_timer() == 10


@pytest.mark.parametrize("frame_id", ["frame-1", "frame-2"])
def test_a_camera_that_starts_anew(onboard: Onboard, frame_id: str) -> None:
    frames = onboard.frames
    frames.receive(CAMERA, begin(size=5000), 0)
    frames.receive(CAMERA, chunk(bytes(3000)), 0)
    assert stored_data(onboard, store(frames, DATA, frame_id)) == DATA
    assert (frames.open_frames, frames.counters["frames_discarded"]) == (0, 1)
    assert onboard.unfinished() == []
    assert onboard.spool.counts().products == 1


def test_a_camera_that_gives_up(onboard: Onboard) -> None:
    onboard.frames.receive(CAMERA, begin(), 0)
    assert onboard.frames.receive(CAMERA, FrameAbort("another", "no"), 0) == []
    assert onboard.frames.open_frames == 1
    assert onboard.frames.receive(CAMERA, FrameAbort("frame-1", "no"), 0) == []
    assert (onboard.frames.open_frames, onboard.unfinished()) == (0, [])


def test_a_frame_offered_again_is_the_same_product(onboard: Onboard) -> None:
    product = store(onboard.frames, DATA)
    again = FrameStored("frame-1", product)
    assert onboard.frames.receive(CAMERA, begin(size=7), 0) == [again]
    assert tell(onboard.frames, CAMERA, end(DATA), 0) == [again]
    onboard.restart()
    assert onboard.frames.receive(CAMERA, begin(), 0) == [again]
    onboard.spool.products.cancel(product)
    assert onboard.frames.receive(CAMERA, begin(), 0) == [again]
    onboard.restart()
    assert tell(onboard.frames, CAMERA, end(DATA), 0) == [again]
    assert onboard.frames.counters["frames_in"] == 0
    assert onboard.frames.open_frames == 0


def test_a_frame_that_was_delivered_is_known(onboard: Onboard) -> None:
    product = store(onboard.frames, DATA)
    assert onboard.spool.deliveries.mark_sending(product, GROUND)
    assert onboard.spool.deliveries.mark_delivered(product, GROUND)
    assert onboard.frames.receive(CAMERA, begin(), 0) == [FrameStored("frame-1", product)]


def test_a_frame_id_is_its_cameras_own(onboard: Onboard) -> None:
    """In progress at the same time, and ended at the same time."""
    pictures = {CAMERA: DATA[:1000], OTHER_CAMERA: DATA[1000:1500]}
    for peer, data in pictures.items():
        onboard.frames.receive(peer, begin(camera=peer), 0)
        onboard.frames.receive(peer, chunk(data), 0)
    for peer, data in pictures.items():
        assert onboard.frames.receive(peer, end(data), 0) == []
    assert onboard.frames.open_frames == 2
    told = []
    while onboard.frames.is_working:
        told += onboard.frames.work()
    assert [peer for peer, _ in told] == list(pictures)
    for peer, answer in told:
        assert isinstance(answer, FrameStored)
        manifest, data = onboard.product(answer.product_id)
        assert (manifest.frame_id, data) == ("frame-1", pictures[peer])
    onboard.restart()
    for peer, answer in told:
        assert onboard.frames.receive(peer, begin(camera=peer), 0) == [answer]
    (onboard.folder / "spool.db").unlink()
    onboard.restart()
    for peer, answer in told:
        assert onboard.frames.receive(peer, end(pictures[peer]), 0) == [answer]


def test_no_camera_takes_the_place_of_anothers_frame(onboard: Onboard) -> None:
    """What a camera stores under ids that it has guessed costs nobody else a frame."""
    guessed = store(onboard.frames, b"not the picture", peer=OTHER_CAMERA)
    assert refused(tell(onboard.frames, CAMERA, end(DATA))) == RETRY
    assert onboard.frames.receive(CAMERA, begin(), 0) == [Credit("frame-1", WINDOW)]
    product = store(onboard.frames, DATA)
    assert product != guessed and stored_data(onboard, product) == DATA


def test_two_cameras_do_not_mix(onboard: Onboard) -> None:
    frames, other = onboard.frames, DATA[::-1]
    frames.receive(CAMERA, begin("a"), 0)
    frames.receive(OTHER_CAMERA, begin("b"), 0)
    for at in range(0, len(DATA), 10_000):
        frames.receive(CAMERA, chunk(DATA[at : at + 10_000], at, "a"), 0)
        frames.receive(OTHER_CAMERA, chunk(other[at : at + 10_000], at, "b"), 0)
    (b,) = tell(frames, OTHER_CAMERA, end(other, "b"), 0)
    (a,) = tell(frames, CAMERA, end(DATA, "a"), 0)
    assert isinstance(a, FrameStored) and isinstance(b, FrameStored)
    assert stored_data(onboard, a.product_id) == DATA
    assert stored_data(onboard, b.product_id) == other


# --- refusals


def test_too_many_open_frames(tmp_path: Path) -> None:
    with Onboard(tmp_path, PLAIN, most_open=2) as onboard:
        frames = onboard.frames
        for peer in ("a", "b"):
            frames.receive(peer, begin(peer), 0)
        full = (Reason.SPOOL_FULL, True)
        assert refused(frames.receive("c", begin("c"), 0), "c") == full
        assert frames.receive("a", begin("a2"), 0) == [Credit("a2", WINDOW)]
        frames.receive("b", FrameAbort("b", ""), 0)
        assert frames.receive("c", begin("c"), 0) == [Credit("c", WINDOW)]
        assert frames.open_frames == 2


def test_no_frame_begins_while_the_daemon_stops(onboard: Onboard) -> None:
    frames = onboard.frames
    known = store(frames, DATA, "known", OTHER_CAMERA)
    frames.receive(CAMERA, begin(), 0)
    frames.accepting = False
    assert refused(frames.receive(OTHER_CAMERA, begin("new"), 0), "new") == (
        Reason.SPOOL_FULL, True
    )
    assert frames.receive(OTHER_CAMERA, begin("known"), 0) == [FrameStored("known", known)]
    frames.receive(CAMERA, chunk(DATA[:1000]), 0)
    (answer,) = tell(frames, CAMERA, end(DATA[:1000]), 0)
    assert isinstance(answer, FrameStored)


def test_what_is_no_jpeg_is_refused_for_good_without_a_fallback(tmp_path: Path) -> None:
    with Onboard(tmp_path, STRICT) as onboard:
        final = (Reason.NOT_JPEG, False)
        answer = offer(onboard.frames, begin(size=len(DATA)), DATA)
        assert refused(answer) == final
        # The end that was on its way already is answered as the frame was.
        assert tell(onboard.frames, CAMERA, end(DATA), 0) == [answer]
        assert refused(tell(onboard.frames, OTHER_CAMERA, end(DATA), 0)) == RETRY
        assert refused(offer(onboard.frames, begin(size=len(DATA)), DATA)) == final
        assert onboard.unfinished() == []
        assert onboard.frames.counters["frames_discarded"] == 2
        # What is said of an attempt does not outlast the next one.
        onboard.frames.receive(CAMERA, begin(), 0)
        onboard.frames.abandon()
        assert refused(tell(onboard.frames, CAMERA, end(DATA), 0)) == RETRY


def test_an_empty_frame_is_refused_for_good(tmp_path: Path) -> None:
    with Onboard(tmp_path, EXACT) as onboard:
        assert refused(offer(onboard.frames, begin(size=0), b"")) == (Reason.EMPTY_INPUT, False)


def test_what_does_not_fit_comes_again_without_private_data(tmp_path: Path) -> None:
    picture, does_not_fit = jpegs.encode(1, 160, 120), (Reason.DOES_NOT_FIT, True)
    with Onboard(tmp_path, EXACT) as onboard:
        queue(onboard.items, private_bytes(20_000))
        before = onboard.spool.counts().private_bytes
        assert refused(offer(onboard.frames, begin(), picture)) == does_not_fit
        assert onboard.spool.counts().private_bytes == before
        product = store(onboard.frames, picture, size=None)
        assert recovered(onboard, product) == (picture, b"")
        assert onboard.spool.counts().private_bytes == before
        # Another frame is offered private data all the same.
        assert refused(offer(onboard.frames, begin("f2"), picture), "f2") == does_not_fit


def test_what_carries_nothing_at_all_is_refused_for_good_without_a_fallback(
    tmp_path: Path,
) -> None:
    picture = jpegs.encode(1, 16, 16)
    with Onboard(tmp_path, STRICT) as onboard:
        queue(onboard.items, private_bytes(100))
        answers = [refused(offer(onboard.frames, begin(), picture)) for _ in range(3)]
        assert answers == [(Reason.DOES_NOT_FIT, again) for again in (True, False, False)]


def test_a_full_spool(tmp_path: Path) -> None:
    with Onboard(tmp_path, PLAIN, max_bytes=150_000) as onboard:
        frames, full = onboard.frames, (Reason.SPOOL_FULL, True)
        product = store(frames, DATA)
        assert refused(offer(frames, begin("f2", len(DATA)), DATA), "f2") == full
        assert refused(offer(frames, begin("f2"), DATA), "f2") == full
        assert onboard.unfinished() == []
        onboard.spool.products.cancel(product)
        store(frames, DATA, "f2")


def test_a_disk_that_fails(onboard: Onboard) -> None:
    shutil.rmtree(onboard.spool.products.folder)
    failed = (Reason.OUTPUT_UNWRITABLE, True)
    assert refused(offer(onboard.frames, begin(), DATA)) == failed
    onboard.spool.products.folder.mkdir()
    store(onboard.frames, DATA)


def test_stopping_leaves_nothing_in_progress(onboard: Onboard) -> None:
    for peer in (CAMERA, OTHER_CAMERA):
        onboard.frames.receive(peer, begin(peer), 0)
    assert len(onboard.unfinished()) == 2
    onboard.frames.abandon()
    assert (onboard.frames.open_frames, onboard.unfinished()) == (0, [])
    assert onboard.spool.counts().bytes == 0

"""Frames whose bytes are all there: marked by pieces, and sealed whole where that cannot be.

Proves that nothing else waits for a frame that ends, that nothing which its camera says meanwhile
costs it the frame, and that what a scheme can never take comes down all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from occulta.codec.jpeg.engine import MARGIN
from occulta.errors import Reason
from occulta.limits import DEFAULT_LIMITS
from occulta.link.messages import (
    Credit,
    FrameAbort,
    FrameBegin,
    FrameChunk,
    FrameRefused,
    FrameStored,
)
from onboard.attempts import Attempt, Attempts, Way
from onboard.config import Rule
from tests import jpegs
from tests.intake_support import (
    CAMERA,
    EXACT,
    OTHER_CAMERA,
    PAPER,
    PLAIN,
    STRICT,
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

FRAME = jpegs.encode(3, 640, 480, quality=90)
SECOND = jpegs.encode(4, 256, 256, quality=90)
CHUNK = 30_000


@pytest.fixture
def onboard(tmp_path: Path) -> Iterator[Onboard]:
    with Onboard(tmp_path / "spool", EXACT, window=1 << 20) as found:
        yield found


def send(onboard: Onboard, frame_id: str, data: bytes, peer: str = CAMERA, now: float = 0) -> None:
    """All of a frame, and its end; nothing but credit is answered."""
    (answer,) = onboard.frames.receive(peer, begin(frame_id, len(data)), now)
    assert isinstance(answer, Credit)
    for at in range(0, len(data), CHUNK):
        piece = FrameChunk(frame_id, at, data[at : at + CHUNK])
        assert onboard.frames.receive(peer, piece, now) == []
    assert onboard.frames.receive(peer, end(data, frame_id), now) == []


def finish(onboard: Onboard) -> list[tuple[str, FrameStored]]:
    told = []
    while onboard.frames.is_working:
        told += onboard.frames.work()
    assert all(isinstance(message, FrameStored) for _, message in told)
    return told  # type: ignore[return-value]


# --- by pieces


def test_a_frame_that_ends_takes_many_pieces(onboard: Onboard) -> None:
    assert onboard.frames.work() == [] and not onboard.frames.is_working
    send(onboard, "frame-1", FRAME)
    pieces = 0
    while not (told := onboard.frames.work()):
        assert onboard.spool.counts().products == 0
        pieces += 1
    quanta = -(-(len(FRAME) - MARGIN) // DEFAULT_LIMITS.quantum)
    assert quanta > 1 and pieces == 2 * quanta + 1  # each is counted, then marked
    ((camera, answer),) = told
    assert camera == CAMERA and isinstance(answer, FrameStored)
    assert recovered(onboard, answer.product_id) == (FRAME, b"")
    assert not onboard.frames.is_working and onboard.frames.open_frames == 0


def test_other_cameras_are_served_between_two_pieces(onboard: Onboard) -> None:
    send(onboard, "a", FRAME)
    assert onboard.frames.work() == []
    send(onboard, "c", FRAME)
    send(onboard, "b", SECOND, OTHER_CAMERA)
    # Cameras take turns: the small frame is ready first, and c waits for a, which ended first.
    told = finish(onboard)
    assert [(camera, answer.frame_id) for camera, answer in told] == [
        (OTHER_CAMERA, "b"), (CAMERA, "a"), (CAMERA, "c")
    ]
    for (_, answer), data in zip(told, (SECOND, FRAME, FRAME), strict=True):
        assert recovered(onboard, answer.product_id) == (data, b"")


def test_the_same_camera_may_begin_its_next_frame(onboard: Onboard) -> None:
    send(onboard, "a", FRAME)
    send(onboard, "b", SECOND)
    assert [(camera, answer.frame_id) for camera, answer in finish(onboard)] == [
        (CAMERA, "a"), (CAMERA, "b")
    ]
    assert onboard.frames.counters["frames_discarded"] == 0


def test_a_frame_that_ends_is_not_silent(onboard: Onboard) -> None:
    send(onboard, "a", FRAME)
    assert onboard.frames.next_timer() is None
    assert onboard.frames.handle_timer(1e6) == []
    assert len(finish(onboard)) == 1


def test_what_a_camera_repeats_meanwhile_changes_nothing(onboard: Onboard) -> None:
    """As after a connection broke: it is told once it is known what became of the frame."""
    send(onboard, "a", FRAME)
    onboard.frames.work()
    for message in (begin("a", len(FRAME)), FrameChunk("a", 0, b"x"), end(b"x", "a")):
        assert onboard.frames.receive(CAMERA, message, 0) == []
    ((_, answer),) = finish(onboard)
    assert recovered(onboard, answer.product_id) == (FRAME, b"")
    assert onboard.frames.receive(CAMERA, begin("a"), 0) == [answer]
    assert onboard.frames.counters["frames_in"] == 1


def test_a_frame_that_ends_can_be_given_up(onboard: Onboard) -> None:
    send(onboard, "a", FRAME)
    onboard.frames.work()
    assert onboard.frames.receive(CAMERA, FrameAbort("a", ""), 0) == []
    assert finish(onboard) == [] and onboard.unfinished() == []
    assert onboard.frames.counters["frames_discarded"] == 1


def test_frames_that_end_count_as_open(tmp_path: Path) -> None:
    with Onboard(tmp_path, EXACT, most_open=2, window=1 << 20) as onboard:
        send(onboard, "a", FRAME)
        send(onboard, "b", SECOND)
        full = (Reason.SPOOL_FULL, True)
        assert onboard.frames.open_frames == 2
        assert refused(onboard.frames.receive(CAMERA, begin("c"), 0), "c") == full
        onboard.frames.accepting = False  # the daemon is to stop, and waits for these
        assert len(finish(onboard)) == 2
        assert onboard.frames.open_frames == 0


def test_no_camera_is_refused_for_what_another_has_left_to_be_marked(tmp_path: Path) -> None:
    full = (Reason.SPOOL_FULL, True)
    with Onboard(tmp_path, EXACT, most_open=3, window=1 << 20) as onboard:
        for frame_id in ("a", "b", "c"):
            send(onboard, frame_id, SECOND)
        assert refused(onboard.frames.receive(CAMERA, begin("d"), 0), "d") == full
        for frame_id in ("a", "b"):  # the next one too, while its first is to be marked
            send(onboard, frame_id, SECOND, OTHER_CAMERA)
        assert refused(onboard.frames.receive(OTHER_CAMERA, begin("c"), 0), "c") == full
        send(onboard, "a", SECOND, "camera-3")
        answer = onboard.frames.receive("camera-4", begin("a"), 0)
        assert refused(answer, "a") == full  # three cameras are served
        assert [camera for camera, _ in finish(onboard)][:3] == [CAMERA, OTHER_CAMERA, "camera-3"]
        assert isinstance(onboard.frames.receive("camera-4", begin("a"), 0)[0], Credit)


def test_stopping_gives_up_what_has_not_ended(onboard: Onboard) -> None:
    send(onboard, "a", FRAME)
    onboard.frames.work()
    onboard.frames.abandon()
    assert (onboard.frames.open_frames, onboard.unfinished()) == (0, [])
    assert onboard.spool.counts().bytes == 0


# --- the fallback

TINY = jpegs.encode(1, 16, 16)
UNMARKABLE = [
    (b"no picture at all", Reason.NOT_JPEG),
    (FRAME[: len(FRAME) // 2], Reason.TRUNCATED),
    (FRAME.replace(b"\xff\xc0", b"\xff\xc9", 1), Reason.ARITHMETIC),
    (FRAME.replace(b"\xff\xc0", b"\xff\xc3", 1), Reason.LOSSLESS),
    (TINY, Reason.DOES_NOT_FIT),
]


@pytest.mark.parametrize(("data", "reason"), UNMARKABLE, ids=[r.name for _, r in UNMARKABLE])
@pytest.mark.parametrize("rule", [EXACT, PAPER], ids=lambda rule: rule.name)
def test_what_cannot_be_marked_is_sealed_whole(
    tmp_path: Path, rule: Rule, data: bytes, reason: Reason
) -> None:
    with Onboard(tmp_path, rule) as onboard:
        answer = offer(onboard.frames, begin(size=len(data)), data)
        found, again = refused(answer)
        assert again and isinstance(answer, FrameRefused)
        assert found.exit_code is reason.exit_code and (rule is PAPER or found is reason)
        assert onboard.frames.take_notices() == []
        product = store(onboard.frames, data)
        manifest, stored = onboard.product(product)
        assert (manifest.scheme, manifest.profile) == ("sealed", "none")
        assert data[:16] not in stored
        assert recovered(onboard, product) == (data, b"")
        counters = onboard.frames.counters
        assert (counters["frames_fallback"], counters["frames_protected"]) == (1, 1)
        said = f"frame-1 was sealed whole: error {found.value}: {answer.detail}"
        assert onboard.frames.take_notices() == [said]
        assert onboard.frames.take_notices() == []


@pytest.mark.parametrize("data", [data for data, _ in UNMARKABLE])
def test_without_a_fallback_it_is_refused_for_good(tmp_path: Path, data: bytes) -> None:
    with Onboard(tmp_path, STRICT) as onboard:
        for _ in range(2):
            assert not refused(offer(onboard.frames, begin(), data))[1]
        assert onboard.frames.counters["frames_fallback"] == 0


def test_private_data_is_left_out_first(tmp_path: Path) -> None:
    """Where the frame may still be marked without it; it waits for another frame."""
    with Onboard(tmp_path, EXACT) as onboard:
        queue(onboard.items, private_bytes(20_000))
        waiting = onboard.spool.counts().private_bytes
        answers = [offer(onboard.frames, begin(), TINY) for _ in range(3)]
        assert [refused(answer)[1] for answer in answers[:2]] == [True, True]
        assert isinstance(answers[2], FrameStored)
        assert onboard.spool.counts().private_bytes == waiting


def test_what_was_remembered_is_lost_with_a_restart(tmp_path: Path) -> None:
    with Onboard(tmp_path, EXACT) as onboard:
        for _ in range(2):
            answer = offer(onboard.frames, begin(), b"no picture")
            assert refused(answer) == (Reason.NOT_JPEG, True)
            onboard.restart()


def test_a_frame_is_remembered_by_its_camera(tmp_path: Path) -> None:
    """Nobody decides what becomes of another camera's frames."""
    with Onboard(tmp_path, EXACT) as onboard:
        assert refused(offer(onboard.frames, begin(), b"no picture", OTHER_CAMERA))[1]
        product = store(onboard.frames, FRAME)
        assert onboard.product(product)[0].scheme == "reversible"


def test_the_rule_decides_that_holds_by_then(tmp_path: Path) -> None:
    """As after a telecommand."""
    with Onboard(tmp_path, EXACT) as onboard:
        assert refused(offer(onboard.frames, begin(), b"no picture"))[1]
        onboard.workshop.rules[0] = PLAIN
        assert onboard.product(store(onboard.frames, b"no picture"))[0].scheme == "plain"
        assert onboard.frames.counters["frames_fallback"] == 0


def test_a_failure_of_the_daemon_is_not_the_frames(tmp_path: Path) -> None:
    with Onboard(tmp_path, EXACT, max_bytes=len(FRAME) // 2) as onboard:
        for _ in range(2):
            answer = offer(onboard.frames, begin(size=len(FRAME)), FRAME)
            assert refused(answer) == (Reason.SPOOL_FULL, True)
        assert refused(tell_wrong(onboard)) == (Reason.BAD_INTAKE, True)
        assert onboard.frames._attempts.next(CAMERA, "frame-1") == Attempt()


def tell_wrong(onboard: Onboard) -> list[object]:
    frame: FrameBegin = begin()
    onboard.frames.receive(CAMERA, frame, 0)
    return tell(onboard.frames, CAMERA, end(b"other bytes"))  # type: ignore[return-value]


def test_attempts_are_bounded_for_each_camera() -> None:
    attempts, sealed = Attempts(), Attempt(Way.FALLBACK, "why")
    attempts.remember("a", "first", sealed)
    for number in range(300):
        attempts.remember("b", f"f{number}", sealed)
    assert attempts.next("a", "first") == sealed
    known = [n for n in range(300) if attempts.next("b", f"f{n}") == sealed]
    assert known == list(range(300 - 256, 300))
    attempts.forget("b", "f299")
    attempts.forget("nobody", "f1")
    assert attempts.next("b", "f299") == Attempt()

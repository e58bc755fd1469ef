"""Feeders: they keep to their credit, their pauses and the size of their chunks, and never give up.

What becomes of it between them and the daemon is in test_feed_lossy.py.
"""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.errors import OccultaError, Reason
from occulta.link.messages import (
    MAX_CHUNK,
    Credit,
    FrameChunk,
    FrameEnd,
    FrameRefused,
    FrameStored,
    ItemBegin,
    ItemChunk,
    ItemRefused,
    ItemStored,
    Message,
    encode,
)
from sim.feed import FIRST_PAUSE, LONGEST_PAUSE, MIN_CHUNK, Feeder, FrameFeeder, ItemFeeder, Offer
from tests.intake_support import EXAMPLES, begin, end, frame, item, item_end
from tests.support import private_bytes

CHUNK = MIN_CHUNK
DATA = private_bytes(3 * CHUNK + 1000)


def feeder(*offers: Offer[Any], **options: Any) -> FrameFeeder:
    return FrameFeeder(offers, chunk=CHUNK, **options)


def drain(feeder: Feeder[Any], now: float = 0.0) -> list[Message]:
    found = []
    while message := feeder.next_message(now):
        assert encode(message)
        found.append(message)
    return found


def spans(messages: list[Message]) -> list[tuple[int, int]]:
    """(offset, size) of chunks."""
    assert all(isinstance(message, FrameChunk | ItemChunk) for message in messages)
    return [(m.offset, len(m.data)) for m in messages]  # type: ignore[attr-defined]


STORED = FrameStored("f", bytes(16))


# --- a frame's way


def test_within_the_credit() -> None:
    camera = feeder(frame(DATA))
    assert drain(camera) == [begin("f", len(DATA))]
    assert drain(camera) == []
    camera.receive(Credit("f", 10), 0)
    assert spans(drain(camera)) == [(0, 10)]
    camera.receive(Credit("f", CHUNK), 0)
    camera.receive(Credit("f", 20), 0)  # an old one
    assert spans(drain(camera)) == [(10, CHUNK - 10)]
    camera.receive(Credit("f", 5), 0)
    camera.receive(Credit("another", 1 << 30), 0)
    assert drain(camera) == []
    camera.receive(Credit("f", 3 * CHUNK - 1), 0)
    assert spans(drain(camera)) == [(CHUNK, CHUNK), (2 * CHUNK, CHUNK - 1)]
    camera.receive(Credit("f", 1 << 30), 0)
    *chunks, last = drain(camera)
    assert spans(chunks) == [(3 * CHUNK - 1, 1), (3 * CHUNK, 1000)]
    assert last == end(DATA, "f")
    assert drain(camera) == [] and not camera.is_done
    camera.receive(STORED, 0)
    assert drain(camera) == [] and camera.is_done
    assert camera.events() == [STORED] and camera.events() == []
    assert camera.next_timer() is None


@given(
    data=st.integers(0, 5 * CHUNK).map(lambda size: DATA[:1] * size), chunk=st.integers(1, 4),
    credits=st.lists(st.integers(0, 6 * CHUNK), max_size=8), announced=st.booleans(),
)
@settings(EXAMPLES, max_examples=60)
def test_all_bytes_in_order(
    data: bytes, chunk: int, credits: list[int], announced: bool
) -> None:
    camera = FrameFeeder([frame(data, announced=announced)], chunk=chunk * MIN_CHUNK)
    (first,) = drain(camera)
    assert first == begin("f", len(data) if announced else None)
    sent, granted = b"", 0
    for up_to in [*credits, 1 << 30]:
        granted = max(granted, up_to)
        camera.receive(Credit("f", up_to), 0)
        for message in drain(camera):
            if isinstance(message, FrameEnd):
                assert message == end(data, "f") and len(sent) == len(data)
                break
            assert isinstance(message, FrameChunk)
            assert message.offset == len(sent)
            assert len(message.data) <= chunk * MIN_CHUNK
            sent += message.data
            assert len(sent) <= granted
    assert sent == data
    assert drain(camera) == []


def test_no_end_before_any_answer() -> None:
    camera = feeder(frame(b""))
    assert drain(camera) == [begin("f", 0)]
    camera.receive(Credit("f", 100), 0)
    assert drain(camera) == [end(b"", "f")]


def test_one_after_another() -> None:
    camera = feeder(frame(b"a", "a"), frame(b"b", "b"))
    assert drain(camera) == [begin("a", 1)]
    camera.receive(FrameStored("b", bytes(16)), 0)  # not asked yet
    camera.receive(FrameStored("a", bytes(16)), 0)
    assert drain(camera) == [begin("b", 1)]
    refused = FrameRefused("b", Reason.NOT_JPEG, "no", False)
    camera.receive(refused, 0)
    assert drain(camera) == [] and camera.is_done
    assert camera.events() == [FrameStored("a", bytes(16)), refused]


def test_items_need_no_credit() -> None:
    program = ItemFeeder([item(DATA), item(b"", "j")], chunk=CHUNK)
    first, *chunks, last = drain(program)
    assert first == ItemBegin("i", len(DATA), ())
    assert spans(chunks) == [(0, CHUNK), (CHUNK, CHUNK), (2 * CHUNK, CHUNK), (3 * CHUNK, 1000)]
    assert last == item_end(DATA, "i")
    program.receive(ItemStored("i"), 0)
    assert drain(program) == [ItemBegin("j", 0, ()), item_end(b"", "j")]
    program.receive(ItemRefused("j", Reason.BAD_INTAKE, "no", False), 0)
    assert drain(program) == [] and program.is_done


def test_nothing_to_offer() -> None:
    camera = feeder()
    assert drain(camera) == [] and camera.is_done


# --- again


def test_a_pause_that_grows_after_each_refusal() -> None:
    camera, now = feeder(frame(DATA)), 100.0
    refused = FrameRefused("f", Reason.SPOOL_FULL, "full", True)
    pauses = []
    for _ in range(9):
        assert drain(camera, now) == [begin("f", len(DATA))]
        camera.receive(refused, now)
        camera.receive(refused, now)  # twice is once
        due = camera.next_timer()
        assert due is not None
        assert drain(camera, due - 0.001) == []
        pauses.append(due - now)
        now = due
    assert pauses == [FIRST_PAUSE * 2**n for n in range(6)] + [LONGEST_PAUSE] * 3
    assert drain(camera, now) == [begin("f", len(DATA))]
    camera.receive(STORED, now)
    assert drain(camera, now) == [] and camera.events() == [STORED]


def test_stored_meanwhile() -> None:
    """The answer to an earlier attempt counts."""
    camera = feeder(frame(DATA), frame(b"b", "b"))
    drain(camera)
    camera.receive(FrameRefused("f", Reason.BAD_INTAKE, "silent", True), 0)
    camera.receive(STORED, 0)
    assert drain(camera, 0.1) == [begin("b", 1)]


def test_patience() -> None:
    camera = feeder(frame(DATA), patience=5.0)
    assert camera.next_timer() == 0.0
    assert drain(camera, 1) == [begin("f", len(DATA))]
    assert camera.next_timer() == 6
    camera.receive(Credit("f", 5000), 2)
    assert camera.next_timer() is None  # there is something to send: nothing is awaited
    camera.handle_timer(50)
    assert spans(drain(camera, 50)) == [(0, 5000)]
    camera.receive(Credit("another", 1 << 20), 52)
    assert camera.next_timer() == 55
    camera.handle_timer(54.9)
    assert drain(camera, 54.9) == []
    camera.handle_timer(55)
    assert drain(camera, 55) == [begin("f", len(DATA))]


def test_a_new_connection() -> None:
    camera = feeder(frame(DATA))
    drain(camera)
    camera.receive(Credit("f", 100), 0)
    drain(camera)
    camera.reconnected(1)
    assert drain(camera, 1) == [begin("f", len(DATA))]
    assert drain(camera, 1) == []  # credit counts for what it was given for
    camera.receive(Credit("f", 100), 1)
    assert spans(drain(camera, 1)) == [(0, 100)]
    # A pause is kept through it.
    camera.receive(FrameRefused("f", Reason.SPOOL_FULL, "full", True), 2)
    camera.reconnected(2)
    assert drain(camera, 2) == []


def test_an_interval_between_frames() -> None:
    camera = feeder(frame(b"a", "a"), frame(b"b", "b"), frame(b"c", "c"), interval=10.0)
    assert drain(camera, 0) == [begin("a", 1)]
    camera.receive(FrameStored("a", bytes(16)), 1)
    assert drain(camera, 9.9) == [] and camera.next_timer() == 10
    assert drain(camera, 10) == [begin("b", 1)]
    camera.receive(FrameStored("b", bytes(16)), 35)  # late: the next one waits no more
    assert drain(camera, 35) == [begin("c", 1)]
    camera.receive(FrameStored("c", bytes(16)), 36)
    assert drain(camera, 36) == [] and camera.is_done


def test_each_attempt_reads_anew_and_closes() -> None:
    streams: list[BinaryIO] = []

    def open_() -> BinaryIO:
        streams.append(io.BytesIO(DATA))
        return streams[-1]

    camera = feeder(Offer(begin("f", len(DATA)), open_))
    for _ in range(3):
        drain(camera)
        camera.receive(Credit("f", 1 << 30), 0)
        assert len(drain(camera)) == 5
        camera.reconnected(0)
    drain(camera)
    camera.receive(STORED, 0)
    assert len(streams) == 4 and all(stream.closed for stream in streams)


@pytest.mark.parametrize("size", [0, len(DATA) - 1, len(DATA) + 1])
def test_what_is_not_as_long_as_announced(size: int) -> None:
    camera = feeder(Offer(begin("f", size), lambda: io.BytesIO(DATA)))
    drain(camera)
    camera.receive(Credit("f", 1 << 30), 0)
    with pytest.raises(OccultaError) as caught:
        drain(camera)
    assert caught.value.reason is Reason.INPUT_UNREADABLE


@pytest.mark.parametrize("options", [
    {"chunk": MIN_CHUNK - 1}, {"chunk": MAX_CHUNK + 1}, {"patience": 0.0}, {"interval": -1.0},
])
def test_misuse(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="chunks of"):
        FrameFeeder([], **options)


def test_offers_are_taken_one_by_one() -> None:
    """A picture is made when its turn comes."""
    made = []

    def offers() -> Any:
        for name in ("a", "b"):
            made.append(name)
            yield frame(b"x", name)

    camera = FrameFeeder(offers())
    drain(camera)
    assert made == ["a"]
    camera.receive(FrameStored("a", bytes(16)), 0)
    drain(camera)
    assert made == ["a", "b"]

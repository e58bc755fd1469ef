"""Queues of hidden bits and pull parsers, against strings of zeros and ones.

Proves that the bit queue and the bit collector are exact inverses at every bit position, and that
a parser sees the same whatever the pieces.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.schemes.reversible.bits import BitCollector, BitQueue, Parsing, PullParser
from tests.support import by_kernel, pieces

pytestmark = pytest.mark.arm64

EXAMPLES = settings(
    deadline=None, derandomize=True, database=None, max_examples=by_kernel(200, 200)
)
DATA = st.binary(max_size=12)


def text(data: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in data)


def unread(queue: BitQueue) -> str:
    """What the kernel would read next, all of it."""
    return text(bytes(queue.buffer()))[queue.position :][: queue.available]


def read(queue: BitQueue, count: int) -> str:
    bits = unread(queue)[:count]
    queue.advance(queue.position + count)
    return bits


@EXAMPLES
@given(st.lists(st.tuples(st.sampled_from("arpc"), DATA, st.integers(0, 40))))
def test_queue_against_text(steps: list[tuple[str, bytes, int]]) -> None:
    queue, expected, taken, ever = BitQueue(), "", 0, 0
    for verb, data, count in steps:
        if verb == "a":
            queue.append(data)
            expected += text(data)
        elif verb == "p":
            queue.prepend(data)
            expected = text(data) + expected
        elif verb == "r":
            some = min(count, len(expected))
            assert read(queue, some) == expected[:some]
            expected, taken = expected[some:], taken + some
        else:
            queue.cut(count)
            expected = expected[: len(expected) - 8 * min(count, len(expected) // 8)]
        ever = taken + len(expected)
        assert unread(queue) == expected
        assert (queue.available, queue.taken, queue.end) == (len(expected), taken, ever)


def test_the_kernel_may_read_a_little_too_far() -> None:
    queue = BitQueue()
    queue.append(b"\xff")
    assert bytes(queue.buffer()) == b"\xff\0\0"


@EXAMPLES
@given(st.lists(st.tuples(DATA, st.integers(0, 40), st.integers(0, 1 << 40))))
def test_collector_against_text(steps: list[tuple[bytes, int, int]]) -> None:
    collector, expected, out = BitCollector(), "", b""
    for data, count, any_value in steps:
        value = any_value & (1 << count) - 1
        out += collector.push(data, value, count)
        expected += text(data) + (f"{value:0{count}b}" if count else "")
    assert text(out) == expected[: len(expected) // 8 * 8]


def _words() -> Parsing[list[bytes]]:
    """A count, then that many words with their own lengths; a length of 0 is possible."""
    found = []
    for _ in range((yield 1)[0]):
        size = (yield 1)[0]
        found.append((yield size))
    return found


@EXAMPLES
@given(st.lists(st.binary(max_size=9), max_size=6), st.binary(max_size=5),
       st.lists(st.integers(0, 60)))
def test_parser_however_it_is_fed(words: list[bytes], tail: bytes, cuts: list[int]) -> None:
    data = bytes([len(words)]) + b"".join(bytes([len(word)]) + word for word in words)
    parser, rest = PullParser(_words()), b""
    for piece in pieces(data + tail, cuts):
        assert parser.wanted >= 0
        rest += parser.feed(piece)
    assert parser.done and parser.wanted == 0
    assert parser.result == words
    assert rest == tail


def test_parser_wants_what_is_missing() -> None:
    parser = PullParser(_words())
    assert parser.wanted == 1
    parser.feed(b"\x01\x05ab")
    assert parser.wanted == 3 and not parser.done
    assert parser.feed(b"cdeXY") == b"XY"
    assert parser.result == [b"abcde"]

"""Messages: what is within the limits survives, everything else is refused by name.

Proves that every structure comes back equal, that each limit holds exactly, that nothing is
coerced, and that damage, bombs and strangers' messages give only a PacketError with its reason and
allocate nothing on the way.
"""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Iterator
from types import UnionType
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.link import messages as m
from occulta.link.drops import Drop, PacketError
from occulta.link.messages import (
    MAX_CHUNK,
    MAX_MESSAGE,
    MAX_SIZE,
    ManifestFile,
    Message,
    decode,
    encode,
)

EXAMPLES = settings(deadline=None, derandomize=True, database=None, max_examples=60)
UNIONS = [m.FromCamera, m.ToCamera, m.FromPayload, m.ToPayload, m.FromConsole, m.ToConsole]

FILE = ManifestFile("pass 7.jpg", 5, bytes(32))
MANIFEST = m.ProductManifest(
    bytes(16), "f1", 1.5, 2.5, "reversible", "exact", (FILE,), m.Part("i1", 1, 2)
)
SAMPLES: list[Message] = [
    m.FrameBegin("f1", "nadir", 5, 1.5, True, {"orbit": "7"}),
    m.FrameChunk("f1", 3, b"data"),
    m.FrameEnd("f1", 5, bytes(32)),
    m.FrameAbort("f1", "sensor off"),
    m.Credit("f1", 1 << 20),
    m.FrameStored("f1", bytes(16)),
    m.FrameRefused("f1", 315, "baseline only", False),
    m.ItemBegin("i1", 9, (bytes(16), b"\1" * 16)),
    m.ItemChunk("i1", 0, b"x"),
    m.ItemEnd("i1", 9, bytes(32)),
    m.ItemStored("i1"),
    m.ItemRefused("i1", 601, "disk full", True),
    MANIFEST,
    m.SignedManifest(b"body", bytes(16), bytes(64)),
    m.CommandRequest("send", {"a": True, "b": 7, "c": 1.5, "d": "text"}, 5),
    m.CommandReply(False, "no contact", 5),
    m.StatusRequest(6),
    m.Status({"MAC_MISMATCH": 3}, True, 12.5, 6),
]
BY_KIND = {type(sample): sample for sample in SAMPLES}

NAMES = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True).filter(lambda n: n.strip("."))
LINES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=200)
SIZES = st.integers(0, MAX_SIZE)
COUNTS = st.integers(0, (1 << 63) - 1)
TIMES = st.floats(0, 253_402_300_799)
CHUNKS = st.binary(min_size=1, max_size=300)
DIGESTS = st.binary(min_size=32, max_size=32)
IDS = st.binary(min_size=16, max_size=16)
ARGUMENTS = st.one_of(
    st.booleans(), st.integers(-(1 << 63), (1 << 64) - 1), st.text(max_size=99),
    st.floats(allow_nan=False, allow_infinity=False),
)
FILES = st.builds(
    ManifestFile, st.from_regex(r"[a-z .é:]{0,40}[a-z]", fullmatch=True).filter(
        lambda n: ":" not in n), SIZES, DIGESTS,
)
PARTS = st.tuples(st.integers(1, 65_535), st.integers(1, 65_535), NAMES).map(
    lambda t: m.Part(t[2], min(t[:2]), max(t[:2])))
MESSAGES: dict[type[Message], st.SearchStrategy[Message]] = {
    m.FrameBegin: st.builds(
        m.FrameBegin, NAMES, NAMES, st.none() | SIZES, TIMES, st.booleans(),
        st.dictionaries(NAMES, LINES.map(lambda text: text[:64]), max_size=16)),
    m.FrameChunk: st.builds(m.FrameChunk, NAMES, SIZES, CHUNKS),
    m.FrameEnd: st.builds(m.FrameEnd, NAMES, SIZES, DIGESTS),
    m.FrameAbort: st.builds(m.FrameAbort, NAMES, LINES),
    m.Credit: st.builds(m.Credit, NAMES, SIZES),
    m.FrameStored: st.builds(m.FrameStored, NAMES, IDS),
    m.FrameRefused: st.builds(m.FrameRefused, NAMES, st.integers(0, 999), LINES, st.booleans()),
    m.ItemBegin: st.builds(m.ItemBegin, NAMES, SIZES, st.lists(IDS, max_size=16).map(tuple)),
    m.ItemChunk: st.builds(m.ItemChunk, NAMES, SIZES, CHUNKS),
    m.ItemEnd: st.builds(m.ItemEnd, NAMES, SIZES, DIGESTS),
    m.ItemStored: st.builds(m.ItemStored, NAMES),
    m.ItemRefused: st.builds(m.ItemRefused, NAMES, st.integers(0, 999), LINES, st.booleans()),
    m.ProductManifest: st.builds(
        m.ProductManifest, IDS, NAMES, TIMES, TIMES, NAMES, NAMES,
        st.lists(FILES, min_size=1, max_size=16, unique_by=lambda f: f.name).map(tuple),
        st.none() | PARTS),
    m.SignedManifest: st.builds(
        m.SignedManifest, st.binary(max_size=300), IDS, st.binary(min_size=64, max_size=64)),
    m.CommandRequest: st.builds(
        m.CommandRequest, NAMES, st.dictionaries(NAMES, ARGUMENTS, max_size=16), COUNTS),
    m.CommandReply: st.builds(m.CommandReply, st.booleans(), LINES, COUNTS),
    m.StatusRequest: st.builds(m.StatusRequest, COUNTS),
    m.Status: st.builds(
        m.Status, st.dictionaries(NAMES, COUNTS, max_size=30), st.booleans(), TIMES, COUNTS),
}


def each_sample() -> Any:
    return pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)


def raw(message: Message, **changes: object) -> bytes:
    """The message as msgpack, with fields changed or added, checked by nobody."""
    fields = msgspec.to_builtins(message, builtin_types=(bytes,))
    return msgspec.msgpack.encode({**fields, **changes})


def plain(value: object) -> Any:
    """As msgpack shows it to anybody."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value))


def refused(data: bytes, kind: Any, limit: int = MAX_MESSAGE) -> Drop:
    with pytest.raises(PacketError) as caught:
        decode(data, kind, limit)
    assert caught.value.detail.isprintable() and len(caught.value.detail) < 1000
    return caught.value.drop


# --- what is valid comes back


def test_every_kind_is_tested() -> None:
    assert set(MESSAGES) == set(BY_KIND) == set(Message.__subclasses__())


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
@EXAMPLES
@given(data=st.data())
def test_round_trip(kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(MESSAGES[kind])
    back = decode(encode(message), kind)
    assert type(back) is kind and back == message


@pytest.mark.parametrize("union", UNIONS, ids=str)
def test_a_union_takes_its_own_kinds_and_no_others(union: UnionType) -> None:
    for kind, sample in BY_KIND.items():
        if kind in union.__args__:
            assert decode(encode(sample), union) == sample
        else:
            assert refused(encode(sample), union) is Drop.MESSAGE_KIND


def test_each_side_of_a_conversation_has_its_own_kinds() -> None:
    sides = [kind for union in UNIONS for kind in union.__args__]
    assert len(sides) == len(set(sides)) == len(SAMPLES) - 2


def test_the_bytes_are_stable() -> None:
    assert encode(m.Credit("f1", 300)) == (
        b"\x83\xa4kind\xa6credit\xa8frame_id\xa2f1\xa5up_to\xcd\x01\x2c"
    )


# --- limits, exactly at and one above


NAME_LIMITS = [("a" * 64, "a" * 65), ("..a", ".."), ("-", "."), ("a", ""), ("a", "a\n"),
               ("a", "a/b"), ("a", "é")]
LINE_LIMITS = [("é" * 200, "é" * 201), ("", "a\nb"), ("\xa0", "\x85"), ("~", "\x7f")]
SIZE_LIMITS = [(MAX_SIZE, MAX_SIZE + 1), (0, -1)]
TIME_LIMITS = [(253_402_300_799.0, 253_402_300_800.0), (0.0, -1e-9), (1.0, math.nan),
               (1.0, math.inf)]
DATA_LIMITS = [(bytes(MAX_CHUNK), bytes(MAX_CHUNK + 1)), (b"x", b"")]
DIGEST_LIMITS = [(bytes(32), bytes(33)), (bytes(32), bytes(31))]
ID_LIMITS = [(bytes(16), bytes(17)), (bytes(16), bytes(15))]
QUESTION_LIMITS = [((1 << 63) - 1, 1 << 63), (0, -1), (1, 1.0), (1, None)]
NUMBER_LIMITS = [(999, 1000), (0, -1)]


def numbered(count: int) -> dict[str, str]:
    return {str(at): "x" for at in range(count)}


def files(count: int) -> list[dict[str, object]]:
    return [{"name": str(at), "size": 0, "sha256": bytes(32)} for at in range(count)]


LIMITS: dict[tuple[type[Message], str], list[tuple[Any, Any]]] = {
    (m.FrameBegin, "frame_id"): NAME_LIMITS,
    (m.FrameBegin, "camera"): NAME_LIMITS,
    (m.FrameBegin, "size"): SIZE_LIMITS,
    (m.FrameBegin, "captured_at"): TIME_LIMITS,
    (m.FrameBegin, "labels"): [
        (numbered(16), numbered(17)), ({"a" * 64: ""}, {"a" * 65: ""}), ({}, {"..": ""}),
        ({"a": "é" * 64}, {"a": "é" * 65}), ({"a": " "}, {"a": "\0"})],
    (m.FrameChunk, "offset"): SIZE_LIMITS,
    (m.FrameChunk, "data"): DATA_LIMITS,
    (m.FrameEnd, "size"): SIZE_LIMITS,
    (m.FrameEnd, "sha256"): DIGEST_LIMITS,
    (m.FrameAbort, "reason"): LINE_LIMITS,
    (m.Credit, "up_to"): SIZE_LIMITS,
    (m.FrameStored, "product_id"): ID_LIMITS,
    (m.FrameRefused, "reason"): NUMBER_LIMITS,
    (m.FrameRefused, "detail"): LINE_LIMITS,
    (m.ItemBegin, "item_id"): NAME_LIMITS,
    (m.ItemBegin, "size"): SIZE_LIMITS,
    (m.ItemBegin, "recipients"): [
        ([bytes(16)] * 16, [bytes(16)] * 17), ([], [bytes(15)]), ([], [bytes(17)])],
    (m.ItemChunk, "offset"): SIZE_LIMITS,
    (m.ItemChunk, "data"): DATA_LIMITS,
    (m.ItemEnd, "sha256"): DIGEST_LIMITS,
    (m.ItemStored, "item_id"): NAME_LIMITS,
    (m.ItemRefused, "reason"): NUMBER_LIMITS,
    (m.ItemRefused, "detail"): LINE_LIMITS,
    (m.ProductManifest, "product_id"): ID_LIMITS,
    (m.ProductManifest, "created_at"): TIME_LIMITS,
    (m.ProductManifest, "scheme"): NAME_LIMITS,
    (m.ProductManifest, "profile"): NAME_LIMITS,
    (m.ProductManifest, "files"): [
        (files(16), files(17)), (files(1), []), (files(2), files(1) * 2)],
    (m.ProductManifest, "part"): [
        ({"item_id": "i", "number": 65_535, "count": 65_535},
         {"item_id": "i", "number": 65_535, "count": 65_536}),
        ({"item_id": "i", "number": 1, "count": 1}, {"item_id": "i", "number": 0, "count": 1}),
        (None, {"item_id": "i", "number": 3, "count": 2}),
        (None, {"item_id": "i", "number": 1, "count": 2, "more": 0})],
    (m.SignedManifest, "body"): [(bytes(1 << 16), bytes((1 << 16) + 1))],
    (m.SignedManifest, "key_fingerprint"): ID_LIMITS,
    (m.SignedManifest, "signature"): [(bytes(64), bytes(65)), (bytes(64), bytes(63))],
    (m.CommandRequest, "arguments"): [
        (numbered(16), numbered(17)), ({"a": "é" * 1024}, {"a": "é" * 1025}),
        ({"a": 1e308}, {"a": math.inf}), ({"a": 0.0}, {"a": math.nan}), ({}, {"a": None}),
        ({}, {"a": []}), ({}, {"a": {}}), ({}, {"a": b""}), ({}, {"a b": 1})],
    (m.CommandReply, "detail"): LINE_LIMITS,
    (m.Status, "counters"): [
        (dict.fromkeys(map(str, range(1024)), 0), dict.fromkeys(map(str, range(1025)), 0)),
        ({"a": (1 << 63) - 1}, {"a": 1 << 63}), ({"a": 0}, {"a": -1}), ({}, {"a": 1.0})],
    (m.Status, "uptime"): TIME_LIMITS,
    (m.CommandRequest, "question"): QUESTION_LIMITS,
    (m.CommandReply, "question"): QUESTION_LIMITS,
    (m.StatusRequest, "question"): QUESTION_LIMITS,
    (m.Status, "question"): QUESTION_LIMITS,
}


@pytest.mark.parametrize(("kind", "field"), LIMITS, ids=lambda part: getattr(
    part, "__name__", part))
def test_limits(kind: type[Message], field: str) -> None:
    sample = BY_KIND[kind]
    for allowed, forbidden in LIMITS[kind, field]:
        found = decode(raw(sample, **{field: allowed}), kind)
        assert plain(getattr(found, field)) == plain(allowed)
        assert refused(raw(sample, **{field: forbidden}), kind) is Drop.MESSAGE_MALFORMED
        if field not in ("files", "part"):
            with pytest.raises(ValueError, match=kind.__name__):
                encode(msgspec.structs.replace(sample, **{field: forbidden}))


@pytest.mark.parametrize("field", [object(), 1 << 64, "\ud800", "\ud800".join("ab")])
def test_what_msgpack_cannot_hold_is_not_encoded(field: Any) -> None:
    with pytest.raises(ValueError):
        encode(m.Credit(field, field))


@pytest.mark.parametrize("name", ["a", "é" * 64, "a" * 128, "...", "a b", "-r", ".hidden"])
def test_plain_file_names(name: str) -> None:
    assert ManifestFile(name, 0, bytes(32)).name == name


@pytest.mark.parametrize("name", [
    "", ".", "..", "a/b", "/a", "a/", "../a", "a\\b", "a\0", "\n", "a\x7f", "a\x85", "c:a",
    "a" * 129, "é" * 64 + "a",
])
def test_other_file_names(name: str) -> None:
    with pytest.raises(ValueError, match="plain file name"):
        ManifestFile(name, 0, bytes(32))
    file = {"name": name, "size": 0, "sha256": bytes(32)}
    assert refused(raw(MANIFEST, files=[file]), m.ProductManifest) is Drop.MESSAGE_MALFORMED


def test_manifest_structures_hold_together() -> None:
    with pytest.raises(ValueError, match="beyond the last"):
        m.Part("i", 3, 2)
    with pytest.raises(ValueError, match="two files of one name"):
        msgspec.structs.replace(MANIFEST, files=(FILE, FILE))


@each_sample()
def test_the_total_length_is_checked_first(sample: Message) -> None:
    data = encode(sample)
    assert decode(data, type(sample), len(data)) == sample
    assert refused(data, type(sample), len(data) - 1) is Drop.MESSAGE_TOO_LONG
    assert refused(b"\xc1" * 9, type(sample), 8) is Drop.MESSAGE_TOO_LONG


def test_the_default_limit_holds_the_longest_message() -> None:
    longest = m.FrameChunk("a" * 64, MAX_SIZE, bytes(MAX_CHUNK))
    assert decode(encode(longest), m.FrameChunk) == longest
    assert refused(bytes(MAX_MESSAGE + 1), m.FrameChunk) is Drop.MESSAGE_TOO_LONG


# --- what is not valid


@each_sample()
def test_every_truncation(sample: Message) -> None:
    data = encode(sample)
    for end in range(len(data)):
        assert refused(data[:end], type(sample)) is Drop.MESSAGE_MALFORMED
    assert refused(data + b"\0", type(sample)) is Drop.MESSAGE_MALFORMED


@each_sample()
def test_unknown_missing_and_foreign_fields(sample: Message) -> None:
    kind = type(sample)
    assert refused(raw(sample, more=1), kind) is Drop.MESSAGE_MALFORMED
    assert refused(raw(sample, **{"\n" * 9999: 1}), kind) is Drop.MESSAGE_MALFORMED
    for name in set(kind.__struct_fields__) - {"part", "question"}:
        fields = msgspec.to_builtins(sample, builtin_types=(bytes,))
        del fields[name]
        assert refused(msgspec.msgpack.encode(fields), kind) is Drop.MESSAGE_MALFORMED


@each_sample()
def test_other_kinds(sample: Message) -> None:
    kind = type(sample)
    assert refused(raw(sample, kind="frame"), kind) is Drop.MESSAGE_KIND
    assert refused(raw(sample, kind="\n" * 9999), kind) is Drop.MESSAGE_KIND
    for value in (None, 1, b"credit", [], {}):
        assert refused(raw(sample, kind=value), kind) is Drop.MESSAGE_MALFORMED
    untagged = msgspec.to_builtins(sample, builtin_types=(bytes,))
    del untagged["kind"]
    assert refused(msgspec.msgpack.encode(untagged), kind) is Drop.MESSAGE_MALFORMED


ALIENS: list[Any] = [None, True, 7, 7.5, "7", b"7" * 16, [], [7], {}, {"7": 7}]


@each_sample()
def test_nothing_is_coerced(sample: Message) -> None:
    """Another type in a field is refused, or is what the field may hold: it comes back as is."""
    for field in type(sample).__struct_fields__:
        for alien in ALIENS:
            try:
                found = decode(raw(sample, **{field: alien}), type(sample))
            except PacketError as error:
                assert error.drop is Drop.MESSAGE_MALFORMED
                continue
            value = plain(getattr(found, field))
            is_number = type(value) is float and type(alien) is int
            assert value == alien and (is_number or type(value) is type(alien))


@EXAMPLES
@given(st.binary(max_size=200), st.sampled_from(SAMPLES))
def test_random_bytes(data: bytes, sample: Message) -> None:
    assert refused(data, type(sample)) in {Drop.MESSAGE_MALFORMED, Drop.MESSAGE_KIND}


@each_sample()
def test_every_flipped_bit(sample: Message) -> None:
    """Damage is refused or gives a message that is valid itself."""
    for other in flips(encode(sample)):
        try:
            encode(decode(other, type(sample)))
        except PacketError as error:
            assert error.drop in {Drop.MESSAGE_MALFORMED, Drop.MESSAGE_KIND}


def flips(data: bytes) -> Iterator[bytes]:
    for bit in range(8 * len(data)):
        out = bytearray(data)
        out[bit >> 3] ^= 1 << (bit & 7)
        yield bytes(out)


HUGE = b"\xff\xff\xff\xff"
BOMBS = {
    "bin": b"\xc6" + HUGE, "str": b"\xdb" + HUGE, "array": b"\xdd" + HUGE, "map": b"\xdf" + HUGE,
    "ext": b"\xc9" + HUGE + b"\x05", "arrays": (b"\xdd" + HUGE) * 1000,
    "deep": b"\x91" * 80_000, "deep maps": b"\x81\xa1a" * 80_000,
    "bad text": b"\xa1\xff", "reserved": b"\xc1",
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_bombs_allocate_nothing(bomb: bytes) -> None:
    tag = msgspec.msgpack.encode("kind")
    for sample in SAMPLES:
        kind = type(sample)
        name = msgspec.msgpack.encode(kind.__struct_config__.tag)
        places = [bomb, b"\x82" + tag + bomb, b"\x82\xa1x" + bomb + tag + name]
        for field in kind.__struct_fields__:
            places.append(b"\x82" + tag + name + msgspec.msgpack.encode(field) + bomb)
        for data in places:
            tracemalloc.start()
            assert refused(data, kind) is Drop.MESSAGE_MALFORMED
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 100_000

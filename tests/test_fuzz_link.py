"""The link's fuzzer: it finds what it is for, and all that it ever found stays found.

Proves that a fixed set of sessions breaks no rule, that each decoder gets to read something in
them, that a decoder that raises anything else is noticed, and replays every session kept.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from occulta.link.drops import Drop, PacketError
from tests import fuzz_link
from tests.fuzz import CRASHES, link_trials, save
from tests.fuzz_link import DECODERS, examine_session, invent_session, read_all, records

FILES = sorted((CRASHES / "link").glob("*.bin"))
SESSIONS = 40


def test_some_sessions() -> None:
    """Few, but every decoder reads and refuses in them."""
    rng = random.Random(1)
    seen: Counter[str] = Counter()
    for _ in range(SESSIONS):
        seen += examine_session(invent_session(rng))
    assert {name for name in DECODERS if seen[f"{name}: read"]} == set(DECODERS)
    assert {seen[drop.name] > 0 for drop in (
        Drop.PDU_CRC, Drop.PDU_FIELD, Drop.PACKET_LENGTH, Drop.MAC_MISMATCH, Drop.PUS_CHECKSUM,
        Drop.MESSAGE_MALFORMED, Drop.MESSAGE_SIGNATURE,
    )} == {True}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_past_crash_is_handled(path) -> None:
    examine_session(path.read_bytes())


def test_any_octets_are_a_session() -> None:
    rng = random.Random(2)
    for size in (0, 1, 2, 3, 4, 50, 400):
        assert len(list(records(rng.randbytes(size)))) <= size
        examine_session(rng.randbytes(size))


@pytest.mark.parametrize("error", [ValueError, IndexError, MemoryError, RecursionError])
def test_any_other_exception_is_noticed(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(octets: bytes) -> None:
        raise error

    monkeypatch.setitem(fuzz_link.DECODERS, "messages", broken)
    with pytest.raises(error):
        read_all(b"x")


def test_a_decoder_that_changes_what_it_reads_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    packet = b"\x10\x64\xc0\x00\x00\x00x"
    assert read_all(packet)["space packet: read"] == 1
    changed = fuzz_link.SpacePacket.decode(packet[:-1] + b"y")
    monkeypatch.setattr(fuzz_link.SpacePacket, "decode", lambda _: changed)
    with pytest.raises(fuzz_link.BrokenLinkRuleError):
        read_all(packet)


def test_a_forged_packet_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    packet = fuzz_link.protected()[0]
    assert read_all(packet)["security: read"] == 1
    assert read_all(packet[:-1] + b"\0")["MAC_MISMATCH"] == 1
    monkeypatch.setattr(fuzz_link, "protected", lambda: ())
    with pytest.raises(fuzz_link.BrokenLinkRuleError):
        read_all(packet)


def test_seeds_repeat_and_crashes_are_kept_apart(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = [next(link_trials(random.Random(seed), None)).data for seed in (3, 3, 4)]
    assert trials[0] == trials[1] != trials[2]
    monkeypatch.setattr("tests.fuzz.CRASHES", tmp_path)
    assert save(b"x", "ValueError", "link").parent == tmp_path / "link"
    assert save(b"x", "ValueError").parent == tmp_path


def test_a_refusal_is_no_broken_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(octets: bytes) -> None:
        raise PacketError(Drop.QUEUE_FULL, "")

    monkeypatch.setitem(fuzz_link.DECODERS, "messages", refuses)
    assert read_all(b"x")["QUEUE_FULL"] == 1

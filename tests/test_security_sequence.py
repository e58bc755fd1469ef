"""Replays, epochs and generations: what arrives twice, late, or under keys that are gone.

Proves each refusal by its reason, that a forged packet moves nothing, and that what was only
reordered or lost does no harm.
"""

from __future__ import annotations

import tracemalloc
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occulta.link.drops import Drop, PacketError
from occulta.link.security import Direction, StateNotSaved
from occulta.link.security.window import WINDOW, ReplayWindow
from tests.security_support import (
    CLOCK,
    COMMANDER,
    HOLDER,
    KEYS,
    STATION,
    counter,
    dropped,
    epoch_number,
    opened,
    randomness,
    receiver,
    save,
    sender,
    space_packet,
    spi,
)

pytestmark = pytest.mark.arm64

PLAIN = space_packet(b"data")

# --- the window


@given(st.lists(st.integers(0, 40).map(lambda n: 100 * n) | st.integers(0, 3 * WINDOW)),
       st.integers(-1, 2 * WINDOW))
def test_the_window_against_a_set(counters: list[int], seen_up_to: int) -> None:
    window, seen, highest = ReplayWindow(seen_up_to), set(range(seen_up_to + 1)), seen_up_to
    for number in counters:
        expected = Drop.REPLAYED if number in seen else None
        if highest - number >= WINDOW:
            expected = Drop.STALE
        found = None
        try:
            window.check(number)
            window.mark(number)
        except PacketError as error:
            found = error.drop
        assert found is expected
        if found is None:
            seen.add(number)
            highest = max(highest, number)


def test_a_leap_costs_no_more_than_the_window() -> None:
    window = ReplayWindow(0)
    tracemalloc.start()
    window.mark((1 << 24) - 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000
    window.check((1 << 24) - 2)


def test_any_order_once() -> None:
    """Every order of five packets is delivered, each packet once."""
    transmitter = sender()
    packets = [transmitter.protect(space_packet(bytes([n]))) for n in range(5)]
    for order in permutations(range(5)):
        end = receiver(margin=100)
        for n in order:
            assert opened(end, packets[n]).packet == space_packet(bytes([n]))
        assert {dropped(end, packets[n]) for n in order} == {Drop.REPLAYED}


def test_the_edges_of_the_window() -> None:
    transmitter, end = sender(), receiver(margin=5000)
    packets = [transmitter.protect(PLAIN) for _ in range(WINDOW + 2)]
    assert counter(packets[-1]) == WINDOW + 1
    opened(end, packets[-1])
    assert dropped(end, packets[0]) is Drop.STALE
    assert dropped(end, packets[1]) is Drop.STALE
    assert opened(end, packets[2]).packet == PLAIN
    assert dropped(end, packets[2]) is Drop.REPLAYED
    assert dropped(end, packets[-1]) is Drop.REPLAYED


def test_a_forged_counter_does_not_move_the_window() -> None:
    transmitter, end = sender(), receiver(margin=5000)
    packets = [transmitter.protect(PLAIN) for _ in range(3)]
    opened(end, packets[0])
    forged = packets[1][:17] + b"\xff\xff\xff" + packets[1][20:]
    assert dropped(end, forged) is Drop.MAC_MISMATCH
    assert [opened(end, packet).packet for packet in packets[1:]] == [PLAIN, PLAIN]


def test_keys_have_windows_of_their_own() -> None:
    stations, commanders = sender(key=STATION), sender(key=COMMANDER)
    end = receiver()
    for transmitter in (stations, commanders):
        packet = transmitter.protect(PLAIN)
        assert counter(packet) == 0
        assert opened(end, packet).packet == PLAIN


# --- epochs


def test_a_new_epoch_closes_the_old_one() -> None:
    old = sender()
    end = receiver()
    opened(end, old.protect(PLAIN))
    late = old.protect(PLAIN)
    new = sender(save(old))
    packet = new.protect(PLAIN)
    assert epoch_number(packet) > epoch_number(late)
    assert counter(packet) == 0
    assert opened(end, packet).packet == PLAIN
    assert dropped(end, late) is Drop.OLD_EPOCH


def test_only_one_epoch_of_a_number() -> None:
    random = randomness()
    first, second = sender(random=random), sender(random=random)
    end = receiver()
    packet, other = first.protect(PLAIN), second.protect(PLAIN)
    assert epoch_number(packet) == epoch_number(other) == int(CLOCK)
    assert packet[12:17] != other[12:17]
    opened(end, packet)
    assert dropped(end, other) is Drop.OLD_EPOCH


def test_a_forged_epoch_does_not_move_the_receiver() -> None:
    transmitter, end = sender(), receiver()
    opened(end, transmitter.protect(PLAIN))
    packet = transmitter.protect(PLAIN)
    for number in (epoch_number(packet) + 1, (1 << 32) - 1):
        forged = packet[:8] + number.to_bytes(4, "big") + packet[12:]
        assert dropped(end, forged) is Drop.MAC_MISMATCH
    assert opened(end, packet).packet == PLAIN


def test_the_number_follows_clock_and_state() -> None:
    first = sender(clock=1000.9)
    assert epoch_number(first.protect(PLAIN)) == 1000
    state = save(first)  # covers 1001 too
    set_back = sender(state, clock=3)
    assert epoch_number(set_back.protect(PLAIN)) == 1002
    assert epoch_number(sender(save(set_back), clock=5000).protect(PLAIN)) == 5000


def test_epochs_roll_without_a_pause() -> None:
    transmitter, end = sender(counters=3), receiver(margin=10)
    packets = [transmitter.protect(PLAIN) for _ in range(6)]
    assert [counter(p) for p in packets] == [0, 1, 2, 0, 1, 2]
    assert [epoch_number(p) - int(CLOCK) for p in packets] == [0, 0, 0, 1, 1, 1]
    assert len({p[8:17] for p in packets}) == 2
    assert [opened(end, p).packet for p in packets] == [PLAIN] * 6
    assert transmitter.needs_save
    with pytest.raises(StateNotSaved):  # the third number is not covered
        transmitter.protect(PLAIN)
    save(transmitter)
    packet = transmitter.protect(PLAIN)
    assert (epoch_number(packet) - int(CLOCK), counter(packet)) == (2, 0)
    assert opened(end, packet).packet == PLAIN


def test_epoch_numbers_end() -> None:
    last = (1 << 32) - 1
    transmitter = sender(clock=last - 1, counters=1)
    assert epoch_number(transmitter.protect(PLAIN)) == last - 1
    assert epoch_number(transmitter.protect(PLAIN)) == last
    assert not transmitter.needs_save
    for _ in range(2):
        with pytest.raises(ValueError, match="all epoch numbers are used"):
            transmitter.protect(PLAIN)
    with pytest.raises(ValueError, match="all epoch numbers are used"):
        sender(save(transmitter))


# --- generations


def test_a_ratchet_erases_the_key_before() -> None:
    transmitter, end = sender(), receiver(margin=9)
    opened(end, transmitter.protect(PLAIN))
    late = transmitter.protect(PLAIN)
    transmitter.ratchet()
    save(transmitter)
    packet = transmitter.protect(PLAIN)
    assert (spi(packet), counter(packet)) == (STATION.key_id << 4 | 1, 2)
    assert opened(end, packet).packet == PLAIN
    assert dropped(end, late) is Drop.KEY_ERASED
    assert dropped(end, packet) is Drop.REPLAYED


@pytest.mark.parametrize("lost", range(1, 16))
def test_lost_generations(lost: int) -> None:
    """Whatever was lost meanwhile, up to seven generations are followed at once."""
    transmitter, end = sender(), receiver(margin=9)
    opened(end, transmitter.protect(PLAIN))
    for _ in range(lost):
        transmitter.ratchet()
        save(transmitter)
        packet = transmitter.protect(PLAIN)
    if lost <= 7:
        assert opened(end, packet).packet == PLAIN
    else:
        assert dropped(end, packet) is Drop.KEY_ERASED


def test_sixteen_generations_on_the_wire_looks_like_none() -> None:
    transmitter, end = sender(), receiver()
    for _ in range(16):
        transmitter.ratchet()
    save(transmitter)
    assert dropped(end, transmitter.protect(PLAIN)) is Drop.MAC_MISMATCH


def test_generations_go_round() -> None:
    transmitter, end = sender(), receiver(margin=9)
    recorded = []
    for _ in range(40):
        packet = transmitter.protect(PLAIN)
        assert opened(end, packet).packet == PLAIN
        recorded.append(packet)
        transmitter.ratchet()
        save(transmitter)
    reasons = [dropped(end, packet) for packet in recorded]
    # Behind by 1..8 modulo 16 is gone; by 9..15 it might be 7..1 ahead, but the counter was seen.
    assert reasons[-9:] == [Drop.KEY_ERASED] * 8 + [Drop.REPLAYED]
    assert set(reasons) == {Drop.KEY_ERASED, Drop.REPLAYED}


def test_a_forged_generation_does_not_move_the_receiver() -> None:
    transmitter, end = sender(), receiver()
    opened(end, transmitter.protect(PLAIN))
    packet = transmitter.protect(PLAIN)
    for ahead in range(1, 16):
        forged = packet[:6] + (spi(packet) + ahead).to_bytes(2, "big") + packet[8:]
        assert dropped(end, forged) is (Drop.MAC_MISMATCH if ahead <= 7 else Drop.KEY_ERASED)
    assert opened(end, packet).packet == PLAIN


def test_a_generation_and_an_epoch_at_once() -> None:
    transmitter, end = sender(), receiver()
    opened(end, transmitter.protect(PLAIN))
    late = transmitter.protect(PLAIN)
    transmitter.ratchet()
    restarted = sender(save(transmitter))
    packet = restarted.protect(PLAIN)
    assert opened(end, packet).packet == PLAIN
    assert dropped(end, late) is Drop.KEY_ERASED
    # An earlier epoch is refused under a later generation too, before any key is derived.
    transmitter.ratchet()
    save(transmitter)
    assert dropped(end, transmitter.protect(PLAIN)) is Drop.OLD_EPOCH


# --- several keys


def test_selecting_a_key() -> None:
    transmitter, end = sender(key=STATION), receiver()
    found = [opened(end, transmitter.protect(PLAIN)).role]
    for key in (HOLDER, COMMANDER, STATION):
        transmitter.select(key.key_id)
        save(transmitter)
        found.append(opened(end, transmitter.protect(PLAIN)).role)
    assert found == [STATION.role, HOLDER.role, COMMANDER.role, STATION.role]
    restarted = sender(save(transmitter))
    assert spi(restarted.protect(PLAIN)) == STATION.key_id << 4


def test_a_ratchet_moves_the_selected_key_alone() -> None:
    transmitter = sender(key=STATION)
    transmitter.ratchet()
    transmitter.select(HOLDER.key_id)
    save(transmitter)
    assert spi(transmitter.protect(PLAIN)) == HOLDER.key_id << 4
    transmitter.select(STATION.key_id)
    save(transmitter)
    assert spi(transmitter.protect(PLAIN)) == STATION.key_id << 4 | 1


def test_following_a_generation() -> None:
    transmitter, end = sender(key=STATION), receiver(margin=9)
    transmitter.follow(STATION.key_id, 3)
    with pytest.raises(StateNotSaved):
        transmitter.protect(PLAIN)
    save(transmitter)
    assert spi(transmitter.protect(PLAIN)) == STATION.key_id << 4 | 3
    for key, generation in ((STATION, 3), (STATION, 2), (STATION, 0), (0x700, 5)):
        transmitter.follow(getattr(key, "key_id", key), generation)
        assert not transmitter.needs_save
    transmitter.follow(HOLDER.key_id, 2)
    assert [transmitter.generation(key.key_id) for key in KEYS] == [0, 3, 2]
    assert transmitter.generation(0x700) is None
    save(transmitter)
    opened(end, transmitter.protect(PLAIN))
    assert [end.generation(key.key_id) for key in KEYS] == [0, 3, 0]
    assert end.generation(0x700) is None


def test_a_retired_key_is_unknown_for_good() -> None:
    transmitter, end = sender(key=STATION), receiver(margin=9)
    packets = [transmitter.protect(PLAIN) for _ in range(2)]
    assert opened(end, packets[0]).packet == PLAIN
    end.retire(STATION.key_id)
    assert end.needs_save
    assert dropped(end, packets[1]) is Drop.UNKNOWN_KEY
    state = save(end)
    assert not end.needs_save
    assert STATION.chain(Direction.DOWN).key not in state
    again = receiver(state)
    assert dropped(again, packets[1]) is Drop.UNKNOWN_KEY
    assert again.roles == {key.key_id: key.role for key in (COMMANDER, HOLDER)}
    transmitter.select(HOLDER.key_id)
    transmitter.retire(STATION.key_id)
    with pytest.raises(StateNotSaved):
        transmitter.protect(PLAIN)
    assert STATION.chain(Direction.DOWN).key not in save(transmitter)
    assert transmitter.key_ids == [COMMANDER.key_id, HOLDER.key_id]
    assert opened(again, transmitter.protect(PLAIN)).key_id == HOLDER.key_id


def test_what_cannot_be_retired() -> None:
    transmitter, end = sender(key=STATION), receiver()
    with pytest.raises(ValueError, match="key id 292 is in use"):
        transmitter.retire(STATION.key_id)
    for one in (transmitter, end):
        with pytest.raises(ValueError, match="key id 7 is not one of the keys"):
            one.retire(7)
        one.retire(HOLDER.key_id)
        one.retire(COMMANDER.key_id)
    with pytest.raises(ValueError, match="key id 292 is the only key"):
        end.retire(STATION.key_id)
    with pytest.raises(ValueError, match="in use"):
        transmitter.retire(STATION.key_id)
    save(end)
    save(transmitter)
    assert opened(end, transmitter.protect(PLAIN)).packet == PLAIN


def test_a_key_retired_while_a_state_is_being_stored() -> None:
    end = receiver()
    state = end.state()
    end.retire(HOLDER.key_id)
    end.saved(state)
    assert end.needs_save
    save(end)
    assert not end.needs_save


def test_selecting_what_is_not_there() -> None:
    transmitter = sender()
    with pytest.raises(ValueError, match="key id 7 "):
        transmitter.select(7)
    assert opened(receiver(), transmitter.protect(PLAIN)).key_id == STATION.key_id

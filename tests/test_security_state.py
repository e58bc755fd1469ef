"""The durable state: nothing is sent or delivered that it does not cover, and none is made up.

Proves that each end stops until its state is saved, what a start from a saved state takes as seen,
and that a missing, damaged or foreign state is refused with the way out.
"""

from __future__ import annotations

import hashlib
import re

import pytest

from occulta.link.drops import Drop
from occulta.link.security import (
    Direction,
    LinkKey,
    Receiver,
    Role,
    Sender,
    StateNotSaved,
    StateUnusable,
    initialise_receiver,
    initialise_sender,
)
from occulta.link.security.state import ReceiverState, SenderState, decode
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
)

pytestmark = pytest.mark.arm64

PLAIN = space_packet(b"data")

# --- the sender


def refuses_to_send(end: Sender) -> bool:
    try:
        end.protect(PLAIN)
    except StateNotSaved:
        return True
    return False


def test_nothing_is_sent_before_the_start_is_saved() -> None:
    end = sender(saved=False)
    assert end.needs_save and refuses_to_send(end)
    state = end.state()
    assert refuses_to_send(end)  # fetching is not saving
    end.saved(state)
    assert not end.needs_save and not refuses_to_send(end)


@pytest.mark.parametrize("change", [
    lambda end: end.ratchet(), lambda end: end.select(HOLDER.key_id),
])
def test_nothing_is_sent_under_keys_that_are_not_saved(change) -> None:
    end = sender()
    before = save(end)
    change(end)
    assert end.needs_save and refuses_to_send(end)
    end.saved(before)  # handed out before the change: it does not cover it
    assert end.needs_save and refuses_to_send(end)
    save(end)
    assert not end.needs_save and counter(end.protect(PLAIN)) == 0


def test_selecting_the_selected_key_changes_nothing() -> None:
    end = sender()
    end.select(STATION.key_id)
    assert not end.needs_save and not refuses_to_send(end)


def test_the_next_epoch_is_asked_for_a_whole_epoch_early() -> None:
    end = sender(counters=2)
    assert [end.needs_save for _ in range(2) if end.protect(PLAIN)] == [False, False]
    assert [end.needs_save for _ in range(2) if end.protect(PLAIN)] == [True, True]
    save(end)
    assert [end.needs_save for _ in range(2) if end.protect(PLAIN)] == [True, True]


def test_a_start_after_an_epoch_that_was_reserved_but_not_saved_again() -> None:
    end = sender(counters=1, clock=50)
    state = save(end)
    used = [epoch_number(end.protect(PLAIN)) for _ in range(2)]
    assert used == [50, 51]
    assert epoch_number(sender(state, clock=50).protect(PLAIN)) == 52


@pytest.mark.parametrize("end", [sender(saved=False), receiver()])
def test_only_the_last_state_handed_out_can_be_confirmed(end: Sender | Receiver) -> None:
    with pytest.raises(ValueError, match="handed out last"):
        end.saved(b"")
    state = end.state()
    for other in (state[:-1], state + b"\0", b""):
        with pytest.raises(ValueError, match="handed out last"):
            end.saved(other)
    end.saved(state)


def test_a_state_overtaken_by_another_is_not_confirmed() -> None:
    end = sender()
    overtaken = end.state()
    end.ratchet()
    end.state()
    with pytest.raises(ValueError, match="handed out last"):
        end.saved(overtaken)
    assert refuses_to_send(end)


@pytest.mark.parametrize(("wrong", "match"), [
    ({"clock": -1}, "clock"), ({"clock": float("nan")}, "clock"), ({"clock": 2.0**32}, "clock"),
    ({"clock": float("inf")}, "clock"), ({"counters": 0}, "packets"),
    ({"counters": (1 << 24) + 1}, "packets"), ({"random": lambda size: bytes(size - 1)}, "random"),
])
def test_misuse_of_a_sender(wrong: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        sender(**wrong)


# --- the receiver


def held_back(end: Receiver, packet: bytes) -> bool:
    try:
        end.open(packet)
    except StateNotSaved:
        return True
    return False


def test_without_a_margin_every_packet_is_durable_before_it_is_delivered() -> None:
    transmitter, end = sender(), receiver(margin=0)
    for _ in range(3):
        packet = transmitter.protect(PLAIN)
        assert held_back(end, packet) and held_back(end, packet) and end.needs_save
        state = end.state()
        assert held_back(end, packet)  # fetching is not saving
        end.saved(state)
        assert not end.needs_save
        assert end.open(packet).packet == PLAIN
        assert dropped(end, packet) is Drop.REPLAYED
        assert dropped(receiver(state), packet) is Drop.REPLAYED


def test_a_margin_is_asked_for_in_time() -> None:
    """Who saves when asked to is never held back after the first packet."""
    transmitter, end = sender(), receiver(margin=10)
    opened(end, transmitter.protect(PLAIN))
    saves = 0
    for _ in range(100):
        assert not held_back(end, transmitter.protect(PLAIN))
        if end.needs_save:
            save(end)
            saves += 1
    assert saves == 100 // 6


def test_a_margin_runs_out() -> None:
    transmitter, end = sender(), receiver(margin=10)
    opened(end, transmitter.protect(PLAIN))
    held = [held_back(end, transmitter.protect(PLAIN)) for _ in range(14)]
    assert held == [False] * 10 + [True] * 4


def test_after_a_crash_everything_up_to_the_ceiling_counts_as_seen() -> None:
    transmitter, end = sender(), receiver(margin=4)
    packets = [transmitter.protect(PLAIN) for _ in range(6)]
    with pytest.raises(StateNotSaved):
        end.open(packets[0])
    state = save(end)
    for packet in packets[:2]:
        end.open(packet)
    after = receiver(state, margin=4)
    assert [dropped(after, packet) for packet in packets[:5]] == [Drop.REPLAYED] * 5
    assert not after.needs_save  # starting alone uses nothing up
    assert opened(after, packets[5]).packet == PLAIN


def test_a_new_epoch_is_durable_before_its_first_packet_is_delivered() -> None:
    old = sender()
    end = receiver(margin=100)
    first = old.protect(PLAIN)
    opened(end, first)
    before = save(end)
    packet = sender(save(old)).protect(PLAIN)
    assert held_back(end, packet)
    # After a crash at this point the old epoch goes on, and the packet has not been delivered.
    again = receiver(before, margin=100)
    assert dropped(again, first) is Drop.REPLAYED
    assert held_back(again, packet)
    after = save(end)
    end.open(packet)
    assert dropped(receiver(after), packet) is Drop.REPLAYED
    assert dropped(receiver(after), first) is Drop.OLD_EPOCH


def test_a_new_generation_is_durable_before_its_first_packet_is_delivered() -> None:
    transmitter, end = sender(), receiver(margin=100)
    opened(end, transmitter.protect(PLAIN))
    transmitter.ratchet()
    save(transmitter)
    packet = transmitter.protect(PLAIN)
    assert held_back(end, packet)  # its counter is covered, its generation is not
    save(end)
    assert end.open(packet).packet == PLAIN


def test_a_state_fetched_before_an_epoch_does_not_cover_it() -> None:
    transmitter, end = sender(counters=1), receiver(margin=100)
    opened(end, transmitter.protect(PLAIN))
    state = end.state()
    packet = transmitter.protect(PLAIN)
    assert held_back(end, packet)
    end.saved(state)
    assert end.needs_save and held_back(end, packet)
    save(end)
    assert end.open(packet).packet == PLAIN


def test_a_state_fetched_before_a_packet_covers_only_what_it_says() -> None:
    transmitter, end = sender(), receiver(margin=4)
    opened(end, transmitter.protect(PLAIN))
    state = end.state()  # up to counter 4
    for _ in range(3):
        end.open(transmitter.protect(PLAIN))
    assert end.needs_save  # up to counter 7, since the third
    end.saved(state)
    assert end.needs_save
    end.open(transmitter.protect(PLAIN))
    assert held_back(end, transmitter.protect(PLAIN))


def test_the_ceiling_ends_with_the_counters() -> None:
    """At the end of an epoch there is nothing more to reserve, so nothing is asked for."""
    end = receiver(margin=(1 << 24) - 1)
    transmitter = sender()
    opened(end, transmitter.protect(PLAIN))
    transmitter._counter = (1 << 24) - 2
    for _ in range(2):
        opened(end, transmitter.protect(PLAIN))
        assert not end.needs_save
    assert counter(transmitter.protect(PLAIN)) == 0


def test_initialised_anew_epochs_up_to_a_number_are_refused() -> None:
    old = sender(clock=1000, counters=1)
    packets = [old.protect(PLAIN) for _ in range(2)]
    state = initialise_receiver(KEYS, Direction.DOWN, newer_than=1000)
    end = receiver(state)
    assert dropped(end, packets[0]) is Drop.OLD_EPOCH
    # Were the random part the one that stands in for it, all its counters would be used up.
    assert dropped(end, sender(clock=1000, random=bytes).protect(PLAIN)) is Drop.STALE
    assert opened(end, packets[1]).packet == PLAIN


@pytest.mark.parametrize("margin", [-1, 1 << 24])
def test_impossible_margins(margin: int) -> None:
    with pytest.raises(ValueError, match="margin"):
        receiver(margin=margin)


# --- making, keeping and losing a state

STATES = {
    Sender: initialise_sender(KEYS, Direction.DOWN, STATION.key_id),
    Receiver: initialise_receiver(KEYS, Direction.DOWN),
}


def start(kind: type, state: bytes | None, direction: Direction = Direction.DOWN) -> object:
    if kind is Sender:
        return Sender(state, direction, clock=CLOCK, random=randomness())
    return Receiver(state, direction, 0)


@pytest.mark.parametrize("kind", [Sender, Receiver])
class TestUnusable:
    def why(self, kind: type, state: bytes | None, direction: Direction = Direction.DOWN) -> str:
        with pytest.raises(StateUnusable) as caught:
            start(kind, state, direction)
        pattern = r"the link security state (.*): see --initialise in docs/security.md"
        return re.fullmatch(pattern, str(caught.value))[1]

    def test_missing(self, kind: type) -> None:
        assert self.why(kind, None) == "is missing"

    def test_every_flipped_bit(self, kind: type) -> None:
        for bit in range(8 * len(STATES[kind])):
            changed = bytearray(STATES[kind])
            changed[bit >> 3] ^= 1 << (bit & 7)
            expected = "is damaged (its checksum differs)"
            if bit < 32:
                expected = "is damaged (it does not start like one)"
            elif bit < 40:
                expected = f"has the unknown version {changed[4]}"
            assert self.why(kind, bytes(changed)) == expected

    def test_every_truncation(self, kind: type) -> None:
        for size in range(len(STATES[kind])):
            assert self.why(kind, STATES[kind][:size]).startswith("is damaged")

    def test_too_long(self, kind: type) -> None:
        assert self.why(kind, bytes((1 << 20) + 1)) == "is damaged (1048577 octets)"

    def test_another_direction(self, kind: type) -> None:
        assert self.why(kind, STATES[kind], Direction.UP) == "belongs to the direction DOWN"

    def test_of_the_other_kind(self, kind: type) -> None:
        other = STATES[Receiver if kind is Sender else Sender]
        assert self.why(kind, other).startswith(f"is no {kind.__name__}State (Invalid value")

    @pytest.mark.parametrize(("old", "new"), [
        (bytes([0xCD, 0x01, 0x24]), bytes([0xCD, 0x01, 0x23])),  # one key id twice
        (bytes([0xCD, 0x01, 0x24]), bytes([0xCD, 0x10, 0x00])),  # a key id too large
        (bytes([0xC4, 0x20]), bytes([0xC4, 0x1F])),  # a key too short
        (b"direction\x00", b"direction\x07"),
    ])
    def test_impossible_content(self, kind: type, old: bytes, new: bytes) -> None:
        body = STATES[kind][37:]
        assert old in body
        changed = body.replace(old, new)
        state = STATES[kind][:5] + hashlib.sha256(changed).digest() + changed
        assert self.why(kind, state).startswith(f"is no {kind.__name__}State (")


def test_the_link_key_is_not_kept() -> None:
    for state in (*STATES.values(), save(sender()), save(receiver())):
        assert not any(key.raw in state for key in KEYS)


def test_a_ratchet_leaves_no_earlier_key_in_either_state() -> None:
    transmitter, end = sender(), receiver()
    old = STATION.chain(Direction.DOWN).key
    opened(end, transmitter.protect(PLAIN))
    assert old in transmitter.state() and old in end.state()
    transmitter.ratchet()
    save(transmitter)
    opened(end, transmitter.protect(PLAIN))
    assert old not in transmitter.state() and old not in end.state()


def test_every_key_id_at_once() -> None:
    keys = [LinkKey(n, Role.HOLDER, n.to_bytes(32, "big")) for n in range(4096)]
    assert len(initialise_sender(keys, Direction.UP, 4095)) < 1 << 19
    assert len(initialise_receiver(keys, Direction.UP)) < 1 << 20


@pytest.mark.parametrize("keys", [(), (STATION, STATION), (COMMANDER, STATION, COMMANDER)])
def test_keys_that_make_no_state(keys: tuple[LinkKey, ...]) -> None:
    with pytest.raises(ValueError, match="every key id once"):
        initialise_sender(keys, Direction.UP, STATION.key_id)
    with pytest.raises(ValueError, match="every key id once"):
        initialise_receiver(keys, Direction.UP)


def test_misuse_of_initialisation() -> None:
    with pytest.raises(ValueError, match="key id 9 "):
        initialise_sender(KEYS, Direction.UP, 9)
    for number in (-1, 1 << 32):
        with pytest.raises(ValueError, match="epoch number"):
            initialise_receiver(KEYS, Direction.UP, newer_than=number)


@pytest.mark.parametrize("state", [
    decode(STATES[Sender], SenderState, Direction.DOWN),
    decode(STATES[Receiver], ReceiverState, Direction.DOWN),
])
def test_states_do_not_show_their_secrets(state: SenderState | ReceiverState) -> None:
    assert "Chain(key_id=292, generation=0)" in repr(state)
    assert not any(repr(key.chain(Direction.DOWN).key)[2:12] in repr(state) for key in KEYS)

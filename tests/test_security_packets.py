"""Protected packets, octet by octet: what is sent opens once, and nothing else opens.

Proves the format against one built by hand from the standard library's HMAC, the reason for every
damaged octet and length, and that roles are those of the keys.
"""

from __future__ import annotations

import hashlib
import hmac

import pytest
from Crypto.Cipher import AES
from hypothesis import given
from hypothesis import strategies as st

from occulta.link.drops import Drop, PacketError
from occulta.link.security import (
    MAX_PLAIN_SIZE,
    OVERHEAD,
    Direction,
    LinkKey,
    Opened,
    Receiver,
    Role,
    Sender,
    StateNotSaved,
    authorise,
    initialise_receiver,
    initialise_sender,
)
from tests.security_support import (
    COMMANDER,
    HOLDER,
    KEYS,
    STATION,
    dropped,
    opened,
    receiver,
    save,
    sender,
    space_packet,
)

pytestmark = pytest.mark.arm64

SMALL = space_packet(b"data")


def hkdf(key: bytes, info: bytes, salt: bytes = bytes(32)) -> bytes:
    """RFC 5869, SHA-256, one block."""
    extracted = hmac.digest(salt, key, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def by_hand(key: LinkKey, direction: int, generation: int, iv: bytes, plain: bytes) -> bytes:
    """The protected packet, from the documented format alone."""
    chain = hkdf(key.raw, b"occulta link chain" + bytes([direction, *divmod(key.key_id, 256)]))
    for _ in range(generation):
        chain = hkdf(chain, b"occulta link ratchet")
    spi = (key.key_id * 16 + generation % 16).to_bytes(2, "big")
    traffic = hkdf(chain, b"occulta link traffic" + bytes([direction]) + spi, iv[:9])
    header = plain[:4] + (len(plain) + 30 - 7).to_bytes(2, "big")
    cipher = AES.new(traffic, AES.MODE_GCM, nonce=iv)
    cipher.update(header + spi)
    text, mac = cipher.encrypt_and_digest(plain[6:])
    return header + spi + iv + text + mac


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("generation", [0, 1, 17])
def test_the_format_is_the_documented_one(
    direction: Direction, key: LinkKey, generation: int
) -> None:
    state = initialise_sender(KEYS, direction, key.key_id)
    end = Sender(state, direction, clock=77, random=lambda size: b"\xa5" * size)
    for _ in range(generation):
        end.ratchet()
    save(end)
    iv = bytes([0, 0, 0, 77]) + b"\xa5" * 5 + bytes([0, 0, 0])
    assert end.protect(SMALL) == by_hand(key, direction, generation, iv, SMALL)
    after = iv[:-1] + b"\x01"
    assert end.protect(SMALL) == by_hand(key, direction, generation, after, SMALL)


def test_known_answers() -> None:
    """Fixed keys and randomness give the same octets on every machine."""
    end = sender(random=lambda size: bytes(range(size)), clock=0x01020304)
    assert end.protect(SMALL).hex() == (
        "0042c00500211240010203040001020304000000fb348fa697bcd6ae88a8c576e1e66d2fee72cdf6"
    )
    end.ratchet()
    end.select(COMMANDER.key_id)
    save(end)
    digest = hashlib.sha256()
    for size in (1, 15, 16, 17, 1024, 8192, MAX_PLAIN_SIZE - 6):
        digest.update(end.protect(space_packet(bytes(n & 255 for n in range(size)))))
    assert digest.hexdigest() == (
        "531af8896c12877789e34348bb0936afdf694d0300d8a9392642aea8e5edde9b"
    )


@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 1000, 8192, MAX_PLAIN_SIZE - 6])
def test_round_trip(size: int) -> None:
    plain = space_packet(bytes(n & 255 for n in range(size)))
    protected = sender().protect(plain)
    assert len(protected) == len(plain) + OVERHEAD
    assert int.from_bytes(protected[4:6], "big") + 7 == len(protected)
    assert protected[:4] == plain[:4]
    assert opened(receiver(), protected) == Opened(plain, STATION.key_id, Role.STATION)


def test_the_longest_packet_is_the_longest_space_packet() -> None:
    assert len(sender().protect(space_packet(bytes(MAX_PLAIN_SIZE - 6)))) == 65542


@pytest.mark.parametrize("packet", [
    b"", SMALL[:6], bytes.fromhex("0042c005ffff"), SMALL + b"\0", SMALL[:-1],
    space_packet(bytes(MAX_PLAIN_SIZE - 5)),
])
def test_what_is_no_space_packet_is_not_protected(packet: bytes) -> None:
    end = sender()
    with pytest.raises(ValueError, match="packet") as caught:
        end.protect(packet)
    assert not isinstance(caught.value, StateNotSaved)
    assert end.protect(SMALL)[17:20] == bytes(3)  # no counter was used up


def expected_of_flip(bit: int) -> Drop:
    """Bit 0 is the first of the packet; its key id is 0x124, its generation 0."""
    if 32 <= bit < 48:
        return Drop.PACKET_LENGTH
    if 48 <= bit < 60:
        # The other keys' ids differ in three bits or more.
        return Drop.UNKNOWN_KEY
    if bit == 60:
        return Drop.KEY_ERASED
    return Drop.MAC_MISMATCH


def test_every_flipped_bit_is_noticed() -> None:
    transmitter, end = sender(clock=0), receiver()
    opened(end, transmitter.protect(SMALL))
    protected = transmitter.protect(SMALL)
    # Epoch number and counter are 1: their last bits make them 0, others higher; the epoch's
    # random part may not change at all.
    special = {**dict.fromkeys(range(95, 136), Drop.OLD_EPOCH), 159: Drop.REPLAYED}
    for bit in range(8 * len(protected)):
        changed = bytearray(protected)
        changed[bit >> 3] ^= 128 >> (bit & 7)
        assert dropped(end, bytes(changed)) is special.get(bit, expected_of_flip(bit)), bit
    assert opened(end, protected).packet == SMALL


def test_truncated_at_every_length() -> None:
    end, protected = receiver(), sender().protect(SMALL)
    for size in range(len(protected)):
        expected = Drop.PROTECTED_TRUNCATED if size < 37 else Drop.PACKET_LENGTH
        assert dropped(end, protected[:size]) is expected
        if size > 6:
            honest = protected[:4] + (size - 7).to_bytes(2, "big") + protected[6:size]
            expected = Drop.PROTECTED_TRUNCATED if size < 37 else Drop.MAC_MISMATCH
            assert dropped(end, honest) is expected
    assert opened(end, protected).packet == SMALL


@pytest.mark.parametrize("size", [1, 65542 - 40, 1 << 20])
def test_oversized(size: int) -> None:
    assert dropped(receiver(), sender().protect(SMALL) + bytes(size)) is Drop.PACKET_LENGTH


@given(st.binary(max_size=80))
def test_noise_is_dropped(noise: bytes) -> None:
    end = receiver()
    assert dropped(end, noise) in {Drop.PROTECTED_TRUNCATED, Drop.PACKET_LENGTH}
    if noise:
        drop = dropped(end, space_packet(noise))
        assert drop in {Drop.PROTECTED_TRUNCATED, Drop.UNKNOWN_KEY, Drop.KEY_ERASED,
                        Drop.MAC_MISMATCH, Drop.OLD_EPOCH}


def test_other_keys_and_directions() -> None:
    protected = sender(key=COMMANDER).protect(SMALL)
    unknown = Receiver(initialise_receiver([STATION], Direction.DOWN), Direction.DOWN, 0)
    assert dropped(unknown, protected) is Drop.UNKNOWN_KEY
    same_id = LinkKey(COMMANDER.key_id, Role.COMMANDER, bytes(32))
    wrong = Receiver(initialise_receiver([same_id], Direction.DOWN), Direction.DOWN, 0)
    assert dropped(wrong, protected) is Drop.MAC_MISMATCH
    # A satellite does not take its own packets, reflected, for a station's.
    up = Receiver(initialise_receiver(KEYS, Direction.UP), Direction.UP, 0)
    assert dropped(up, protected) is Drop.MAC_MISMATCH


def test_one_key_does_not_pass_for_another() -> None:
    protected = sender().protect(SMALL)
    moved = protected[:6] + (COMMANDER.key_id << 4).to_bytes(2, "big") + protected[8:]
    assert dropped(receiver(), moved) is Drop.MAC_MISMATCH


COMMANDS = {0x21, 0x7FF}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("apid", [0x20, 0x21, 0x7FF])
def test_roles(key: LinkKey, apid: int) -> None:
    # The bits beside the APID (version, type, secondary header) make no difference.
    packet = bytearray(space_packet(b"x", apid))
    packet[0] |= 0x18
    found = opened(receiver(), sender(key=key).protect(bytes(packet)))
    assert (found.key_id, found.role) == (key.key_id, key.role)
    if apid in COMMANDS and key is not COMMANDER:
        with pytest.raises(PacketError) as caught:
            authorise(found, COMMANDS)
        assert caught.value.drop is Drop.ROLE_NOT_ALLOWED
    else:
        authorise(found, COMMANDS)


def test_a_holder_commands_nothing_whatever_is_configured() -> None:
    for apid in range(1 << 11):
        with pytest.raises(PacketError) as caught:
            authorise(Opened(space_packet(b"x", apid), 1, Role.HOLDER), range(1 << 11))
        assert caught.value.drop is Drop.ROLE_NOT_ALLOWED


@pytest.mark.parametrize(("key_id", "raw"), [
    (-1, bytes(32)), (4096, bytes(32)), (1, bytes(31)), (1, bytes(33)), (1, b""),
])
def test_malformed_keys(key_id: int, raw: bytes) -> None:
    with pytest.raises(ValueError, match="key"):
        LinkKey(key_id, Role.STATION, raw)


def test_keys_do_not_show_their_secrets() -> None:
    for key in (*KEYS, HOLDER.chain(Direction.UP), HOLDER.chain(Direction.UP).ratcheted(1)):
        raw = key.raw if isinstance(key, LinkKey) else key.key
        assert repr(raw)[2:12] not in repr(key) and raw.hex() not in repr(key)
    assert repr(HOLDER) == "LinkKey(key_id=4095, role=<Role.HOLDER: 'holder'>)"
    assert repr(HOLDER.chain(Direction.UP)) == "Chain(key_id=4095, generation=0)"

"""What a captured satellite gives away: its disk, looked at again and again, and what it sent.

One mission: frames and private items go down, the link is cut so that the spool fills, and the
flight daemon is killed while it takes a frame and an item in. The ground node goes on.
"""

import hashlib
import os
import stat
import time
from datetime import UTC, datetime
from itertools import chain

import pytest
from zmq.utils import z85

from ground.outcome import read_report
from ground.product import ITEMS, product_folder
from occulta.codec.crypto import PrivateKey, SigningKey, VerifyingKey
from occulta.link.drops import Drop, PacketError
from occulta.link.security import Receiver, Role, Sender
from occulta.link.security.state import Progress, ReceiverState, SenderState, decode, encode
from occulta.link.security.wire import COUNTERS, EPOCH_SIZE, Protected
from occulta.program.keyfiles import read_key
from occulta.program.linkkeys import read_curve_secret
from sim.command import must
from tests.captured import DOWN, FORGER, SIZE, UP, Capture, Forger
from tests.cli import call
from tests.missions import GROUND, ONBOARD

GENERATIONS = 16
DAY = 86_400.0
AUTHENTIC, REVOKED = "intact, authentic", "intact, revoked signer"
OPEN_TO_OTHERS = (".yaml", ".pub", "health.json", "revocations")
"""Names of files that hold no secrets: their mode is the umask's."""


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    before = os.umask(0)  # the worst that an operator can do
    try:
        found = Capture(tmp_path_factory.mktemp("captured"))
        with found.mission as mission, found.tap:
            mission.launch(GROUND)
            mission.launch(ONBOARD)
            found.run()
            yield found
    finally:
        os.umask(before)


# --- what it does not give away


def test_nothing_private_was_on_its_disk_at_any_moment(capture):
    assert capture.looks.found == []
    assert capture.looks.number > 10
    seen = capture.looks.seen
    assert {"spool.db", "spool.db-wal", "health.json", "data", "manifest"} <= seen
    assert {"ground.sender", "ground.receiver", "onboard-1.log"} <= seen
    assert len([path for path in capture.at_rest if path.parent.name == "items"]) >= 2
    assert len([path for path in capture.at_rest if path.name == "data"]) >= 3


def test_the_search_finds_what_the_recipient_has(capture):
    """Otherwise that nothing was found would mean nothing."""
    archive = capture.mission.archive
    carrier = product_folder(archive, capture.product("frame-2").id.hex()) / "carrier.jpg"
    item = next((archive / ITEMS).glob("*/private-1.bin"))
    assert capture.secrets.are_in(carrier.read_bytes())
    assert capture.secrets.named_in(carrier.read_bytes()) == {"picture"}
    assert "private-1" in capture.secrets.named_in(b"x" + item.read_bytes()[100:])
    assert capture.secrets.named_in(capture.large[5000 : 5000 + SIZE]) == {"large"}
    assert not capture.secrets.are_in(capture.large[5000 : 5000 + SIZE - 1])


def opened(packet, direction, chain):
    protected = Protected.parse(packet)
    return protected.open(chain.traffic_key(direction, protected.epoch))


def test_nothing_private_is_in_the_recorded_traffic_not_even_decrypted(capture):
    """Not by the link's keys as they were made, whatever the satellite has of them by now."""
    decrypted = list(decrypted_traffic(capture))
    recorded = [packet for _, packet in capture.tap.packets]
    assert not any(capture.secrets.are_in(packet) for packet in recorded + decrypted)
    assert any(b"frame-1" in packet for packet in decrypted)
    assert not any(b"frame-1" in packet for packet in recorded)


def decrypted_traffic(capture):
    keys = {key.key_id: key for key in capture.link_keys}
    for direction, packet in list(capture.tap.packets):
        spi = Protected.parse(packet).spi
        first = keys[spi // GENERATIONS].chain(direction)
        yield opened(packet, direction, first.ratcheted(spi % GENERATIONS))


def test_not_even_a_digest_of_what_is_private_is_there(capture):
    """Whoever had one could try what the original may have been."""
    everything = b"\0".join([*capture.at_rest.values(), *decrypted_traffic(capture)])
    for original in capture.private.values():
        digest = hashlib.sha256(original).digest()
        assert digest not in everything
        assert digest.hex().encode() not in everything


def test_no_key_of_the_recipient_or_the_ground_is_on_its_disk_or_in_the_traffic(capture):
    ground, sim = capture.mission.folder / GROUND, capture.mission.folder / "sim"
    recipient = read_key(str(ground / "recipient.key"), PrivateKey).raw
    curve = [read_curve_secret(ground / "ground-curve.key"),
             read_curve_secret(sim / "relay-curve.key")]
    packets = [packet for _, packet in capture.tap.packets]
    everything = b"\0".join([*capture.at_rest.values(), *packets])
    for key in (recipient, *curve):
        for form in (key, key.hex().encode(), key.hex().upper().encode(), z85.encode(key)):
            assert form not in everything
    own = read_curve_secret(capture.mission.folder / ONBOARD / "satellite-curve.key")
    assert own.hex().encode() in everything


def test_every_secret_file_is_for_its_owner_alone_whatever_the_umask(capture):
    mission, checked = capture.mission, set()
    for path in chain(mission.folder.rglob("*"), mission.archive.rglob("*"), [mission.archive]):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            assert stat.S_IMODE(mode) == 0o700, path
        elif stat.S_ISREG(mode) and not path.name.endswith(OPEN_TO_OTHERS):
            assert stat.S_IMODE(mode) == 0o600, path
            checked.add(path.name)
    assert {
        "satellite.key", "satellite-curve.key", "link.keys", "recipient.key", "ground-curve.key",
        "relay-curve.key", "ground.sender", "ground.receiver", "satellite.sender",
        "satellite.receiver", "spool.db", "spool.db-wal", "data", "manifest", "record",
        "archive.db", "archive.db-wal", "items.db", "received.jpg", "received.sealed",
        "carrier.jpg", "private.bin", "private-1.bin", "report.json",
    } <= checked


# --- what it does give away


def test_it_gives_away_its_own_keys(capture):
    folder, ground = capture.mission.folder / ONBOARD, capture.mission.folder / GROUND
    signing = read_key(str(folder / "satellite.key"), SigningKey)
    assert signing.public == read_key(str(ground / "satellite.pub"), VerifyingKey)
    assert len(read_curve_secret(folder / "satellite-curve.key")) == 32
    assert set(capture.chains(DOWN)) == set(capture.chains(UP)) == {1, 2}


@pytest.mark.parametrize("direction", [DOWN, UP])
def test_it_gives_away_the_recorded_traffic_of_its_keys_generation(capture, direction):
    chains = capture.chains(direction)
    recorded = [packet for packet in capture.tap.recorded(direction)
                if Protected.parse(packet).spi in {chain.spi for chain in chains.values()}]
    assert recorded
    for packet in recorded:
        key_id = Protected.parse(packet).spi // GENERATIONS
        assert len(opened(packet, direction, chains[key_id])) < len(packet)


@pytest.mark.parametrize("direction", [DOWN, UP])
def test_its_state_opens_nothing_of_the_contact_before(capture, direction):
    """The keys moved on when the second contact began."""
    chains = capture.chains(direction)
    before = [packet for packet in capture.tap.recorded(direction)
              if Protected.parse(packet).spi not in {each.spi for each in chains.values()}]
    assert before
    assert_closed(before[:5], direction, chains)


def ratcheted(capture, direction):
    """The captured state as it is once the key in use has moved on by one generation."""
    if direction is DOWN:
        sender = Sender(capture.file("ground.sender"), DOWN, clock=0.0, random=os.urandom)
        sender.ratchet()
        return {chain.key_id: chain for chain in decode(sender.state(), SenderState, DOWN).chains}
    (path,) = (capture.mission.folder / GROUND).glob("state/links/*.sender")
    sender = Sender(path.read_bytes(), UP, clock=time.time(), random=os.urandom)
    sender.ratchet()
    sender.saved(sender.state())
    receiver = Receiver(capture.file("ground.receiver"), UP, 0)
    with pytest.raises(ValueError, match="save"):
        receiver.open(sender.protect(bytes.fromhex("1801c0000000") + b"x"))
    state = decode(receiver.state(), ReceiverState, UP)
    return {progress.chain.key_id: progress.chain for progress in state.keys}


@pytest.mark.parametrize("direction", [DOWN, UP])
def test_a_state_one_generation_on_opens_nothing_of_the_one_before(capture, direction):
    before, after = capture.chains(direction), ratcheted(capture, direction)
    (key_id,) = (number for number in before if before[number] != after[number])
    assert after[key_id].generation > before[key_id].generation
    recorded = [packet for packet in capture.tap.recorded(direction)
                if Protected.parse(packet).spi == before[key_id].spi]
    assert recorded
    progress = Progress(Role.COMMANDER, after[key_id], bytes(EPOCH_SIZE), COUNTERS - 1)
    state = encode(ReceiverState(direction, (progress,)))
    for packet in recorded:
        assert drop_of(lambda packet=packet: Receiver(state, direction, 0).open(packet)) is (
            Drop.KEY_ERASED
        )
    assert_closed(recorded[:5], direction, after)


def assert_closed(packets, direction, chains):
    """Not even for whoever tries every key that follows, whatever a packet says of its own."""
    for packet in packets:
        for steps in range(GENERATIONS):
            for key in [each.ratcheted(steps) for each in chains.values()]:
                assert drop_of(lambda p=packet, k=key: opened(p, direction, k)) is (
                    Drop.MAC_MISMATCH
                )


def drop_of(action):
    with pytest.raises(PacketError) as refused:
        action()
    return refused.value.drop


# --- what can be made of it, until it is revoked, and after


def told(capture, name):
    """What `show` and the report on the disk say of a product; they agree."""
    product, archive = capture.product(name).id.hex(), capture.mission.archive
    said = call("ground", "show", product, "--archive", archive, "--json").json
    assert said["report"] == read_report(product_folder(archive, product))
    return said


def listed(capture):
    """The time and the last words of each product's line in `list`, by name."""
    ran = call("ground", "list", "--archive", capture.mission.archive)
    lines = (line.split(maxsplit=5) for line in ran.out.decode().splitlines())
    return {words[4]: (words[1], words[5]) for words in lines}


def test_forged_products_count_until_the_key_is_revoked(capture, tmp_path_factory):
    mission = capture.mission
    with Forger(capture, tmp_path_factory.mktemp(FORGER)) as forger:
        early = forger.forge("forged-early")
        assert (early.authentic, early.verdict) == (True, AUTHENTIC)
        assert told(capture, "forged-early")["report"]["authentic"] is True
        since = capture.product("frame-2").created_at
        assert capture.product("frame-1").created_at < since < early.created_at

        revoke(mission, since)
        revoked = ["frame-2", "forged-early"]
        mission.until(lambda: {capture.product(name).verdict for name in revoked} == {REVOKED})
        for name in (*revoked, forger.forge("forged-late").frame_id):
            assert_counts(capture, name, False)
        assert_counts(capture, "frame-1", True)

        forger.set_clock(-DAY)
        forger.forge("forged-back")
    assert_counts(capture, "forged-back", True)
    assert_times_are_shown(capture, "forged-back")
    revoke(mission, 0.0)
    revoked += ["frame-1", "forged-back"]
    mission.until(lambda: {capture.product(name).verdict for name in revoked} == {REVOKED})
    assert_counts(capture, "forged-back", False)


def revoke(mission, since):
    key, config = mission.folder / GROUND / "satellite.pub", mission.file(GROUND)
    ran = must("ground", "revoke", str(key), "--since", repr(since), "--config", str(config),
               cwd=mission.folder)
    assert "a running node knows it within seconds" in ran.output


def assert_counts(capture, name, counts):
    verdict = AUTHENTIC if counts else REVOKED
    said = told(capture, name)
    for each in (said, said["report"]):
        assert (each["authentic"], each["revoked"]) == (counts, not counts), name
        assert each["verdict"] == verdict
    assert listed(capture)[name][1] == verdict


def assert_times_are_shown(capture, name):
    """The forger's time, and beside it the ground's own."""
    said = told(capture, name)
    for each in (said, said["report"]):
        assert DAY / 2 < each["received_at"] - each["created_at"] < 2 * DAY
    shown = datetime.fromtimestamp(said["received_at"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert listed(capture)[name][0] == shown

"""CFDP whatever the link does: the identical file or a stated failure, at both ends, in the end.

Proves, with loss below 60 %, reordering, duplication, any sizes of files, PDUs and contact
windows, both classes and several transactions at once, that every transaction ends, that nothing
but the identical file is published, at most once, and that who is told of success has it; that
Class 2 delivers where its limits allow; that damage makes no wrong file; and that octets from a
stranger disturb nobody.
"""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.link.cfdp import Limits, PutRequest, TransactionId
from occulta.link.cfdp.constants import ChecksumType, Condition, Delivery, Direction, Mode
from occulta.link.cfdp.decode import decode
from occulta.link.cfdp.events import Abandoned, TransactionFinished
from occulta.link.cfdp.pdu import Eof, FileData, Metadata
from occulta.link.drops import PacketError
from tests.cfdp_hostile import any_pdu, damaged
from tests.cfdp_world import DELAY, GROUND, SAT, Fate, MemorySource, Sent, World

EXAMPLES = settings(deadline=None, derandomize=True, database=None, max_examples=200)
DAY = 86_400.0
CHECKED = (ChecksumType.MODULAR, ChecksumType.CRC_32C, ChecksumType.CRC_32)
End = TransactionFinished | Abandoned


@dataclass(frozen=True)
class File:
    """A file to be sent: which way, how much, in which class."""

    source: int
    size: int
    seed: int
    mode: Mode
    closure: bool
    priority: int

    @property
    def target(self) -> int:
        return SAT + GROUND - self.source

    @property
    def data(self) -> bytes:
        return random.Random(self.seed).randbytes(self.size)


files = st.lists(
    st.builds(
        File, st.sampled_from([SAT, GROUND]),
        st.integers(0, 5000) | st.sampled_from([0, 1, 63, 64, 65]),
        st.integers(0, 99), st.sampled_from(Mode), st.booleans(), st.integers(-1, 1),
    ),
    min_size=1, max_size=4,
)
links = st.fixed_dictionaries({
    "max_pdu": st.integers(64, 1100),
    "entity_width": st.integers(1, 8),
    "sequence_width": st.integers(1, 8),
    "crc": st.booleans(),
    "checksum_type": st.sampled_from(CHECKED),
    "immediate_nak": st.booleans(),
    "nak_segments": st.integers(1, 58),
    "reorder_window": st.sampled_from([0.0, 0.05, 0.2, 3.0]),
    "keep_alive_interval": st.sampled_from([None, 1.0]),
})
QUIET = {"keep_alive_interval": None}
"""Phantom receivers would speak until they notice that nobody is there."""
delays = st.sampled_from([0.0, DELAY, 0.3, 7.0])
fates = st.lists(
    st.tuples(delays) | st.tuples(delays, delays) | st.just(()), min_size=1, max_size=25
).filter(lambda pattern: pattern.count(()) < 0.6 * len(pattern))


def repeating(pattern: list[tuple[float, ...]]) -> Fate:
    """PDU after PDU fares as the pattern says, over and over."""
    endless = iter(lambda: pattern, None)
    each = (fate for once in endless for fate in once)
    return lambda sent: next(each)


def chance(seed: int, loss: float, again: float = 0.1, late: float = 0.3) -> Fate:
    """Independent losses, duplicates and delays up to half a second."""
    rng = random.Random(seed)

    def fate(sent: Sent) -> Iterator[float]:
        if rng.random() >= loss:
            yield DELAY + late * rng.random()
            if rng.random() < again:
                yield DELAY + 3 * rng.random()

    return fate


class Recording:
    """A link that remembers which transactions reached their receivers."""

    def __init__(self, fate: Fate) -> None:
        self.fate = fate
        self.reached: set[TransactionId] = set()

    def __call__(self, sent: Sent) -> list[float]:
        found = list(self.fate(sent))
        begins = not isinstance(sent.body, Eof) or sent.body.condition is Condition.NO_ERROR
        if found and begins and sent.header.direction is Direction.TO_RECEIVER:
            self.reached.add(sent.header.transaction)
        return found


def put_all(world: World, wanted: list[File]) -> dict[TransactionId, File]:
    """Start every transfer; each file has a name of its own."""
    ids = {}
    for at, file in enumerate(wanted):
        name = f"file{at}"
        world.stores[file.source].sources[name] = MemorySource(file.data)
        request = PutRequest(file.target, name, name, file.mode, file.closure, file.priority)
        ids[world.entities[file.source].put(request, world.now)] = file
    return ids


def ends(world: World, entity: int, transaction: TransactionId) -> list[End]:
    """How an entity said that a transaction has ended."""
    return [
        event for event in world.events[entity]
        if event.transaction == transaction and isinstance(event, TransactionFinished | Abandoned)
    ]


def is_success(event: End) -> bool:
    return isinstance(event, TransactionFinished) and event.delivery is Delivery.COMPLETE


def run_to_the_end(world: World) -> None:
    """Nothing is left open or waiting, after a bounded time."""
    began = world.now
    world.run(steps=100_000)
    assert world.now < began + DAY
    for number, entity in world.entities.items():
        assert entity.transactions() == []
        assert entity.next_timer() is None
        assert world.stores[number].sinks == {}


def examine(world: World, ids: dict[TransactionId, File], reached: set[TransactionId]) -> None:
    """What must hold at the end of any transfer."""
    for at, (transaction, file) in enumerate(ids.items()):
        told = ends(world, file.source, transaction)
        heard = ends(world, file.target, transaction)
        published = world.stores[file.target].files.get(f"file{at}", [])
        assert told, "the sender never says how it ended"
        assert heard or transaction not in reached, "the receiver never says how it ended"
        assert published in ([], [file.data])
        assert any(map(is_success, heard)) == bool(published)
        assert published or not any(map(is_success, told))
        for found in (told, heard):
            assert Counter(map(type, found))[TransactionFinished] <= 1


@EXAMPLES
@given(files, links, fates, st.integers(0, 5000))
def test_any_pattern_of_faults(
    wanted: list[File], link: dict[str, object], pattern: list[tuple[float, ...]], room: int
) -> None:
    """Patterns that repeat may hit the same kind of PDU for ever: then it fails, and says so."""
    fate = Recording(repeating(pattern))
    world = World(fate, **link)
    world.window = int(str(link["max_pdu"])) + room
    ids = put_all(world, wanted)
    run_to_the_end(world)
    examine(world, ids, fate.reached)


@EXAMPLES
@given(files, links, st.integers(0, 1 << 32), st.floats(0, 0.59), st.integers(0, 5000))
def test_any_chance(
    wanted: list[File], link: dict[str, object], seed: int, loss: float, room: int
) -> None:
    """With limits that chance does not reach, Class 2 delivers every file, both ends knowing it."""
    fate = Recording(chance(seed, loss))
    world = World(fate, ack_limit=500, nak_limit=500, **link)
    world.window = int(str(link["max_pdu"])) + room
    ids = put_all(world, wanted)
    run_to_the_end(world)
    examine(world, ids, fate.reached)
    for transaction, file in ids.items():
        if file.mode is Mode.ACKNOWLEDGED:
            told = ends(world, file.source, transaction), ends(world, file.target, transaction)
            assert [[is_success(end) for end in found] for found in told] == [[True], [True]]


@EXAMPLES
@given(files, links, st.integers(0, 1 << 32))
def test_without_loss_everything_arrives(
    wanted: list[File], link: dict[str, object], seed: int
) -> None:
    """Class 1 too, however late and often: nothing overtakes by more than the check interval."""
    fate = Recording(chance(seed, 0.0, again=0.3))
    world = World(fate, **link)
    ids = put_all(world, wanted)
    run_to_the_end(world)
    examine(world, ids, fate.reached)
    for transaction, file in ids.items():
        assert any(map(is_success, ends(world, file.target, transaction)))
        if file.closure or file.mode is Mode.ACKNOWLEDGED:
            assert any(map(is_success, ends(world, file.source, transaction)))


# --- damage


class Damage:
    """A link that damages file data and EOF on their way; no PDU has a CRC to tell."""

    def __init__(self, seed: int, often: float) -> None:
        self.rng = random.Random(seed)
        self.often = often
        self.world: World

    def __call__(self, sent: Sent) -> list[float]:
        if not isinstance(sent.body, FileData | Eof) or self.rng.random() > self.often:
            return [DELAY]
        octets = bytearray(sent.pdu)
        if self.rng.random() < 0.5:  # what is said, not of what: a forgery that none can tell
            octets[-1 - self.rng.randrange(min(8, len(octets)))] ^= 1 << self.rng.randrange(8)
        else:
            octets = bytearray(damaged(self.rng, sent.pdu))
        self.world.entities[sent.target].receive(bytes(octets), self.world.now)
        return []


@EXAMPLES
@given(files, links, st.integers(0, 1 << 32), st.sampled_from([0.02, 0.2, 0.7]))
def test_damage_never_makes_a_wrong_file(
    wanted: list[File], link: dict[str, object], seed: int, often: float
) -> None:
    link |= {"crc": False, "checksum_type": ChecksumType(2 + seed % 2), **QUIET}
    fate = Damage(seed, often)
    world = fate.world = World(fate, **link)
    ids = put_all(world, wanted)
    run_to_the_end(world)
    examine(world, ids, set())


# --- strangers


class Noise:
    """A link on which octets of a stranger's arrive beside each PDU; none forge a real transfer."""

    def __init__(self, fate: Fate, seed: int) -> None:
        self.fate = fate
        self.rng = random.Random(seed)
        self.spared: set[TransactionId] = set()
        self.world: World
        self.left = 200
        """Answers to strangers are PDUs too: without an end they would go on for ever."""

    def __call__(self, sent: Sent) -> list[float]:
        for target in (SAT, GROUND):
            octets = self.invent(sent.pdu)
            if self.left > 0 and not self.forges(octets):
                self.left -= 1
                self.world.entities[target].receive(octets, self.world.now)
        return list(self.fate(sent))

    def invent(self, pdu: bytes) -> bytes:
        kind = self.rng.randrange(4)
        if kind == 0:
            return self.rng.randbytes(self.rng.randrange(60))
        if kind == 1:
            return any_pdu(self.rng, sequences=1 << 20)
        return damaged(self.rng, pdu)

    def forges(self, octets: bytes) -> bool:
        """True for what a receiver must take for a part of a real transfer, or for its file."""
        try:
            header, body = decode(octets)
        except PacketError:
            return False
        named = isinstance(body, Metadata) and body.destination_name.startswith("file")
        return named or header.transaction in self.spared


@settings(EXAMPLES, max_examples=60)
@given(files, links, st.integers(0, 1 << 32), st.sampled_from([0.0, 0.3]))
def test_strangers_disturb_nobody(
    wanted: list[File], link: dict[str, object], seed: int, loss: float
) -> None:
    wanted = [replace(file, mode=Mode.ACKNOWLEDGED) for file in wanted]
    link |= QUIET
    fate = Noise(chance(seed, loss), seed)
    limits = Limits(max_transactions=10_000)
    world = fate.world = World(fate, limits=limits, ack_limit=500, nak_limit=500, **link)
    ids = put_all(world, wanted)
    fate.spared = set(ids)
    run_to_the_end(world)
    examine(world, ids, set(ids))
    assert fate.left < 195
    for transaction, file in ids.items():
        assert any(map(is_success, ends(world, file.source, transaction)))

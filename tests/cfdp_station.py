"""A CFDP entity within narrow limits, and everything that can happen to it, as octets.

An act is what is done (`op & 15`), after how long (`op >> 4 & 3`), and the octets for it.
"""

from occulta.link.cfdp import ENTITY_KEY, Entity, Limits, PutRequest, Remote, TransactionId
from occulta.link.cfdp.constants import Direction, Mode, Response
from occulta.link.cfdp.pdu import Body, Header, encode
from occulta.link.cfdp.saved import SavedClosed, SavedReceiver, SavedSender, decode_saved
from tests.cfdp_world import MemorySource, MemoryStore

PEER, OWN = 1, 2
LIMITS = Limits(max_file_size=250, max_transactions=3, max_fragments=4, max_history=5)
PAUSES = (0.0, 0.01, 0.3, 20.0)
ROOMS = (0, 100, 128, 1000)
RECEIVE, PUT, SEND, TIMERS, RESTART, ASK = 0, 11, 12, 13, 14, 15
"""What is done; all below PUT is RECEIVE."""
Saved = SavedClosed | SavedReceiver | SavedSender


class Station:
    """The entity, the store of its files, and what was saved of it."""

    def __init__(self, limits: Limits = LIMITS, durable: bool = False) -> None:
        self.store = MemoryStore()
        self.store.sources["own"] = MemorySource(bytes(200))
        self.limits = limits
        self.durable = durable
        self.saved: dict[TransactionId, bytes] = {}
        self.now = 0.0
        self.entity = self.opened()

    def opened(self) -> Entity:
        remote = Remote(PEER, ack_limit=2, nak_limit=2, inactivity=60.0, max_pdu=128)
        entity = Entity(OWN, [remote], self.store, limits=self.limits, durable=self.durable)
        entity.load(self.saved, self.now)
        return entity

    def save(self) -> None:
        for key, data in self.entity.snapshots():
            if data is None:
                del self.saved[key]
            else:
                self.saved[key] = data

    def restart(self) -> None:
        self.save()
        self.entity = self.opened()

    def kept(self, kind: type[Saved]) -> list[Saved]:
        """What is saved of one kind."""
        self.save()
        found = (decode_saved(data) for key, data in self.saved.items() if key != ENTITY_KEY)
        return [one for one in found if isinstance(one, kind)]

    def check(self) -> None:
        """It holds no more than its limits allow."""
        receiving = self.kept(SavedReceiver)
        assert len(receiving) <= self.limits.max_transactions
        assert all(len(one.received) <= self.limits.max_fragments for one in receiving)
        assert all(len(one.asked) <= self.limits.max_fragments for one in self.kept(SavedSender))
        assert len(self.kept(SavedClosed)) <= self.limits.max_history
        assert len(self.saved) <= 1 + self.limits.max_history + len(self.entity.transactions())

    def send(self, sequence: int, *bodies: Body, source: int = PEER, **fields: object) -> None:
        """The peer sends PDUs of a transaction."""
        way = Direction.TO_RECEIVER if source == PEER else Direction.TO_SENDER
        mode = fields.pop("mode", Mode.ACKNOWLEDGED)
        header = Header(source, sequence, PEER + OWN - source, way, mode, **fields)  # type: ignore[arg-type]
        for body in bodies:
            self.entity.receive(encode(header, body), self.now)

    def act(self, op: int, octets: bytes) -> None:
        """Let something happen."""
        self.now += PAUSES[op >> 4 & 3]
        what, choice = op & 15, sum(octets)
        if what == PUT:
            mode = (None, *Mode)[choice % 3]
            self.entity.put(PutRequest(PEER, "own", "own", mode), self.now)
        elif what == SEND:
            self.entity.pdus_to_send(self.now, ROOMS[choice % 4])
        elif what == TIMERS:
            self.entity.handle_timer(self.now)
        elif what == RESTART:
            self.restart()
        elif what == ASK:
            self.ask(choice)
        else:
            self.entity.receive(octets, self.now)

    def ask(self, choice: int) -> None:
        """A request of the user's."""
        entity, ids = self.entity, self.entity.transactions()
        if choice % 7 < 2:
            (entity.freeze, entity.thaw)[choice % 7](PEER, self.now)
        elif ids:
            number = ids[choice % len(ids)]
            if choice % 7 < 6:
                (entity.suspend, entity.resume, entity.resume, entity.cancel)[choice % 7 - 2](
                    number, self.now
                )
            elif entity.report(number).sender:
                entity.prompt(number, Response(choice // 7 % 2))

    def idle(self) -> None:
        """Let time pass until nothing is waited for; then nothing is held any more."""
        self.entity.thaw(PEER, self.now)
        for number in self.entity.transactions():
            self.entity.resume(number, self.now)
        for _ in range(3000):
            self.save()
            sent = self.entity.pdus_to_send(self.now, 1 << 20)
            at = self.entity.next_timer()
            if at is None and not sent:
                break
            self.now = max(self.now, at or 0.0)
            self.entity.handle_timer(self.now)
        assert self.entity.transactions() == []
        assert self.store.sinks == {}

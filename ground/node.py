"""`occulta-ground run`: one loop that receives, verifies, archives, recovers and commands."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import partial

from ground.archive import Archive
from ground.linkstore import LinkStore
from ground.metrics import Family, MetricsServer, from_counts, of_archive, of_worker
from ground.outcome import Outcome
from ground.product import SHARES, State
from ground.trust import Trust
from ground.uplink import Uplink
from ground.worker import Worker
from occulta.errors import OccultaError
from occulta.link import pus
from occulta.link.cfdp import Entity
from occulta.link.cfdp.constants import Delivery
from occulta.link.cfdp.events import TransactionFinished
from occulta.link.drops import DropCounts, PacketError
from occulta.link.endpoint import Endpoint, Server
from occulta.link.messages import (
    CommandReply,
    CommandRequest,
    FromConsole,
    Message,
    Status,
    StatusRequest,
    decode,
    encode,
)
from occulta.program.guard import Guard
from occulta.program.loop import LONGEST_POLL, Loop

log = logging.getLogger("occulta.ground")
SAVE_INTERVAL = 0.05
"""Seconds between two saves of what CFDP remembers; answers to the satellite wait for them."""
SCAN_INTERVAL = 15.0
"""Seconds between two looks at the inbox."""
TRUST_INTERVAL = 1.0
"""Seconds between two looks at the revocations; the loop wakes about as often."""
_PACKETS = 256
_MAX_COUNT = (1 << 63) - 1


class Node:
    """Everything wired up; `run` until SIGTERM or SIGINT. See assembly.py for how it is built."""

    def __init__(
        self, *, archive: Archive, worker: Worker, has_keys: bool, entity: Entity,
        store: LinkStore, links: dict[Server, Uplink], console: Server | None,
        commands: Callable[[CommandRequest], pus.Command],
        changed_trust: Callable[[], Trust | None],
    ) -> None:
        """Without keys nothing is recovered, and of shares it is said what they are: a plain
        receiving station.

        `changed_trust` says whose signatures count, if that has changed since it was asked last.
        """
        self._archive = archive
        self._worker = worker
        self._has_keys = has_keys
        self._entity = entity
        self._store = store
        self._links = links
        self._console = console
        self.metrics: MetricsServer | None = None
        """Served from the same loop."""
        self._commands = commands
        self._changed_trust = changed_trust
        self._loop = Loop()
        self._guard = Guard(lambda line: log.error("%s", line))
        self._outcomes: deque[Outcome] = deque()
        """Of recoveries, until the archive knows."""
        self._next_recovery = 0.0
        self._trust: Trust | None = None
        """Whose signatures count, until the archive goes by it."""
        self._counters: Counter[str] = Counter()
        self._drops: DropCounts = Counter()
        self._connected: dict[int, bool] = {}
        self._contact: dict[int, bool] = {}
        self._began = time.monotonic()
        self._next_save = 0.0
        self._next_scan = 0.0
        self._next_look = 0.0

    def run(self) -> None:
        """Until told to stop; raises OccultaError if the machine fails."""
        self._loop.catch_signals()
        for endpoint in self._endpoints():
            self._loop.watch(endpoint)
        self._loop.watch_descriptor(self._worker.fileno())
        if self.metrics is not None:
            self._loop.watch_descriptor(self.metrics.fileno())
        log.info("running, entity %d", self._entity.entity)
        busy = True
        while self._loop.stopping_since is None:
            blocked = [server for server, up in self._links.items() if up.channel.blocked]
            self._loop.wait(0.0 if busy else self._next_time(), blocked)
            busy = self._step(time.monotonic(), time.time())
        self._guard.attempt("transfers", self._save, time.monotonic())
        log.info("stopped")

    def _endpoints(self) -> Iterator[Endpoint]:
        yield from self._links
        if self._console is not None:
            yield self._console

    def _next_time(self) -> float:
        times = [self._next_scan, self._entity.next_timer()]
        times += [uplink.next_timer() for uplink in self._links.values()]
        times.append(self._worker.next_timer())
        if self._entity.transactions():
            times.append(self._next_save)
        if self.metrics is not None:
            times.append(self.metrics.next_timer())
        return min((at for at in times if at is not None),
                   default=time.monotonic() + LONGEST_POLL)

    def _step(self, now: float, wall: float) -> bool:
        """Do all that can be done now; True if there may be more."""
        busy = self._receive(now)
        self._entity.handle_timer(now)
        self._take_events(wall)
        if now >= self._next_save:
            self._next_save = now + SAVE_INTERVAL
            self._guard.attempt("transfers", self._save, now)
        for uplink in self._links.values():
            self._guard.attempt(f"sending to {uplink.name}", partial(self._send, uplink, now), now)
        if now >= self._next_look:
            self._refresh_trust(now)
        if now >= self._next_scan:
            self._next_scan = now + SCAN_INTERVAL
            self._guard.attempt("archive", lambda: self._archive.scan(wall), now)
        while self._archive.notices:
            log.warning("archive: %s", self._archive.notices.pop(0))
        self._guard.attempt("recovery", lambda: self._recover(now), now)
        self._serve_console(now)
        if self.metrics is not None:
            self.metrics.update(now)
        return busy

    def _save(self) -> None:
        self._store.save(self._entity.snapshots())

    def _send(self, uplink: Uplink, now: float) -> None:
        """Nothing of CFDP that speaks of what could not be saved."""
        if self._store.is_saved:
            uplink.channel.transmit(now)
        uplink.handle_timer(now)

    # The links.

    def _receive(self, now: float) -> bool:
        busy = False
        for server, uplink in self._links.items():
            received = server.receive(_PACKETS)
            busy |= len(received) == _PACKETS
            for peer, packet in received:
                deliver = partial(self._deliver, uplink, packet, now, peer)
                self._guard.attempt(f"receiving from {uplink.name}", deliver, now, pause=0.0)
            self._note_contact(uplink, now)
        return busy

    def _deliver(self, uplink: Uplink, packet: bytes, now: float, peer: str) -> None:
        opened = uplink.channel.deliver(packet, now, peer)
        if opened is not None:
            try:
                uplink.receive(opened, now)
            except PacketError as error:
                uplink.channel.drops[error.drop] += 1

    def _note_contact(self, uplink: Uplink, now: float) -> None:
        """While the satellite is not heard its time stands still: relays stay connected."""
        number, connected = uplink.channel.remote.entity, uplink.channel.connected
        if connected is not self._connected.get(number):
            self._connected[number] = connected
            log.info("%s: %s", uplink.name, "connected" if connected else "not connected")
        contact = uplink.has_contact(now)
        if contact is not self._contact.get(number):
            self._contact[number] = contact
            (self._entity.thaw if contact else self._entity.freeze)(number, now)

    def _take_events(self, wall: float) -> None:
        for event in self._entity.events():
            if not isinstance(event, TransactionFinished) or event.sender:
                continue
            if event.delivery is Delivery.COMPLETE:
                self._counters["files_received"] += 1
                self._offer(f"{event.transaction.source}/{event.name}", wall)
            else:
                self._counters["files_failed"] += 1
                log.warning("transaction %s ended: %s", event.transaction, event.condition.name)

    def _refresh_trust(self, now: float) -> None:
        """A revocation counts without a restart."""
        self._next_look = now + TRUST_INTERVAL
        try:
            trust = self._changed_trust()
        except OccultaError as error:  # the file is being written, or damaged: the old one holds
            self._next_look = now + SCAN_INTERVAL
            log.error("%s", error)
            return
        if trust is not None:
            self._trust = trust
        self._guard.attempt("revocations", self._apply_trust, now)

    def _apply_trust(self) -> None:
        if self._trust is not None:
            self._archive.set_trust(self._trust)
            self._trust = None
            log.info("revocations were read again")

    def _offer(self, name: str, wall: float) -> None:
        try:
            offer = self._archive.offer(self._archive.inbox / name, wall)
        except OccultaError as error:  # the next scan tries again
            log.error("%s: %s", name, error)
            return
        if offer is not None:
            log.info("product %s: %s", offer.name, offer.disposition.value)

    # Recovery.

    def _recover(self, now: float) -> None:
        self._outcomes.extend(self._worker.poll(now))
        while self._outcomes:
            ended = self._archive.end_recovery(self._outcomes[0])
            self._outcomes.popleft()
            log.info("product %s: %s", ended.id.hex(), ended.state.value)
            if ended.state is State.ARCHIVED:  # for want of room
                self._next_recovery = now + SCAN_INTERVAL
        if self._worker.is_busy or now < self._next_recovery:
            return
        product = self._archive.next_to_recover(None if self._has_keys else SHARES)
        if product is not None:
            self._worker.submit(self._archive.begin_recovery(product.id), now)

    # The console.

    def _serve_console(self, now: float) -> None:
        if self._console is None:
            return
        for peer, data in self._console.receive(16):
            try:
                message = decode(data, FromConsole)
            except PacketError as error:
                self._drops[error.drop] += 1
                continue
            if isinstance(message, CommandRequest):
                self._command(peer, message, now)
            elif isinstance(message, StatusRequest):
                self._reply(peer, self.status(message.question))

    def _command(self, peer: str, request: CommandRequest, now: float) -> None:
        try:
            uplink = self._uplink(request)
            command = self._commands(request)
            done = partial(self._answer, peer, request.question)
            # What cannot be sent now is sent again by a timer.
            self._guard.attempt(
                "commanding", lambda: uplink.command(command, done, now), now, pause=0.0
            )
        except ValueError as error:
            self._reply(peer, CommandReply(False, _line(str(error)), request.question))

    def _uplink(self, request: CommandRequest) -> Uplink:
        name = request.arguments.get("satellite")
        found = [u for u in self._links.values() if name in (None, u.name)]
        if len(found) != 1:
            names = ", ".join(uplink.name for uplink in self._links.values())
            raise ValueError(f"name a satellite: {names}")
        return found[0]

    def _answer(self, peer: str, question: int, well: bool, said: str) -> None:
        self._counters["commands_done" if well else "commands_failed"] += 1
        self._reply(peer, CommandReply(well, _line(said), question))

    def _reply(self, peer: str, message: Message) -> None:
        assert self._console is not None
        self._console.send(peer, encode(message))

    # What it says of itself.

    def status(self, question: int) -> Status:
        """Counters of all parts, by name, as the answer to a question."""
        counters = dict(self._counters)
        for state, (products, size) in self._archive.counts().items():
            counters[f"products.{state.value}"] = products
            counters[f"bytes.{state.value}"] = size
        for uplink in self._links.values():
            channel = uplink.channel
            counters[f"{uplink.name}.packets_sent"] = channel.packets_sent
            counters[f"{uplink.name}.packets_received"] = channel.packets_received
            for source in (channel.drops + channel.link.dropped, uplink.counters):
                for key, count in source.items():
                    name = key if isinstance(key, str) else key.name.lower()
                    counters[f"{uplink.name}.{name}"] = count
            counters.update({f"{uplink.name}.{k}": v for k, v in uplink.housekeeping.items()})
        for drop, count in self._common_drops().items():
            counters[f"drops.{drop.name.lower()}"] = count
        named = {k[:64]: min(n, _MAX_COUNT) for k, n in list(counters.items())[:1024]}
        uptime = time.monotonic() - self._began
        return Status(named, any(self._connected.values()), uptime, question)

    def families(self) -> Iterator[Family]:
        """The same for Prometheus."""
        yield from of_archive(self._archive)
        yield from of_worker(self._worker)
        yield from_counts("node_total", "What the node did.", "what", self._counters)
        packets = Family("packets_total", "Link packets, by satellite and direction.")
        drops = Family("drops_total", "Packets dropped, by satellite and reason.")
        housekeeping = Family("housekeeping", "Last values of TM[3,25], by satellite.")
        for uplink in self._links.values():
            channel, name = uplink.channel, uplink.name
            packets.add(channel.packets_sent, satellite=name, direction="up")
            packets.add(channel.packets_received, satellite=name, direction="down")
            for drop, count in (channel.drops + channel.link.dropped).items():
                drops.add(count, satellite=name, reason=drop.name.lower())
            for key, value in uplink.housekeeping.items():
                housekeeping.add(value, satellite=name, parameter=key)
        for drop, count in self._common_drops().items():
            drops.add(count, satellite="", reason=drop.name.lower())
        yield from (packets, drops, housekeeping)
        if self.metrics is not None:
            text = "Answers over HTTP, by status; 0: connections that went without one."
            answers = {str(status): n for status, n in self.metrics.counters.items()}
            yield from_counts("http_total", text, "status", answers)

    def _common_drops(self) -> DropCounts:
        """Of no single satellite."""
        asked = DropCounts() if self._console is None else self._console.dropped
        return self._entity.drops + self._drops + asked


def _line(text: str) -> str:
    """One printable line for a reply."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:200]

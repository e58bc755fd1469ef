"""`occulta-onboard run`: one loop that owns every socket, file and timer of the flight side."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from functools import partial

from occulta.errors import OccultaError
from occulta.link import pus
from occulta.link.cfdp import Entity
from occulta.link.drops import PacketError
from occulta.link.endpoint import Client, Endpoint
from occulta.link.messages import Message
from occulta.program.channel import Channel
from occulta.program.files import OutputFile, output
from occulta.program.guard import Guard
from occulta.program.loop import LONGEST_POLL, Loop
from onboard.commands import Commands
from onboard.config import OnboardConfig
from onboard.downlink import Downlink
from onboard.frames import Frames
from onboard.intake import FolderIntake, SocketIntake
from onboard.items import Items
from onboard.spool import Spool
from onboard.telemetry import EventId, Reporter, drop_values, onboard_values
from onboard.workshop import Workshop

log = logging.getLogger("occulta.onboard")
SAVE_INTERVAL = 0.05
"""Seconds between two saves of what CFDP remembers: what was not saved is sent or asked again."""
DRAIN = 10.0
"""Seconds that frames in progress are given to be completed once the daemon is to stop."""
_WORK = 0.02
"""Seconds after which the link is served before frames that have ended are marked on."""
_PACKETS = 64
"""Packets taken at once from one link."""
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


class Daemon:
    """Everything wired up; `run` until SIGTERM or SIGINT. See assembly.py for how it is built."""

    def __init__(
        self, config: OnboardConfig, *, spool: Spool, entity: Entity, workshop: Workshop,
        frames: Frames, items: Items, downlink: Downlink, reporter: Reporter,
        channels: dict[int, Channel], links: list[Client],
        sockets: list[SocketIntake], folders: list[FolderIntake],
    ) -> None:
        self._config = config
        self._spool = spool
        self._entity = entity
        self._workshop = workshop
        self._frames = frames
        self._items = items
        self._downlink = downlink
        self._reporter = reporter
        self._channels = channels
        self._links = dict(zip(channels.values(), links, strict=True))
        self._sockets = sockets
        self._folders = folders
        self._commands = Commands(
            spool, downlink, workshop, reporter, channels, config.apids.of_packets(),
            self._housekeeping,
        )
        self._loop = Loop()
        self._guard = Guard(self._complain)
        self._began = time.monotonic()
        self._next_save = 0.0
        self._next_report = 0.0
        self._contact: dict[int, bool] = dict.fromkeys(channels, False)

    # The loop.

    def run(self) -> None:
        """Until told to stop; raises OccultaError if the machine fails."""
        self._loop.catch_signals()
        for endpoint in self._endpoints():
            self._loop.watch(endpoint)
        self._reporter.event(EventId.STARTED, "the daemon has started")
        self._warn_of_keys()
        log.info("running, entity %d", self._config.entity)
        busy = True
        while not self._is_over():
            self._wait(busy)
            busy = self._step(time.monotonic(), time.time())
        self._stop()

    def _is_over(self) -> bool:
        """Frames in progress may still be completed."""
        if self._loop.stopping_since is None:
            return False
        waited = time.monotonic() - self._loop.stopping_since
        return self._frames.open_frames == 0 or waited > DRAIN

    def _endpoints(self) -> Iterator[Endpoint]:
        yield from self._links.values()
        yield from (intake.server for intake in self._sockets)

    def _wait(self, busy: bool) -> None:
        blocked = [link for channel, link in self._links.items() if channel.blocked]
        self._loop.wait(0.0 if busy else self._next_time(), blocked)

    def _next_time(self) -> float:
        """When something is to be done, if nothing arrives before."""
        now = time.monotonic()
        times = [self._next_report, self._frames.next_timer(), self._items.next_timer(),
                 self._entity.next_timer(), *(folder.next_timer() for folder in self._folders)]
        if self._entity.transactions():
            times.append(self._next_save)
            times += [channel.next_time(now) for channel in self._channels.values()
                      if self._downlink.is_sending(channel.remote.entity)]
        return min((at for at in times if at is not None), default=now + LONGEST_POLL)

    def _step(self, now: float, wall: float) -> bool:
        """Do all that can be done now; True if there may be more."""
        busy = self._take_in(now)
        busy |= self._receive(now)
        self._entity.handle_timer(now)
        attempt = self._guard.attempt
        attempt("contacts", lambda: self._downlink.update(now, wall), now)
        self._note_contacts()
        attempt("link keys", lambda: self._rekey(now), now)
        busy |= (attempt("sending", lambda: self._downlink.transmit(now), now) or 0) > 0
        attempt("deliveries", lambda: self._downlink.on_events(self._entity.events(), now), now)
        attempt("reports", lambda: self._reporter.flush(self._reachable()), now)
        if now >= self._next_save:
            self._next_save = now + SAVE_INTERVAL
            attempt("transfers", self._downlink.save, now)
        if now >= self._next_report:
            self._next_report = now + self._config.telemetry.interval
            self._report(now)
        return busy

    def _rekey(self, now: float) -> None:
        for channel in self._channels.values():
            channel.rekey(now)

    def _take_in(self, now: float) -> bool:
        self._work()
        busy = False
        stopping = self._loop.stopping_since is not None
        for intake in self._sockets:
            busy |= intake.update(now)
        for folder in self._folders:
            if not stopping or folder.is_feeding:
                folder.update(now)
                busy |= folder.is_feeding
        self._tell(self._frames.handle_timer(now))
        self._items.handle_timer(now)
        self._frames.accepting = not stopping
        return busy or self._frames.is_working

    def _work(self) -> None:
        """Go on with frames that have ended, for a moment."""
        end = time.monotonic() + _WORK
        while self._frames.is_working:
            self._tell(self._frames.work())
            if time.monotonic() >= end:
                break

    def _tell(self, told: list[tuple[str, Message]]) -> None:
        intakes: list[SocketIntake | FolderIntake] = [*self._sockets, *self._folders]
        for intake in intakes:
            if intake.machine is self._frames:
                for camera, message in told:
                    intake.reply_if_known(camera, message)

    def _receive(self, now: float) -> bool:
        busy = False
        for channel, link in self._links.items():
            received = link.receive(_PACKETS)
            busy |= len(received) == _PACKETS
            for peer, packet in received:
                deliver = partial(self._deliver, channel, packet, now, peer)
                self._guard.attempt("receiving", deliver, now, pause=0.0)
        return busy

    def _deliver(self, channel: Channel, packet: bytes, now: float, peer: str) -> None:
        opened = channel.deliver(packet, now, peer)
        if opened is not None:
            try:
                self._commands.receive(channel.remote.entity, opened, now)
            except PacketError as error:
                channel.drops[error.drop] += 1

    # What it says.

    def _reachable(self) -> list[int]:
        return [number for number in self._channels if self._downlink.has_contact(number)]

    def _note_contacts(self) -> None:
        for number in self._channels:
            contact = self._downlink.has_contact(number)
            if contact is not self._contact[number]:
                self._contact[number] = contact
                if contact:
                    self._channels[number].begin_contact()
                event = EventId.CONTACT_BEGUN if contact else EventId.CONTACT_ENDED
                line = f"contact with {self._channels[number].remote.peer} has "
                line += "begun" if contact else "ended"
                log.info("%s", line)
                self._reporter.event(event, line, number, about=number)

    def _warn_of_keys(self) -> None:
        """A first start needs link keys, a later one none; every generation grows from them."""
        for destination in self._config.destinations:
            path = destination.link_keys
            if os.path.exists(path):  # unlike Path's, it raises nothing
                line = ("whoever captures the satellite can open recorded traffic from it: "
                        f"remove {path}")
                log.warning("%s", line)
                self._reporter.event(EventId.KEYS_LEFT, line, destination.entity)

    def _complain(self, line: str) -> None:
        """Of a disk."""
        log.error("%s", line)
        self._reporter.event(EventId.DISK_TROUBLE, line)

    def _report(self, now: float) -> None:
        for line in self._spool.take_notices():
            log.warning("spool: %s", line)
            self._reporter.event(EventId.SPOOL_NOTICE, line)
        for line in self._frames.take_notices():
            log.warning("frame %s", line)
            self._reporter.event(EventId.FRAME_FALLBACK, line)
        for intake in self._sockets:
            intake.complain(now)
        for structure in (pus.ONBOARD, pus.LINK_DROPS):
            report = self._housekeeping(structure.structure_id)
            send = partial(self._reporter.housekeeping, report, self._reachable())
            self._guard.attempt("reports", send, now)
        if self._config.health_file is not None:
            self._write_health()

    def values(self) -> dict[str, int]:
        """The values of housekeeping structure 1."""
        counts = self._spool.counts()
        frames = self._frames.counters
        channels = self._channels.values()
        return {
            "uptime": int(time.monotonic() - self._began),
            "frames_in": frames["frames_in"],
            "frames_protected": frames["frames_protected"],
            "frames_discarded": frames["frames_discarded"],
            "frames_fallback": frames["frames_fallback"],
            "blocks": self._workshop.counters["blocks"],
            "hidden_bytes": self._workshop.counters["hidden_bytes"],
            "private_waiting_bytes": counts.private_bytes,
            "spool_items": counts.products,
            "spool_bytes": counts.bytes,
            "resident_kib": resident_kib(),
            "packets_sent": sum(channel.packets_sent for channel in channels),
            "packets_received": sum(channel.packets_received for channel in channels),
            "transactions_open": len(self._entity.transactions()),
            "contact": int(any(self._contact.values())),
            "selected_key": next(iter(channels)).selected_key,
        }

    def _housekeeping(self, structure_id: int) -> pus.Housekeeping:
        if structure_id == pus.ONBOARD.structure_id:
            return onboard_values(self.values())
        if structure_id == pus.LINK_DROPS.structure_id:
            counters = [self._entity.drops, *(c.drops for c in self._channels.values())]
            counters += [endpoint.dropped for endpoint in self._endpoints()]
            counters += [intake.drops for intake in self._sockets]
            return drop_values(counters)
        raise KeyError(structure_id)

    def _write_health(self) -> None:
        """For watchdogs: a file that is replaced while the daemon works."""
        assert self._config.health_file is not None
        said = {
            "time": time.time(), "interval": self._config.telemetry.interval, "pid": os.getpid(),
        }
        try:
            with output(self._config.health_file, replace=True) as file:
                _publish_json(file, said | self.values())
        except OccultaError as error:
            log.error("%s", error)

    # The end.

    def _stop(self) -> None:
        """Nothing is lost: what is in progress is offered again, what is durable goes later."""
        self._frames.abandon()
        self._items.abandon()
        self._reporter.event(EventId.STOPPING, "the daemon is stopping")
        now = time.monotonic()
        self._guard.attempt("reports", lambda: self._reporter.flush(self._reachable()), now)
        self._guard.attempt("transfers", self._downlink.save, now)
        log.info("stopped")


def _publish_json(file: OutputFile, values: dict[str, float]) -> None:
    file.write(json.dumps(values).encode() + b"\n")
    file.publish()


def resident_kib() -> int:
    """Resident memory of this process; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as stream:
            return int(stream.read().split()[1]) * _PAGE_KIB
    except (OSError, IndexError, ValueError):
        return 0

"""Telemetry of the daemon: housekeeping, events, answers to telecommands."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum, unique
from typing import NamedTuple

from occulta.link import pus
from occulta.link.drops import Drop
from occulta.link.pus import Event, Report, Severity
from occulta.link.pus.fields import TIME_SECONDS_BITS, Unsigned
from occulta.link.pus.telemetry import MAX_TEXT
from occulta.link.security import Role
from occulta.link.space_packet import SequenceCounter
from occulta.program.channel import Channel

log = logging.getLogger("occulta.onboard")
MAX_WAITING = 256
"""Reports kept per destination while there is no contact; the oldest go first."""
_LAST_TIME = float((1 << TIME_SECONDS_BITS) - 1)
"""What a report says whose time is beyond its field, in the year 2106."""


@unique
class EventId(IntEnum):
    """Definition ids of events. A number is never used twice."""

    STARTED = 1
    STOPPING = 2
    CONTACT_BEGUN = 3
    CONTACT_ENDED = 4
    PRODUCT_STORED = 5
    PRODUCT_DELIVERED = 6
    TRANSFER_FAILED = 7
    PRODUCT_UNREADABLE = 8
    FRAME_REFUSED = 9
    SPOOL_NOTICE = 10
    COMMAND_REFUSED = 11
    KEYS_LEFT = 12
    FRAME_FALLBACK = 13
    DISK_TROUBLE = 14
    PURGED = 15
    RULE_FORGOTTEN = 16


_SEVERITY = {
    EventId.TRANSFER_FAILED: Severity.LOW,
    EventId.FRAME_REFUSED: Severity.LOW,
    EventId.FRAME_FALLBACK: Severity.LOW,
    EventId.PRODUCT_UNREADABLE: Severity.MEDIUM,
    EventId.SPOOL_NOTICE: Severity.MEDIUM,
    EventId.COMMAND_REFUSED: Severity.MEDIUM,
    EventId.KEYS_LEFT: Severity.MEDIUM,
    EventId.RULE_FORGOTTEN: Severity.MEDIUM,
    EventId.DISK_TROUBLE: Severity.HIGH,
}


_FOR_HOLDERS = {pus.LINK_DROPS.structure_id}
"""Housekeeping that tells a holder nothing of products that are not for it."""
_ON_THE_WAY = {
    "product_delivered": (EventId.PRODUCT_DELIVERED, "product %s delivered to %s"),
    "transfer_failed": (EventId.TRANSFER_FAILED, "product %s did not reach %s, and goes again"),
    "product_unreadable": (EventId.PRODUCT_UNREADABLE, "product %s for %s cannot be read"),
}
"""What the downlink announces."""


class _Waiting(NamedTuple):
    report: Report
    wall: float


class Reporter:
    """Sends reports to destinations; what cannot go now waits, bounded.

    A destination none of whose link keys is for more than holding shares learns nothing of what
    others get: events that concern it alone, and of housekeeping the link's drops.
    """

    def __init__(self, apid: int, wall: Callable[[], float]) -> None:
        """`wall` gives seconds since 1970."""
        self.lost: Counter[int] = Counter()
        """Reports given up, per destination."""
        self._apid = apid
        self._wall = wall
        self._channels: dict[int, Channel] = {}
        self._waiting: dict[int, deque[_Waiting]] = {}
        self._message_counts: dict[tuple[int, int, int], SequenceCounter] = {}

    def add(self, channel: Channel) -> None:
        """A destination of reports."""
        self._channels[channel.remote.entity] = channel
        self._waiting[channel.remote.entity] = deque()

    def event(
        self, event_id: EventId, text: str, parameter: int = 0, about: int | None = None
    ) -> None:
        """Tell that something happened: on board, or `about` a destination.

        What is about one goes to that and to those who may command; else to all but holders.
        """
        severity = _SEVERITY.get(event_id, Severity.INFORMATIVE)
        line = "".join(letter if letter.isprintable() else "?" for letter in text)
        clipped = line.encode()[: MAX_TEXT].decode(errors="ignore")
        report = Event(severity, event_id, parameter & 0xFFFF_FFFF, clipped)
        for number in self._channels:
            if self._may_hear(number, about):
                self.report(report, number)

    def _may_hear(self, destination: int, about: int | None) -> bool:
        if about is None:
            return not self._only_holds(destination)
        return destination == about or Role.COMMANDER in self._roles(destination)

    def _only_holds(self, destination: int) -> bool:
        return self._roles(destination) == {Role.HOLDER}

    def _roles(self, destination: int) -> set[Role]:
        return set(self._channels[destination].roles.values())

    def announce(self, what: str, product_id: bytes, destination: int) -> None:
        """Tell, and log, what happened to a product on its way to a destination."""
        event_id, text = _ON_THE_WAY[what]
        line = text % (product_id.hex(), self._channels[destination].remote.peer)
        log.info("%s", line)
        self.event(event_id, line, destination, about=destination)

    def report(self, report: Report, destination: int) -> None:
        """Queue a report for a destination, whatever it tells."""
        waiting = self._waiting[destination]
        waiting.append(_Waiting(report, self._wall()))
        if len(waiting) > MAX_WAITING:
            waiting.popleft()
            self.lost[destination] += 1

    def housekeeping(self, report: pus.Housekeeping, reachable: Iterable[int]) -> None:
        """Send a report that is worth nothing later."""
        for number in reachable:
            is_for = report.structure_id in _FOR_HOLDERS or not self._only_holds(number)
            if is_for and not self._waiting[number]:
                self._send(number, _Waiting(report, self._wall()))

    def flush(self, reachable: Iterable[int]) -> None:
        """Send what waits for the destinations in contact."""
        for number in reachable:
            waiting = self._waiting[number]
            while waiting and self._send(number, waiting[0]):
                waiting.popleft()

    def _send(self, destination: int, waiting: _Waiting) -> bool:
        channel = self._channels[destination]
        if not channel.connected:
            return False
        kind = (destination, *waiting.report.message_type)
        count = self._message_counts.setdefault(kind, SequenceCounter(bits=16))
        packet = pus.encode_telemetry(
            waiting.report, apid=self._apid, sequence_count=channel.next_count(self._apid),
            time=min(waiting.wall, _LAST_TIME), message_count=count.next(), destination=destination,
        )
        return channel.send(packet)


def onboard_values(values: Mapping[str, float]) -> pus.Housekeeping:
    """Structure 1; values beyond their width stay at the largest."""
    widths = {field.name: field for field in pus.ONBOARD.fields}
    clipped = {
        name: min(int(values.get(name, 0)), (1 << field.bits) - 1)
        for name, field in widths.items() if isinstance(field, Unsigned)
    }
    return pus.Housekeeping(pus.ONBOARD.structure_id, clipped)


def drop_values(counts: Iterable[Mapping[Drop, int]]) -> pus.Housekeeping:
    """Structure 2 from the counts of every part of the daemon."""
    total: Counter[Drop] = Counter()
    for count in counts:
        total.update(count)
    return pus.link_drops(total)

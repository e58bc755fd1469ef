"""One direction of a link as a pure machine: what becomes of each packet, and when it arrives.

A packet waits for the channel, occupies it for its bits divided by the rate, is lost, cut,
corrupted, doubled or held back, and arrives a delay later. All randomness comes from the seed, in
the order of the packets. Two models with settings of their own make a link.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Literal

from sim.link.settings import Settings

Dropped = Literal["dropped_queue", "dropped_outage"]


@dataclass(slots=True)
class Counts:
    """Packets by what became of them, and bytes.

    `submitted + duplicated` is `sent + lost + dropped_queue + dropped_outage` and what is still
    under way. A packet may be truncated, corrupted, duplicated and reordered all at once.
    """

    submitted: int = 0
    sent: int = 0
    """Arrived, copies included."""
    lost: int = 0
    corrupted: int = 0
    """At least one bit inverted."""
    truncated: int = 0
    duplicated: int = 0
    reordered: int = 0
    """Held back, whether or not something followed to overtake it."""
    dropped_queue: int = 0
    dropped_outage: int = 0
    bytes_submitted: int = 0
    bytes_sent: int = 0
    """As they arrived."""
    bytes_lost: int = 0
    """Of packets lost or dropped."""


class LinkModel:
    """One direction of a link on virtual time; `now` is in seconds and never goes back."""

    def __init__(
        self, settings: Settings, seed: int | str, *,
        in_contact: Callable[[float], bool] = lambda now: True,
        elevation: Callable[[float], float] | None = None,
    ) -> None:
        """A link that carries while `in_contact`; `elevation` in degrees, for `signal_to_noise`.

        A packet is dropped where it is submitted, or its last bit leaves, outside a contact.
        Raises ValueError for `signal_to_noise` without elevation.
        """
        if settings.signal_to_noise is not None and elevation is None:
            raise ValueError("signal_to_noise needs an elevation")
        self.counts = Counts()
        self._settings = settings
        self._in_contact = in_contact
        self._elevation = elevation
        self._random = random.Random(seed)
        self._loss = settings.states()
        self._is_bad = self._happens(self._loss.share_bad)
        self._now = -math.inf
        self._free_at = -math.inf
        """When the last bit that waits will have left."""
        self._last_arrival = -math.inf
        self._under_way: list[tuple[float, int, bytes]] = []
        self._scheduled = 0
        self._bytes_under_way = 0

    def submit(self, packet: bytes, now: float) -> None:
        """Hand in a packet at one end; raises ValueError for a time before the last one."""
        self._advance(now)
        counts = self.counts
        counts.submitted += 1
        counts.bytes_submitted += len(packet)
        if not self._in_contact(now):
            self._drop(packet, "dropped_outage")
        elif not self._has_room(packet, now):
            self._drop(packet, "dropped_queue")
        else:
            left = self._transmit(packet, now)
            if not self._in_contact(left):
                self._drop(packet, "dropped_outage")
            elif self._is_lost():
                counts.lost += 1
                counts.bytes_lost += len(packet)
            else:
                self._deliver(packet, left)

    def next_time(self) -> float | None:
        """When `due` has something next; None while nothing is under way."""
        return self._under_way[0][0] if self._under_way else None

    def due(self, now: float) -> list[bytes]:
        """What has arrived at the other end by now, in the order of arrival; raises ValueError."""
        self._advance(now)
        arrived = []
        while self._under_way and self._under_way[0][0] <= now:
            packet = heappop(self._under_way)[2]
            arrived.append(packet)
            self._bytes_under_way -= len(packet)
            self.counts.bytes_sent += len(packet)
        self.counts.sent += len(arrived)
        return arrived

    def not_taken(self, packet: bytes, outcome: Dropped) -> None:
        """Count a packet that `due` gave out as dropped after all: nobody could take it."""
        self.counts.sent -= 1
        self.counts.bytes_sent -= len(packet)
        self._drop(packet, outcome)

    def _advance(self, now: float) -> None:
        if now < self._now:
            raise ValueError(f"time went back from {self._now} to {now}")
        self._now = now

    def _drop(self, packet: bytes, outcome: Dropped) -> None:
        setattr(self.counts, outcome, getattr(self.counts, outcome) + 1)
        self.counts.bytes_lost += len(packet)

    def _has_room(self, packet: bytes, now: float) -> bool:
        settings, size = self._settings, len(packet)
        if self._bytes_under_way + size > settings.in_flight:
            return False
        if settings.rate is None or self._free_at <= now:
            return size <= settings.queue
        waiting = (self._free_at - now) * settings.rate / 8
        return waiting + size <= settings.queue

    def _transmit(self, packet: bytes, now: float) -> float:
        """Put a packet on the channel; returns when its last bit leaves."""
        if self._settings.rate is None:
            return now
        self._free_at = max(now, self._free_at) + 8 * len(packet) / self._settings.rate
        return self._free_at

    def _is_lost(self) -> bool:
        loss = self._loss
        if self._happens(loss.bad_to_good if self._is_bad else loss.good_to_bad):
            self._is_bad = not self._is_bad
        return self._happens(loss.in_bad if self._is_bad else loss.in_good)

    def _deliver(self, packet: bytes, left: float) -> None:
        settings, counts = self._settings, self.counts
        if len(packet) > 1 and self._happens(settings.truncate):
            counts.truncated += 1
            packet = packet[: self._random.randrange(1, len(packet))]
        packet = self._corrupt(packet, self._error_rate(left))
        self._schedule(packet, left)
        if self._happens(settings.duplicate):
            counts.duplicated += 1
            self._schedule(packet, left)

    def _error_rate(self, left: float) -> float:
        signal = self._settings.signal_to_noise
        if signal is None or self._elevation is None:
            return self._settings.bit_error_rate
        return signal.bit_error_rate(self._elevation(left))

    def _corrupt(self, packet: bytes, error_rate: float) -> bytes:
        """Invert bits; from one to the next it is a geometric distance, drawn at once."""
        at = self._distance(error_rate) - 1
        if at >= 8 * len(packet):
            return packet
        self.counts.corrupted += 1
        damaged = bytearray(packet)
        while at < 8 * len(packet):
            byte, bit = divmod(int(at), 8)
            damaged[byte] ^= 0x80 >> bit
            at += self._distance(error_rate)
        return bytes(damaged)

    def _distance(self, error_rate: float) -> float:
        """Bits up to and including the next error: 1 or more, infinite without errors."""
        if error_rate <= 0:
            return math.inf
        return 1 + math.log1p(-self._random.random()) // math.log1p(-error_rate)

    def _schedule(self, packet: bytes, left: float) -> None:
        settings = self._settings
        arrival = left + settings.delay
        if settings.jitter:
            arrival += self._random.uniform(0, settings.jitter)
        arrival = max(arrival, self._last_arrival)
        if self._happens(settings.reorder):
            self.counts.reordered += 1
            arrival += settings.reorder_delay
        else:
            self._last_arrival = arrival
        heappush(self._under_way, (arrival, self._scheduled, packet))
        self._scheduled += 1
        self._bytes_under_way += len(packet)

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self._random.random() < probability

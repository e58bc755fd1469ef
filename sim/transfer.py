"""A feeder on a connection to a flight daemon: sends until all is stored, and tells of it."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

import zmq

from occulta.errors import OccultaError, Reason
from occulta.link.drops import Drop, PacketError
from occulta.link.endpoint import Client
from occulta.link.messages import (
    FrameRefused,
    FrameStored,
    ItemRefused,
    ItemStored,
    Message,
    decode,
    encode,
)
from sim.feed import Answer, Feeder

DAEMON = "daemon"
"""What the client calls its server."""
HINT_AFTER = 3.0
"""Seconds without an answer until it is said what may be wrong."""
_AT_ONCE = 64
_POLL = 200
"""Milliseconds."""


class Transfer:
    """A feeder at work on one connection."""

    def __init__(self, client: Client, feeder: Feeder[Any], address: str) -> None:
        self._client = client
        self._feeder = feeder
        self._address = address
        self._unsent: Message | None = None
        self._was_connected = False
        self._is_answered = False
        self._explain_at = time.monotonic() + HINT_AFTER

    def run(self) -> int:
        """Until everything is stored or refused for good; returns how many were refused."""
        poller = zmq.Poller()
        for socket, events in self._client.sockets():
            poller.register(socket, events)
        packets, _ = self._client.sockets()[0]
        refused = 0
        while not self._feeder.is_done:
            is_blocked = self._unsent is not None and self._was_connected
            poller.modify(packets, zmq.POLLIN | (zmq.POLLOUT if is_blocked else 0))
            poller.poll(self._timeout())
            self._receive()
            self._transmit()
            refused += sum(_tell(answer) for answer in self._feeder.events())
        return refused

    def _timeout(self) -> int:
        """Milliseconds until something is due."""
        due = self._feeder.next_timer()
        if due is None or not self._was_connected:
            return _POLL
        return min(_POLL, max(0, int(1000 * (due - time.monotonic())) + 1))

    def _receive(self) -> None:
        now = time.monotonic()
        for _, data in self._client.receive(_AT_ONCE):
            try:
                self._feeder.receive(decode(data, self._feeder.answers), now)
            except PacketError as error:
                print(f"occulta-sim: {error}", file=sys.stderr)
            self._is_answered = True
        if not self._is_answered:
            self._explain(now)

    def _transmit(self) -> None:
        now, is_connected = time.monotonic(), bool(self._client.connected())
        if is_connected and not self._was_connected:
            self._unsent = None
            self._feeder.reconnected(now)
        self._was_connected = is_connected
        self._feeder.handle_timer(now)
        while is_connected:
            self._unsent = self._unsent or self._feeder.next_message(now)
            if self._unsent is None or not self._client.send(DAEMON, encode(self._unsent)):
                return
            self._unsent = None

    def _explain(self, now: float) -> None:
        """Say once what keeps everything waiting; raises OccultaError(USAGE)."""
        if self._client.dropped[Drop.UNKNOWN_PEER]:
            raise OccultaError(
                Reason.USAGE, f"the daemon at {self._address} refuses the key",
                "its clients must list the key's public half; --server-key is the daemon's own",
            )
        if now >= self._explain_at:
            self._explain_at = math.inf
            what = "no answer yet: is the name on its list of clients, the address the right one?"
            if not self._was_connected:
                what = "nobody there yet"
            print(f"occulta-sim: {self._address}: {what}", file=sys.stderr, flush=True)


def _tell(answer: Answer) -> bool:
    """Print what became of an offer; True if it was refused."""
    if isinstance(answer, FrameStored):
        print(f"{answer.frame_id} stored as {answer.product_id.hex()}", flush=True)
        return False
    if isinstance(answer, ItemStored):
        print(f"{answer.item_id} stored", flush=True)
        return False
    name = answer.item_id if isinstance(answer, ItemRefused) else answer.frame_id
    print(f"occulta-sim: {name}: error {answer.reason}: {answer.detail}", file=sys.stderr)
    return isinstance(answer, FrameRefused | ItemRefused)

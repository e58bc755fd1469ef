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
    decode,
    encode,
)
from sim.feed import Answer, Feeder

DAEMON = "daemon"
"""What the client calls its server."""
HINT_AFTER = 3.0
"""Seconds without an answer until it is said what may be wrong."""
AT_ONCE = 64
"""Answers taken at a time."""
_POLL = 200
"""Milliseconds."""


class Connection:
    """Carries what a feeder says to the daemon, and the daemon's answers back."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.is_connected = False
        self.messages = 0
        """How often the daemon has said anything."""
        self.faults: list[PacketError] = []
        """What arrived and is no answer; the caller takes them away."""
        self._unsent: bytes | None = None

    @property
    def is_blocked(self) -> bool:
        """Whether a message waits for room in the socket."""
        return self._unsent is not None and self.is_connected

    def exchange(self, feeder: Feeder[Any], now: float) -> list[Answer]:
        """Take answers and send what can be sent; what became of offers, once it is certain.

        Raises OSError and OccultaError(INPUT_UNREADABLE), as the feeder does.
        """
        received = self.client.receive(AT_ONCE)
        was, self.is_connected = self.is_connected, bool(self.client.connected())
        if self.is_connected and not was:
            self._unsent = None
            feeder.reconnected(now)
        for _, data in received:
            self._receive(feeder, data, now)
        feeder.handle_timer(now)
        self._send(feeder, now)
        return feeder.events()

    def _receive(self, feeder: Feeder[Any], data: bytes, now: float) -> None:
        self.messages += 1
        try:
            feeder.receive(decode(data, feeder.answers), now)
        except PacketError as error:
            self.faults.append(error)

    def _send(self, feeder: Feeder[Any], now: float) -> None:
        while self.is_connected:
            if self._unsent is None and (message := feeder.next_message(now)) is not None:
                self._unsent = encode(message)
            if self._unsent is None or not self.client.send(DAEMON, self._unsent):
                return
            self._unsent = None


class Transfer:
    """A feeder at work on one connection, until it is done."""

    def __init__(
        self, client: Client, feeder: Feeder[Any], address: str, timeout: float
    ) -> None:
        """`timeout` in seconds without an answer that is waited for; infinite waits for ever."""
        self._connection = Connection(client)
        self._timeout_after = timeout
        self._heard = time.monotonic()
        self._feeder = feeder
        self._address = address
        self._explain_at = time.monotonic() + HINT_AFTER

    def run(self) -> int:
        """Until everything is stored or refused for good; returns how many were refused.

        Raises OccultaError: USAGE where the daemon refuses the key, DAEMON_SILENT, and those of
        the feeder.
        """
        poller = zmq.Poller()
        sockets = self._connection.client.sockets()
        for socket, events in sockets:
            poller.register(socket, events)
        packets, _ = sockets[0]
        refused = 0
        while not self._feeder.is_done:
            is_blocked = self._connection.is_blocked
            poller.modify(packets, zmq.POLLIN | (zmq.POLLOUT if is_blocked else 0))
            poller.poll(self._timeout())
            refused += sum(map(_tell, self._exchange(time.monotonic())))
        return refused

    def _timeout(self) -> int:
        """Milliseconds until something is due."""
        due = self._feeder.next_timer()
        if due is None or not self._connection.is_connected:
            return _POLL
        return min(_POLL, max(0, int(1000 * (due - time.monotonic())) + 1))

    def _exchange(self, now: float) -> list[Answer]:
        before = self._connection.messages
        answers = self._connection.exchange(self._feeder, now)
        while self._connection.faults:
            print(f"occulta-sim: {self._connection.faults.pop(0)}", file=sys.stderr)
        is_pausing = self._connection.is_connected and self._feeder.is_pausing
        if is_pausing or self._connection.messages > before:
            self._heard = now
        if not self._connection.messages:
            self._explain(now)
        if now >= self._heard + self._timeout_after:
            raise OccultaError(
                Reason.DAEMON_SILENT, f"{self._address}: no answer for {self._timeout_after:g} s",
                "is the name on the daemon's list of clients, the address the right one?",
            )
        return answers

    def _explain(self, now: float) -> None:
        """Say once what keeps everything waiting; raises OccultaError(USAGE)."""
        if self._connection.client.dropped[Drop.UNKNOWN_PEER]:
            raise OccultaError(
                Reason.USAGE, f"the daemon at {self._address} refuses the key",
                "its clients must list the key's public half; --server-key is the daemon's own",
            )
        if now >= self._explain_at:
            self._explain_at = math.inf
            what = "no answer yet: is the name on its list of clients, the address the right one?"
            if not self._connection.is_connected:
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

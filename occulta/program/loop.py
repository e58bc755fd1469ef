"""The poll loop that both daemons stand on: sockets to wait for, and the wish to stop."""

from __future__ import annotations

import signal
import time
from collections.abc import Collection
from types import FrameType

import zmq

from occulta.link.endpoint import Endpoint

LONGEST_POLL = 1.0
"""Seconds."""


class Loop:
    """Waits for endpoints and file descriptors; notes SIGTERM and SIGINT."""

    def __init__(self) -> None:
        self.stopping_since: float | None = None
        """When the process was told to stop, of the monotonic clock."""
        self._poller = zmq.Poller()
        self._endpoints: list[Endpoint] = []

    def catch_signals(self) -> None:
        """From now on SIGTERM and SIGINT ask for an orderly end."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.stopping_since is None:
            self.stopping_since = time.monotonic()

    def watch(self, endpoint: Endpoint) -> None:
        """Wake up when the endpoint has something to receive."""
        self._endpoints.append(endpoint)
        for socket, events in endpoint.sockets():
            self._poller.register(socket, events)

    def watch_descriptor(self, descriptor: int) -> None:
        """Wake up when a file descriptor can be read."""
        self._poller.register(descriptor, zmq.POLLIN)

    def forget_descriptor(self, descriptor: int) -> None:
        """A file descriptor is about to be closed."""
        self._poller.unregister(descriptor)

    def wait(self, until: float, blocked: Collection[Endpoint]) -> None:
        """Until something arrives, an endpoint of `blocked` has room, or the clock says `until`."""
        for endpoint in self._endpoints:
            socket, _ = endpoint.sockets()[0]
            self._poller.modify(socket, zmq.POLLIN | (zmq.POLLOUT if endpoint in blocked else 0))
        timeout = min(max(0.0, until - time.monotonic()), LONGEST_POLL)
        self._poller.poll(int(1000 * timeout) + (timeout > 0))

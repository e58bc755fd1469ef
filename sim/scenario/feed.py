"""The camera and the payload program of a scenario, on the daemon's sockets: a frame at a time."""

from __future__ import annotations

import time
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import zmq

from occulta.link.endpoint import Client, Settings
from occulta.link.messages import (
    MAX_MESSAGE,
    FrameBegin,
    FrameRefused,
    ItemBegin,
    ItemRefused,
)
from sim.feed import Feeder, FrameFeeder, ItemFeeder, Offer
from sim.scenario.frames import Frame
from sim.send import CAMERA, PAYLOAD
from sim.transfer import AT_ONCE, DAEMON, Connection

_CHUNK = 1 << 16
_PATIENCE = 600.0
"""Seconds: over ipc nothing is lost, and a plain kernel may take a minute for a frame."""


class Refused(Exception):
    """The daemon does not take a frame or a private file, and never will."""


class Source:
    """One connection to the daemon, and what is being fed over it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._connection = Connection(client)
        self._feeder: Feeder[Any] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether everything is stored."""
        return self._feeder is None or self._feeder.is_done

    def feed(self, feeder: Feeder[Any]) -> None:
        """Feed this from now on."""
        self._feeder = feeder

    def update(self, now: float) -> None:
        """Take answers and send what can be sent.

        Raises Refused, OccultaError, PacketError and OSError.
        """
        if self._feeder is None:
            self.client.receive(AT_ONCE)
            return
        for answer in self._connection.exchange(self._feeder, now):
            if isinstance(answer, FrameRefused | ItemRefused):
                name = answer.frame_id if isinstance(answer, FrameRefused) else answer.item_id
                raise Refused(f"{name} was refused: error {answer.reason}: {answer.detail}")
        if self._connection.faults:
            raise self._connection.faults[0]


class Feed:
    """Both sources; a context that closes their sockets."""

    def __init__(self, camera: str, payload: str) -> None:
        """Connect to the addresses at which the daemon takes frames and private data in."""
        self._stack = ExitStack()
        self._poller = zmq.Poller()
        context = self._stack.enter_context(zmq.Context[zmq.Socket[bytes]]())
        self._camera = self._connect(context, camera, CAMERA)
        self._payload = self._connect(context, payload, PAYLOAD)

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _connect(
        self, context: zmq.Context[zmq.Socket[bytes]], address: str, name: str
    ) -> Source:
        client = Client(context, address, DAEMON, Settings(MAX_MESSAGE), name.encode())
        self._stack.callback(client.close)
        for socket, events in client.sockets():
            self._poller.register(socket, events)
        return Source(client)

    def offer_private(self, frame: Frame) -> None:
        """Offer the private file that goes with a frame."""
        path = frame.private
        if path is not None:
            begin = ItemBegin(frame.item, path.stat().st_size, ())
            offers = [Offer(begin, lambda: path.open("rb"))]
            self._payload.feed(ItemFeeder(offers, chunk=_CHUNK, patience=_PATIENCE))

    def offer(self, frame: Frame) -> None:
        """Offer a frame."""
        begin = FrameBegin(frame.name, CAMERA, frame.size, time.time(), frame.is_sensitive, {})
        offers = [Offer(begin, lambda: frame.picture.open("rb"))]
        self._camera.feed(FrameFeeder(offers, chunk=_CHUNK, patience=_PATIENCE))

    def is_idle(self) -> bool:
        """Whether everything offered is stored on board."""
        return self._camera.is_idle and self._payload.is_idle

    def update(self, timeout: float) -> None:
        """Wait so many seconds for answers; raises as `Source.update`."""
        self._poller.poll(int(1000 * timeout))
        now = time.monotonic()
        self._camera.update(now)
        self._payload.update(now)

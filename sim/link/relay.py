"""The link as a process: satellites on one side, ground nodes on the other, faults in between.

One loop owns all sockets. A packet from one side goes through the model of its direction and on to
the partner of its sender. Packets that are due wait for a socket that is full; what then exceeds
the model's bound on packets in flight is dropped. Nothing waits for a peer that is not there.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import zmq

from occulta.errors import OccultaError, Reason
from occulta.link import endpoint as zeromq
from occulta.link.drops import Drop, DropCounts
from occulta.link.endpoint import Client, ClientKeys, Endpoint, Server, Socket
from occulta.program.linkkeys import read_curve_public, read_curve_secret
from occulta.program.sections import Listener
from sim.link import statistics
from sim.link.config import Link, Node, Relay, Schedule, load, schedule
from sim.link.model import LinkModel
from sim.link.settings import Settings
from sim.link.statistics import Timeline

MAX_PACKET = 65_542
"""Bytes of the longest space packet (CCSDS 133.0-B-2, 4.1.3.5.3)."""
_SETTINGS = zeromq.Settings(MAX_PACKET, queue=64)
_AT_ONCE = 64
_RETRY = 0.001
"""Seconds until a full socket is tried again."""


class Direction:
    """One way between two peers."""

    def __init__(self, model: LinkModel, far: Endpoint, peer: str) -> None:
        self.model = model
        self.timeline = Timeline()
        self._far = far
        self._peer = peer
        self._waiting: deque[bytes] = deque()

    def forward(self, now: float) -> None:
        """Send on what has arrived by now, as far as the socket takes it."""
        if not self._waiting:
            self._waiting.extend(self.model.due(now))
        while self._waiting:
            if self._far.send(self._peer, self._waiting[0]):
                self._waiting.popleft()
            elif self._peer in self._far.connected():
                return
            else:
                self.model.not_taken(self._waiting.popleft(), "dropped_outage")

    def next_time(self, now: float) -> float:
        """When `forward` has something to do; infinite for never."""
        if self._waiting:
            return now + _RETRY
        following = self.model.next_time()
        return math.inf if following is None else following

    def told(self) -> dict[str, Any]:
        """For the statistics."""
        return {"counts": self.model.counts, "timeline": list(self.timeline.seconds)}

    def end(self) -> None:
        """Give up what still waits."""
        while self._waiting:
            self.model.not_taken(self._waiting.popleft(), "dropped_queue")


class LinkRelay:
    """All peers' endpoints and what lies between them; times in seconds from its making."""

    def __init__(
        self, config: Relay, link: Link, space: Server, ground: Mapping[str, Endpoint],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ground` maps the ground nodes' names to where they are reached; raises OSError."""
        self._config = config
        self._endpoints: dict[str, set[Endpoint]] = {
            "space": {space}, "ground": set(ground.values())
        }
        self._directions: dict[tuple[str, str], Direction] = {}
        """By side and name of the sender."""
        when = schedule(config, link)
        for pair in config.pairs:
            down = _model(link.down, f"{config.seed} down {pair.space}", when)
            up = _model(link.up, f"{config.seed} up {pair.space}", when)
            far = ground[pair.ground]
            self._directions["space", pair.space] = Direction(down, far, pair.ground)
            self._directions["ground", pair.ground] = Direction(up, space, pair.space)
        self._clock = clock
        self._started = clock()
        self._second = 0
        self._report(0.0)

    def run(self, stop: int) -> None:
        """Forward packets until the descriptor `stop` is readable; raises OSError."""
        poller = zmq.Poller()
        poller.register(stop, zmq.POLLIN)
        for endpoint in chain.from_iterable(self._endpoints.values()):
            for socket, events in endpoint.sockets():
                poller.register(socket, events)
        while stop not in dict(poller.poll(self._timeout())):
            self.step()
        now = self._now()
        for direction in self._directions.values():
            direction.end()
            direction.timeline.end_second(self._second, direction.model.counts)
        self._report(now)

    def step(self) -> None:
        """Take in what has come and send on what is due; raises OSError."""
        now = self._now()
        for side, endpoints in self._endpoints.items():
            for endpoint in endpoints:
                for name, packet in endpoint.receive(_AT_ONCE):
                    self._directions[side, name].model.submit(packet, now)
        for direction in self._directions.values():
            direction.forward(now)
        if now >= self._second + 1:
            for direction in self._directions.values():
                direction.timeline.end_second(self._second, direction.model.counts)
            self._second = math.floor(now)
            self._report(now)

    def _now(self) -> float:
        return self._clock() - self._started

    def _timeout(self) -> int:
        """Milliseconds until something is due, rounded up, so that no wait ends just before it."""
        now = self._now()
        following = [direction.next_time(now) for direction in self._directions.values()]
        until = min(*following, self._second + 1)
        return max(0, math.ceil(1000 * (until - now)))

    def _report(self, now: float) -> None:
        if self._config.statistics is not None:
            statistics.write(self._config.statistics, self._told(now))

    def _told(self, now: float) -> dict[str, Any]:
        pairs = [
            {
                "space": pair.space,
                "ground": pair.ground,
                "down": self._directions["space", pair.space].told(),
                "up": self._directions["ground", pair.ground].told(),
            }
            for pair in self._config.pairs
        ]
        refused = {side: _refused(endpoints) for side, endpoints in self._endpoints.items()}
        return {"seconds": now, "pairs": pairs, "refused": refused}


def relay(file: Path) -> None:
    """Run by a configuration until SIGTERM or SIGINT; raises OccultaError and OSError.

    Prints one line with the addresses it listens at, once peers may connect.
    """
    config, link = load(file)
    with ExitStack() as stack:
        stop = stack.enter_context(_stop_signals())
        space = stack.enter_context(_listening(config.space))
        ground: dict[str, Endpoint] = {
            node.name: stack.enter_context(_connected(node)) for node in config.nodes
        }
        addresses = {"space": space.address}
        if config.ground.bind is not None:
            server = stack.enter_context(_listening(config.ground))
            ground |= {client.name: server for client in config.ground.clients}
            addresses["ground"] = server.address
        running = LinkRelay(config, link, space, ground)
        print("listening:", *(f"{side} {at}" for side, at in addresses.items()), flush=True)
        running.run(stop)


@contextmanager
def _listening(side: Listener) -> Iterator[Server]:
    """A server in a context of its own: a context holds only one that asks for CURVE keys."""
    secret = None if side.secret_key is None else read_curve_secret(side.secret_key)
    allowed, address = side.allow_list(), str(side.bind)
    with zmq.Context[Socket]() as context:
        try:
            server = Server(context, address, allowed, _SETTINGS, secret_key=secret)
        except zmq.ZMQError as error:
            raise OccultaError(Reason.USAGE, f"cannot listen: {error.strerror}") from None
        with closing(server):
            yield server


@contextmanager
def _connected(node: Node) -> Iterator[Client]:
    keys = ClientKeys(read_curve_secret(node.secret_key), read_curve_public(node.server_key))
    with (
        zmq.Context[Socket]() as context,
        closing(Client(context, node.address, node.name, _SETTINGS, keys)) as client,
    ):
        yield client


@contextmanager
def _stop_signals() -> Iterator[int]:
    """A descriptor that becomes readable on SIGTERM or SIGINT."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer)
    handlers = {
        number: signal.signal(number, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield reader
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)


def _model(settings: Settings, seed: str, when: Schedule) -> LinkModel:
    return LinkModel(settings, seed, in_contact=when.in_contact, elevation=when.elevation)


def _refused(endpoints: Iterable[Endpoint]) -> Counter[str]:
    """Messages and peers refused. A full queue is no refusal: the packet is tried again."""
    dropped = sum((endpoint.dropped for endpoint in endpoints), DropCounts())
    return Counter({drop.name: n for drop, n in dropped.items() if drop is not Drop.QUEUE_FULL})

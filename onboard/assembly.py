"""How the flight daemon is put together from its configuration."""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import UnionType

import zmq

from occulta.codec import crypto
from occulta.errors import OccultaError, Reason
from occulta.link import security
from occulta.link.cfdp import Entity, Limits
from occulta.link.endpoint import Client, ClientKeys, Server, Settings
from occulta.link.messages import MAX_MESSAGE, FromCamera, FromPayload
from occulta.link.space_packet import Apids, PacketType
from occulta.program import config as configuration
from occulta.program import keyfiles
from occulta.program.channel import Channel, Remote, largest_packet
from occulta.program.filestore import DiskFilestore
from occulta.program.linkkeys import read_curve_public, read_curve_secret, read_link_keys
from occulta.program.linkstate import LinkState
from onboard.config import Destination, Intake, OnboardConfig
from onboard.daemon import Daemon
from onboard.downlink import Downlink
from onboard.frames import Frames
from onboard.intake import FRAME_WORDS, ITEM_WORDS, FolderIntake, Machine, SocketIntake, Words
from onboard.items import Items
from onboard.pipeline import Keys
from onboard.spool import Spool
from onboard.telemetry import Reporter
from onboard.workshop import Workshop

_LINK_QUEUE = 32
_SEQUENCE_WIDTH = 4
"""Octets of CFDP's sequence numbers."""
_INTAKE_QUEUE = 4
"""Messages, each up to a MiB: it is credit that keeps a camera going, not this."""
_SOCKET_UMASK = 0o117
"""An ipc socket is for the daemon's user and group; its folder says who of them comes that far."""
_MARGIN = 24
"""Packets from the ground that a crash may cost, so that a save is not needed for each.

What was replayed never works, whatever the margin; a ground that repeats a command more often than
this gets through.
"""
_MOST_ITEMS_OPEN = 16
_FOLDER_CHUNK = 1 << 18


def run(options: argparse.Namespace) -> int:
    """The command."""
    config = configuration.load(options.config, OnboardConfig)
    logging.basicConfig(
        level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s"
    )
    with ExitStack() as stack:
        build(config, options.initialise, stack).run()
    return 0


def build(config: OnboardConfig, initialise: bool, stack: ExitStack) -> Daemon:
    """A daemon ready to run; everything it opens is closed by `stack`; raises OccultaError."""
    keys = Keys(
        tuple(keyfiles.read_key(str(path), crypto.PublicKey) for path in config.recipients),
        keyfiles.read_key(str(config.signing_key), crypto.SigningKey),
    )
    spool = stack.enter_context(Spool(
        config.spool_dir, max_bytes=config.spool.max_bytes,
        max_products=config.spool.max_items, max_items=config.private.max_items,
        when_full=config.spool.when_full,
    ))
    destinations = {each.name: each.entity for each in config.destinations}
    workshop = Workshop(
        spool, keys, config.ordered_rules, destinations, share=config.private_share,
        when_unknown=config.private_when_size_unknown, random=os.urandom, wall=time.time,
    )
    camera = config.camera
    frames = Frames(
        workshop, window=camera.window_bytes, timeout=camera.frame_timeout,
        most_open=camera.max_frames_open,
    )
    items = Items(workshop, timeout=camera.frame_timeout, most_open=_MOST_ITEMS_OPEN)
    store = DiskFilestore(config.spool_dir / "products", config.state_dir / "incoming")
    remotes = [d.cfdp.remote(d.entity) for d in config.destinations]
    nothing_comes_up = Limits(max_transactions=0)
    entity = Entity(
        config.entity, remotes, store, limits=nothing_comes_up, durable=True,
        first_sequence=int.from_bytes(os.urandom(_SEQUENCE_WIDTH), "big"),
    )
    apids = config.apids.of_packets()
    reporter = Reporter(apids.telemetry, time.time)
    downlink = Downlink(spool, entity, reporter.announce)
    channels: dict[int, Channel] = {}
    links = []
    for destination in config.destinations:
        links.append(_open_link(destination, stack))
        channel = _open_channel(config, destination, links[-1], entity, apids, initialise)
        channels[destination.entity] = channel
        downlink.add(channel, destination.contacts, time.monotonic())
        reporter.add(channel)
    downlink.load(time.monotonic())
    sockets = [
        *_open_socket(camera, frames, FromCamera, stack),
        *_open_socket(config.private, items, FromPayload, stack),
    ]
    folders = [
        *_open_folder(camera, frames, FRAME_WORDS, min(_FOLDER_CHUNK, camera.window_bytes // 2)),
        *_open_folder(config.private, items, ITEM_WORDS, _FOLDER_CHUNK),
    ]
    return Daemon(
        config, spool=spool, entity=entity, workshop=workshop, frames=frames, items=items,
        downlink=downlink, reporter=reporter, channels=channels, links=links, sockets=sockets,
        folders=folders,
    )


def _context(stack: ExitStack) -> zmq.Context[zmq.Socket[bytes]]:
    return stack.enter_context(zmq.Context())


def _open_link(destination: Destination, stack: ExitStack) -> Client:
    keys = ClientKeys(
        read_curve_secret(destination.secret_key), read_curve_public(destination.server_key)
    )
    settings = Settings(largest_packet(destination.cfdp.max_pdu), _LINK_QUEUE)
    client = Client(_context(stack), destination.address, destination.name, settings, keys)
    stack.callback(client.close)
    return client


def _open_channel(
    config: OnboardConfig, destination: Destination, link: Client, entity: Entity, apids: Apids,
    initialise: bool,
) -> Channel:
    state = LinkState(config.state_dir / "links", destination.name)
    if initialise:
        state.initialise(read_link_keys(destination.link_keys), security.Direction.DOWN, 0)
    sender, receiver = state.open(
        security.Direction.DOWN, _MARGIN, clock=time.time(), random=os.urandom
    )
    remote = Remote(
        destination.name, destination.entity, destination.cfdp.max_pdu, destination.rate
    )
    return Channel(
        link, remote, entity, PacketType.TM, apids, sender=sender, receiver=receiver,
        save=state.save,
    )


def _open_socket(
    intake: Intake, machine: Machine, kind: UnionType, stack: ExitStack
) -> list[SocketIntake]:
    if intake.bind is None:
        return []
    secret = None if intake.secret_key is None else read_curve_secret(intake.secret_key)
    try:
        with _umask(_SOCKET_UMASK):
            server = Server(
                _context(stack), intake.bind, intake.allow_list(),
                Settings(MAX_MESSAGE, _INTAKE_QUEUE), secret_key=secret,
            )
    except zmq.ZMQError as error:
        raise OccultaError(
            Reason.OUTPUT_UNWRITABLE, f"cannot listen at {intake.bind}: {error.strerror}"
        ) from None
    stack.callback(server.close)
    return [SocketIntake(server, machine, kind)]


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def _open_folder(
    intake: Intake, machine: Machine, words: Words, chunk: int
) -> list[FolderIntake]:
    if intake.folder is None:
        return []
    folder = Path(intake.folder)
    try:
        return [FolderIntake(folder, machine, words, intake.poll_interval, chunk)]
    except OSError as error:
        raise OccultaError(
            Reason.OUTPUT_UNWRITABLE, f"cannot make {folder}: {error.strerror}"
        ) from None

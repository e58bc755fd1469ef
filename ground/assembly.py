"""How the ground node is put together from its configuration."""

from __future__ import annotations

import argparse
import logging
import os
import time
from contextlib import ExitStack

import zmq

from ground import command
from ground.archive import Archive
from ground.config import GroundConfig, Satellite
from ground.linkstore import LinkStore
from ground.metrics import MetricsServer
from ground.node import Node
from ground.telecommands import telecommand
from ground.trust import Trust, read_revocations
from ground.uplink import Uplink
from ground.worker import Worker
from occulta.codec import crypto
from occulta.errors import OccultaError, Reason
from occulta.link import security
from occulta.link.cfdp import Entity
from occulta.link.endpoint import Server, Settings
from occulta.link.messages import MAX_MESSAGE
from occulta.link.space_packet import PacketType
from occulta.program import config as configuration
from occulta.program import files, keyfiles
from occulta.program.channel import Channel, Remote, largest_packet
from occulta.program.filestore import DiskFilestore
from occulta.program.linkkeys import read_curve_secret, read_link_keys
from occulta.program.linkstate import LinkState

_QUEUE = 64
_MARGIN = 64
"""Packets from a satellite that a crash of this node may cost: they are sent again.

Until so many have come nothing is heard, so that few are best where a satellite has little to send.
"""
_RECOVERY_TIMEOUT = 600.0


def run(options: argparse.Namespace) -> int:
    """The command."""
    config = configuration.load(options.config, GroundConfig)
    logging.basicConfig(
        level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s"
    )
    with ExitStack() as stack:
        build(config, options.initialise, stack).run()
    return 0


def build(config: GroundConfig, initialise: bool, stack: ExitStack) -> Node:
    """A node ready to run; everything it opens is closed by `stack`; raises OccultaError."""
    files.make_folder(config.state_dir, 0o700)
    now = time.time()
    trust_file = _TrustFile(config)  # before they are read: what is added meanwhile is a change
    archive = Archive(config.archive_dir, _trust(config), now)
    stack.callback(archive.close)
    store = LinkStore(config.state_dir)
    stack.callback(store.close)
    snapshots = store.load()
    if store.notice is not None:
        archive.notices.append(f"{store.notice}; what was under way is sent again")
    remotes = [satellite.cfdp.remote(satellite.entity) for satellite in config.satellites]
    filestore = DiskFilestore(
        config.state_dir / "outgoing", archive.inbox, replace=True, by_source=True
    )
    entity = Entity(config.entity, remotes, filestore, durable=True)
    for line in entity.load(snapshots, time.monotonic()):
        archive.notices.append(f"dropped: {line}")
    if swept := filestore.sweep(entity.transactions()):
        archive.notices.append(f"{swept} files of transfers that nobody knows were removed")
    links = {}
    for satellite in config.satellites:
        server = _open_server(satellite, stack)
        channel = _open_channel(config, satellite, server, entity, initialise)
        links[server] = Uplink(
            satellite.name, channel, satellite.apids.of_packets(), patience=_patience(satellite)
        )
    node = Node(
        archive=archive, worker=_open_worker(config, archive, stack),
        has_keys=bool(config.keys), entity=entity, store=store,
        links=links, console=_open_console(config, stack), commands=telecommand,
        changed_trust=trust_file.changed,
    )
    if config.metrics is not None:
        host, port = config.metrics.host, config.metrics.port
        node.metrics = MetricsServer(host, port, node.families, lambda: None)
        stack.callback(node.metrics.close)
    return node


class _TrustFile:
    """Looks whether the revocations have changed."""

    def __init__(self, config: GroundConfig) -> None:
        self._config = config
        self._seen = self._stamp()

    def _stamp(self) -> tuple[int, int] | None:
        """Time and size: a coarse clock may give two additions one time."""
        path = self._config.revocations
        try:
            found = None if path is None else path.stat()
        except OSError:
            return None
        return found and (found.st_mtime_ns, found.st_size)

    def changed(self) -> Trust | None:
        """Read them again if so; raises OccultaError."""
        stamp = self._stamp()
        if stamp == self._seen:
            return None
        trust = _trust(self._config)
        self._seen = stamp
        return trust


def _trust(config: GroundConfig) -> Trust:
    """Known keys go by their files' names."""
    is_alone = len(config.known_satellites) == 1
    known = {
        path.stem if is_alone else str(path): keyfiles.read_key(str(path), crypto.VerifyingKey)
        for path in config.known_satellites
    }
    revoked = () if config.revocations is None else read_revocations(config.revocations)
    try:
        return Trust(known, revoked)
    except ValueError as error:
        raise OccultaError(Reason.CONFIG_INVALID, f"known_satellites: {error}") from None


def _open_worker(config: GroundConfig, archive: Archive, stack: ExitStack) -> Worker:
    keys = [keyfiles.read_key(str(path), crypto.PrivateKey) for path in config.keys]
    archive.set_recipients([key.public.fingerprint for key in keys])
    worker = Worker(config.archive_dir, config.keys, timeout=_RECOVERY_TIMEOUT)
    stack.callback(worker.close)
    return worker


def _patience(satellite: Satellite) -> float:
    """Far less than what it takes a transaction to end for want of an answer."""
    cfdp = satellite.cfdp
    return min(2 * cfdp.ack_interval, 2 * cfdp.nak_interval, cfdp.inactivity / 2)


def _open_server(satellite: Satellite, stack: ExitStack) -> Server:
    settings = Settings(largest_packet(satellite.cfdp.max_pdu), _QUEUE)
    secret = read_curve_secret(satellite.secret_key)
    return _listen(satellite.bind, satellite.allow_list(), settings, secret, stack)


def _listen(
    address: str, allowed: dict[bytes, str], settings: Settings, secret: bytes | None,
    stack: ExitStack,
) -> Server:
    context = stack.enter_context(zmq.Context())
    try:
        server = Server(context, address, allowed, settings, secret_key=secret)
    except zmq.ZMQError as error:
        raise OccultaError(
            Reason.OUTPUT_UNWRITABLE, f"cannot listen at {address}: {error.strerror}"
        ) from None
    stack.callback(server.close)
    return server


def _open_channel(
    config: GroundConfig, satellite: Satellite, server: Server, entity: Entity, initialise: bool
) -> Channel:
    state = LinkState(config.state_dir / "links", satellite.name)
    if initialise:
        state.initialise(read_link_keys(satellite.link_keys), security.Direction.UP, 0)
    sender, receiver = state.open(
        security.Direction.UP, _MARGIN, clock=time.time(), random=os.urandom
    )
    remote = Remote(satellite.clients[0].name, satellite.entity, satellite.cfdp.max_pdu)
    return Channel(
        server, remote, entity, PacketType.TC, satellite.apids.of_packets(), sender=sender,
        receiver=receiver, save=state.save,
        # A late answer to a command of the last run must not pass for one of this run.
        first_count=int.from_bytes(os.urandom(2), "big") >> 2,
    )


def _open_console(config: GroundConfig, stack: ExitStack) -> Server | None:
    if config.console is None:
        return None
    allowed = {seat.encode(): seat for seat in command.SEATS}
    return _listen(config.console, allowed, Settings(MAX_MESSAGE), None, stack)

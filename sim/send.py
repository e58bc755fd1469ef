"""`occulta-sim camera --connect`: frames or private data to a flight daemon over ZeroMQ."""

from __future__ import annotations

import argparse
import hashlib
import io
import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import zmq

from occulta.errors import OccultaError, Reason
from occulta.link.endpoint import Client, ClientKeys, Settings, Socket
from occulta.link.messages import MAX_MESSAGE, FrameBegin, ItemBegin, Name
from occulta.program.files import read_failure
from occulta.program.linkkeys import read_curve_public, read_curve_secret
from occulta.program.naming import id_of_file
from occulta.program.sections import Address
from sim.camera import photograph
from sim.feed import Feeder, FrameFeeder, ItemFeeder, Offer
from sim.transfer import DAEMON, Transfer

CAMERA, PAYLOAD = "camera", "payload"
"""The names in the configuration that `occulta-ground provision` writes."""
LONGEST_INTERVAL = 86_400
PATIENCE = 60.0
"""Seconds without an answer that count as a loss: without its compiled kernel a daemon is slow."""


def add_arguments(parser: argparse.ArgumentParser, where: Any) -> None:
    """The options that belong to `--connect`, which goes to the group `where`."""
    where.add_argument(
        "--connect", metavar="ADDRESS",
        help="send to the daemon that listens there, and wait until everything is stored",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--frames", type=Path, metavar="DIR", help="send the files of a folder")
    what.add_argument("--synthetic", type=int, metavar="N", help="send N pictures, seeds from SEED")
    what.add_argument(
        "--private", type=Path, nargs="+", metavar="FILE",
        help="send private data: ADDRESS is where the daemon takes that",
    )
    parser.add_argument("--name", help="the camera's, as in the daemon's list of clients")
    parser.add_argument("--key", type=Path, metavar="FILE", help="own CURVE secret key")
    parser.add_argument("--server-key", type=Path, metavar="FILE", help="daemon's CURVE public key")
    parser.add_argument("--interval", type=float, default=0.0, metavar="S", help="between frames")
    parser.add_argument(
        "--timeout", type=float, metavar="S",
        help="give up after so long without an answer from the daemon (default: never)",
    )
    parser.add_argument("--sensitive", action="store_true", help="say so of every frame")


def send(options: argparse.Namespace) -> int:
    """Send everything and wait; raises OccultaError, also if anything is refused for good."""
    address, identity = _address(options), _identity(options)
    timeout = math.inf if options.timeout is None else options.timeout
    if not timeout > 0:
        raise OccultaError(Reason.USAGE, "--timeout takes a number of seconds above 0")
    feeder = _feeder(options)
    with zmq.Context[Socket]() as context:
        try:
            client = Client(context, address, DAEMON, Settings(MAX_MESSAGE), identity)
        except ValueError as error:
            raise OccultaError(Reason.USAGE, str(error), "give --key and --server-key") from None
        except zmq.ZMQError as error:
            raise OccultaError(Reason.USAGE, f"{address}: {error.strerror}") from None
        with closing(client):
            refused = Transfer(client, feeder, address, timeout).run()
    if refused:
        raise OccultaError(Reason.NOT_TAKEN, f"{refused} refused for good, the rest is stored")
    return 0


def _address(options: argparse.Namespace) -> str:
    try:
        address = Address.from_config(options.connect, Path.cwd())
    except ValueError as error:
        raise OccultaError(Reason.USAGE, f"--connect {options.connect}: {error}") from None
    if not address.is_definite:
        raise OccultaError(Reason.USAGE, "--connect needs a host and a port")
    return address


def _identity(options: argparse.Namespace) -> ClientKeys | bytes:
    if (options.key is None) is not (options.server_key is None):
        raise OccultaError(Reason.USAGE, "--key and --server-key go together")
    if options.key is not None:
        return ClientKeys(read_curve_secret(options.key), read_curve_public(options.server_key))
    return _name(options).encode()


def _name(options: argparse.Namespace) -> str:
    default = CAMERA if options.private is None else PAYLOAD
    name = default if options.name is None else str(options.name)
    try:
        return msgspec.convert(name, Name)
    except ValueError:
        what = "--name takes 1 to 64 of A-Z, a-z, 0-9, period, underscore, hyphen"
        raise OccultaError(Reason.USAGE, what) from None


def _feeder(options: argparse.Namespace) -> Feeder[Any]:
    if options.private is not None:
        return ItemFeeder([_item(path) for path in options.private], patience=PATIENCE)
    name = _name(options)
    if not 0 <= options.interval <= LONGEST_INTERVAL:
        raise OccultaError(Reason.USAGE, f"--interval takes 0 to {LONGEST_INTERVAL} seconds")
    if options.synthetic is not None and options.synthetic < 1:
        raise OccultaError(Reason.USAGE, "--synthetic takes 1 or more")
    if options.frames is not None:
        offers = _frames_of(options.frames, name, options.sensitive)
    elif options.synthetic is not None:
        offers = islice(_synthetic(options, name), options.synthetic)
    else:
        raise OccultaError(Reason.USAGE, "--connect needs --frames, --synthetic or --private")
    return FrameFeeder(offers, patience=PATIENCE, interval=options.interval)


def _frames_of(folder: Path, camera: str, sensitive: bool) -> Iterator[Offer[FrameBegin]]:
    try:
        paths = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    except OSError as error:
        raise read_failure(error, folder) from None
    if not paths:
        raise OccultaError(Reason.USAGE, f"no files in {folder}")
    return (_frame_of(path, camera, sensitive) for path in paths)


def _frame_of(path: Path, camera: str, sensitive: bool) -> Offer[FrameBegin]:
    key, size = _measure(path)
    taken = min(max(0.0, path.stat().st_mtime), time.time())
    return Offer(FrameBegin(key, camera, size, taken, sensitive, {}), _reader(path))


def _item(path: Path) -> Offer[ItemBegin]:
    key, size = _measure(path)
    return Offer(ItemBegin(key, size, ()), _reader(path))


def _synthetic(options: argparse.Namespace, camera: str) -> Iterator[Offer[FrameBegin]]:
    """Each is made when its turn comes."""
    for seed in count(options.seed):
        picture = photograph(seed, options.megapixels, options.quality)
        key = id_of_file(f"seed-{seed}", hashlib.sha256(picture).hexdigest())
        begin = FrameBegin(key, camera, len(picture), time.time(), options.sensitive, {})
        yield Offer(begin, partial(io.BytesIO, picture))


def _reader(path: Path) -> Callable[[], BinaryIO]:
    return lambda: path.open("rb")


def _measure(path: Path) -> tuple[str, int]:
    """An id by name and content, so that the same file is stored once; and the size."""
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            return id_of_file(path.name, digest), stream.tell()
    except OSError as error:
        raise read_failure(error, path) from None

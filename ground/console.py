"""`occulta-ground list`, `show`, `watch` and `revoke`: the archive as its operator sees it.

The archive's database is only read; the node that writes it may run or not.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ground import rows
from ground.config import GroundConfig
from ground.database import ReadOnlyDatabase
from ground.outcome import read_report
from ground.product import ARCHIVE_DATABASE, SETTLED, SHARES, Product, State, product_folder
from ground.trust import Revocation, add_revocation
from occulta.codec.crypto import VerifyingKey
from occulta.errors import OccultaError, Reason
from occulta.link.messages import satellite_fingerprint
from occulta.program import cli, config, keyfiles

POLL_INTERVAL = 0.25
"""Seconds between two looks of `watch`."""
_NO_PROFILE = ("profile", "none")
_MAX_TIME = 253_402_300_799
"""The end of the year 9999."""


def add_commands(commands: Any) -> None:
    """The commands' options."""
    listing = commands.add_parser("list", help="list the products in the archive")
    _add_archive(listing, "print an array of JSON")
    listing.add_argument("--state", choices=[state.value for state in State])
    listing.set_defaults(handler=run_list)
    show = commands.add_parser("show", help="say all that is known of a product")
    show.add_argument("product", metavar="ID", help="its id or the beginning of it, or a frame id")
    _add_archive(show, "print JSON")
    show.set_defaults(handler=run_show)
    watch = commands.add_parser("watch", help="follow new products as they come and are recovered")
    _add_archive(watch, "print a line of JSON for each change")
    watch.add_argument("--count", metavar="N", type=_count, help="until N recoveries have ended")
    watch.add_argument("--timeout", metavar="SECONDS", type=_seconds, default=math.inf)
    watch.set_defaults(handler=run_watch)
    revoke = commands.add_parser("revoke", help="let a satellite's signatures count no longer")
    revoke.add_argument("key", metavar="KEY.pub", help="the satellite's public key")
    revoke.add_argument(
        "--since", metavar="TIME", type=_time, required=True,
        help="what was made from then on is not authentic: 2026-05-01T12:00:00Z, or seconds since"
        " 1970; UTC unless it says otherwise",
    )
    where = revoke.add_mutually_exclusive_group(required=True)
    where.add_argument("--config", metavar="ground.yaml", help="whose file of revocations")
    where.add_argument("--file", metavar="FILE", type=Path, help="the file of revocations itself")
    revoke.set_defaults(handler=run_revoke)


def _add_archive(command: argparse.ArgumentParser, text: str) -> None:
    command.add_argument("--archive", metavar="DIR", type=Path, required=True)
    command.add_argument("--json", action="store_true", help=text)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("give a number from 1 on")
    return int(text)


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1
    if not 0 <= found < math.inf:
        raise argparse.ArgumentTypeError("give a number of seconds")
    return found


def _time(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = _date(text)
    if not 0 <= found <= _MAX_TIME:
        raise argparse.ArgumentTypeError("give a time such as 2026-05-01T12:00:00Z")
    return found


def _date(text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return -1
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


# --- list


def run_list(options: argparse.Namespace) -> int:
    """The command."""
    with closing(_open(options.archive)) as database:
        found = rows.all_products(database)
    if options.state:
        found = [product for product in found if product.state.value == options.state]
    if options.json:
        cli.say(json.dumps([product.as_dict() for product in found]))
    else:
        cli.say("\n".join(map(_line, found)) or "no products")
    return 0


def _open(archive: Path) -> ReadOnlyDatabase:
    return ReadOnlyDatabase(archive / ARCHIVE_DATABASE, rows.SCHEMA)


def _line(product: Product) -> str:
    # A frame id holds no blanks; a verdict is the rest of the line.
    said = product.verdict or _signer(product)
    if product.scheme == SHARES and product.state not in SETTLED:
        said = f"share held, not checked yet, {_signer(product)}"
    return (
        f"{product.id.hex()}  {_when(product.received_at)}  {_state(product):<10}"
        f"  {product.size:>10}  {product.frame_id}  {said}"
    )


def _state(product: Product) -> str:
    """Nothing is recovered of a share alone, on a node with a key as on one without."""
    is_share = product.scheme == SHARES and product.state is State.RECOVERING
    return "checking" if is_share else product.state.value


def _signer(product: Product) -> str:
    if product.revoked:
        return "revoked signer"
    return f"signed by {product.satellite}" if product.satellite else "unknown signer"


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- show


def run_show(options: argparse.Namespace) -> int:
    """The command."""
    with closing(_open(options.archive)) as database:
        product = _choose(rows.all_products(database), options.product)
    folder = product_folder(options.archive, product.id.hex())
    said = product.as_dict() | {
        "folder": str(folder), "files": _files(folder), "report": read_report(folder),
    }
    if options.json:
        cli.say(json.dumps(said))
    else:
        said["state"] = _state(product)
        cli.say("\n".join(_told({k: v for k, v in said.items() if (k, v) != _NO_PROFILE})))
    return 0


def _choose(products: Iterable[Product], wanted: str) -> Product:
    """By its frame id, or by the beginning of its own."""
    found = [
        product for product in products
        if product.frame_id == wanted or product.id.hex().startswith(wanted.lower())
    ]
    if len(found) != 1:
        what = f"{len(found)} products have" if found else "no product has"
        raise OccultaError(
            Reason.USAGE, f"{what} the frame id {wanted}, or an id that begins with it",
            "occulta-ground list shows every id",
        )
    return found[0]


def _files(folder: Path) -> dict[str, int]:
    """Names and sizes of what lies there; what is being written is left out."""
    try:
        found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        return {path.name: path.lstat().st_size for path in found}
    except OSError as error:
        raise OccultaError(
            Reason.INPUT_UNREADABLE, f"cannot read {folder}: {error.strerror}"
        ) from None


def _told(said: dict[str, Any], indent: str = "") -> Iterable[str]:
    """One line for each value, indented below what it belongs to."""
    for name, value in said.items():
        is_time = name.endswith("_at") and isinstance(value, float) and 0 <= value <= _MAX_TIME
        shown = _when(value) if is_time else value
        if isinstance(value, dict):
            yield f"{indent}{name}:"
            yield from _told(value, f"{indent}  ")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for number, entry in enumerate(value, 1):
                yield f"{indent}{name} {number}:"
                yield from _told(entry, f"{indent}  ")
        elif value is not None and value != []:
            yield f"{indent}{name}: {json.dumps(shown) if isinstance(shown, list) else shown}"


# --- watch


def run_watch(options: argparse.Namespace) -> int:
    """The command."""
    with closing(_open(options.archive)) as database:
        show: Callable[[Product], str] = _line
        if options.json:
            show = _json_line
        _watch(database, show, options.count, time.monotonic() + options.timeout)
    return 0


def _json_line(product: Product) -> str:
    return json.dumps(product.as_dict())


def _watch(
    database: ReadOnlyDatabase, show: Callable[[Product], str], count: int | None, end: float
) -> None:
    number = rows.last_change(database)
    settled = 0
    while time.monotonic() < end:
        changed, number = rows.changed_since(database, number)
        for product in changed:
            if product.state is State.RECOVERING:
                continue
            cli.say(show(product))
            settled += product.state in SETTLED
            if settled == count:
                return
        time.sleep(min(POLL_INTERVAL, max(0.0, end - time.monotonic())))
    if count is not None:
        raise OccultaError(
            Reason.INPUT_UNREADABLE, f"{settled} of {count} recoveries have ended in this time",
            "occulta-ground list shows what waits; --timeout sets the time",
        )


# --- revoke


def run_revoke(options: argparse.Namespace) -> int:
    """The command."""
    key = keyfiles.read_key(options.key, VerifyingKey)
    path = options.file or _configured(options.config)
    fingerprint = satellite_fingerprint(key)
    add_revocation(path, Revocation(fingerprint, options.since))
    cli.say(
        f"{path}: {fingerprint.hex()} is revoked since {_when(options.since)};"
        " a running node knows it within seconds"
    )
    return 0


def _configured(path: str) -> Path:
    found = config.load(path, GroundConfig).revocations
    if found is None:
        raise OccultaError(
            Reason.CONFIG_INVALID, f"{path} names no revocations",
            "set revocations to a file's path, or give --file",
        )
    return found

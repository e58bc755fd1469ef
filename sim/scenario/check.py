"""What arrived against what was sent: every byte compared here, whatever the programs say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from ground import rows
from ground.archive import INBOX
from ground.database import ReadOnlyDatabase
from ground.outcome import read_report
from ground.product import (
    ARCHIVE_DATABASE,
    CARRIER,
    DATA,
    ITEMS,
    ITEMS_DATABASE,
    MANIFEST,
    PLAIN,
    REPORT,
    Product,
    State,
    product_folder,
    received_name,
)
from occulta.errors import OccultaError
from occulta.program.filestore import PARTS
from occulta.program.lock import LOCK
from sim.files import same_bytes
from sim.scenario.frames import Frame

VERDICT = "intact, authentic"
_STRANGE = "does not belong in the archive"


@dataclass(frozen=True, slots=True)
class Joined:
    """A frame that came in shares: where it was restored to, and the bytes of all of them."""

    folder: Path
    size: int


@dataclass
class Arrival:
    """What came of one frame; `faults` is empty where all is as it should be."""

    frame: Frame
    product: Product | None = None
    verdict: str = "missing"
    received: Path | None = None
    """What came down, in the archive."""
    restored: Path | None = None
    is_restored: bool = False
    """The restored picture is byte for byte the original."""
    is_private_same: bool = False
    """The private file that went with it is byte for byte the original."""
    size: int = 0
    """Bytes of the product, of all shares where it became several."""
    hidden: int = 0
    """Bytes of private data that it carried, as records."""
    faults: list[str] = field(default_factory=list)


def products_in(archive: Path) -> list[Product]:
    """All products as the node knows them by now; none while there is no archive yet.

    Raises OccultaError(INPUT_UNREADABLE).
    """
    if not (archive / ARCHIVE_DATABASE).is_file():
        return []
    with closing(ReadOnlyDatabase(archive / ARCHIVE_DATABASE, rows.SCHEMA)) as database:
        return rows.all_products(database)


def check(
    archive: Path, frames: Sequence[Frame], joined: Mapping[str, Joined] | None = None
) -> tuple[list[Arrival], list[str]]:
    """What came of each frame, and every fault, in the archive as a whole too.

    `joined` are those that came in shares, by their names; others are restored in the archive.
    """
    products: list[Product] = []
    faults = []
    try:
        products = products_in(archive)
    except OccultaError as error:
        faults.append(error.detail)
    arrivals = [
        _arrival(archive, frame, products, (joined or {}).get(frame.name)) for frame in frames
    ]
    _check_copies(archive, arrivals)
    faults += [fault for arrival in arrivals for fault in arrival.faults]
    return arrivals, faults + list(_strangers(archive, arrivals))


def _arrival(
    archive: Path, frame: Frame, products: Sequence[Product], joined: Joined | None
) -> Arrival:
    found = [product for product in products if product.frame_id == frame.name]
    arrival = Arrival(frame)
    if len(found) == 1:
        _look(archive, arrival, found[0], joined)
    else:
        times = "is missing" if not found else f"arrived {len(found)} times"
        arrival.faults.append(f"{frame.name} {times}")
    if frame.private is not None:
        _compare_private(archive, arrival, frame.private)
    return arrival


def _look(archive: Path, arrival: Arrival, product: Product, joined: Joined | None) -> None:
    """The product of a frame: its verdict, and its picture."""
    folder, name = product_folder(archive, product.id.hex()), arrival.frame.name
    place = folder if joined is None else joined.folder
    report = read_report(place) or {}
    arrival.product = product
    arrival.verdict = str(report.get("verdict", product.state.value))
    if joined is not None:
        arrival.verdict = arrival.verdict.partition(": ")[0]  # behind it, of how many shares
    arrival.size = product.size if joined is None else joined.size
    arrival.hidden = report.get("private_bytes") or 0
    arrival.received = folder / received_name(product.scheme)
    arrival.restored = place / _carrier(product)
    arrival.is_restored = same_bytes(arrival.frame.picture, arrival.restored)
    if not arrival.is_restored:
        arrival.faults.append(f"{name}: the restored picture is not the original")
    if not (arrival.verdict == VERDICT and _is_vouched_for(product, joined)):
        arrival.faults.append(f"{name}: the verdict is '{arrival.verdict}', not '{VERDICT}'")


def _is_vouched_for(product: Product, joined: Joined | None) -> bool:
    if joined is not None:  # the node has looked at its share alone
        return product.state is State.SHARE and product.authentic
    return product.state is State.RECOVERED and product.authentic and product.verdict == VERDICT


def _compare_private(archive: Path, arrival: Arrival, private: Path) -> None:
    item = arrival.frame.item
    found = list((archive / ITEMS).glob(f"*/{item}.bin"))
    if len(found) != 1:
        times = "is missing" if not found else f"arrived {len(found)} times"
        arrival.faults.append(f"{item} {times}")
        return
    arrival.is_private_same = same_bytes(private, found[0])
    if not arrival.is_private_same:
        arrival.faults.append(f"{item}: the private file is not the original")


def _check_copies(archive: Path, arrivals: Sequence[Arrival]) -> None:
    """Each private file lies in the folder of the product that completed it, too."""
    originals = {arrival.frame.item: arrival.frame.private for arrival in arrivals}
    for arrival in arrivals:
        if arrival.product is None:
            continue
        product = arrival.product.id.hex()
        folder = product_folder(archive, product)
        report = read_report(folder) or {}
        items = [item for item in report.get("items", ()) if item["completed_by"] == product]
        for item, name in zip_longest(items, report.get("private", ())):
            original = item and originals.get(item["item"])
            if original is None or not name or not same_bytes(original, folder / name):
                arrival.faults.append(f"{arrival.frame.name}: {name} is no private file of ours")
            elif not item["authentic"]:
                arrival.faults.append(f"{item['item']} is not authentic")


def _strangers(archive: Path, arrivals: Sequence[Arrival]) -> Iterator[str]:
    """Whatever lies in the archive beside what was sent."""
    expected = {path for arrival in arrivals for path in _files_of(archive, arrival)}
    databases = (ARCHIVE_DATABASE, ITEMS_DATABASE)
    if unfinished := len(list((archive / INBOX / PARTS).glob("*"))):
        yield f"{unfinished} transfers were unfinished"
    for path in sorted(archive.rglob("*")):
        is_own = path.parent == archive and (
            path.name == LOCK or path.name.startswith(databases)
        )
        if path.is_file() and path not in expected and not is_own and path.parent.name != PARTS:
            name = path.relative_to(archive)
            is_half = name.match(f"{INBOX}/*/*/*") and name.name in (DATA, MANIFEST)
            what = "waits for the rest of its product" if is_half else _STRANGE
            yield f"{name} {what}"


def _files_of(archive: Path, arrival: Arrival) -> Iterator[Path]:
    """Where everything that came of a frame may lie."""
    product = arrival.product
    if product is None:
        return
    folder = product_folder(archive, product.id.hex())
    private = (read_report(folder) or {}).get("private", ())
    names = {received_name(product.scheme), MANIFEST, REPORT, _carrier(product), *private}
    yield from (folder / name for name in names)
    yield archive / ITEMS / product.signer.hex() / f"{arrival.frame.item}.bin"


def _carrier(product: Product) -> str:
    return received_name(PLAIN) if product.scheme == PLAIN else CARRIER



"""The ground archive: a row for each product in `archive.db`, and a folder of its files.

    inbox/<entity>/<id>/  data, manifest: as CFDP delivered them, from this source
    products/<id>/        received.jpg (.sealed, .occ; .bin for a scheme that is not known),
                          manifest; carrier.jpg, private.bin, report.json once recovered
    items/, items.db      private data that arrives in pieces (items.py)
    rejected/<id>-<n>/    what was refused, and why (inbox.py)
    lock                  held while the archive is open

A pair is verified in the inbox, then its folder is renamed into `products`, then its row is
committed: whatever lies in `products` has been verified, and a folder without a row is one whose
archiving was interrupted, or whose row was lost. Both are made good in the same way.
"""

from __future__ import annotations

import filecmp
import os
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ground import rows
from ground.database import Database, open_database
from ground.inbox import (
    Disposition,
    Offer,
    Pair,
    Rejected,
    RejectedFolder,
    Rejection,
    check_digest,
    check_size,
    entries,
    entry_of,
    is_complete,
    is_product_name,
    read_pair,
)
from ground.items import ITEMS_SCHEMA
from ground.outcome import Outcome, outcome_of, read_report
from ground.product import (
    ARCHIVE_DATABASE,
    DATA,
    ITEMS,
    ITEMS_DATABASE,
    MANIFEST,
    PRODUCTS,
    SETTLED,
    SHARES,
    Job,
    Product,
    State,
    product_folder,
    received_name,
    received_names,
)
from ground.reassess import apply_trust, correct_reports
from ground.trust import Trust
from occulta.errors import OccultaError, Reason
from occulta.program import files
from occulta.program.lock import lock

INBOX, REJECTED, REMOVED = "inbox", "rejected", ".removed"


def _nothing(step: str) -> None:
    """No checkpoint."""


class Archive:
    """One process writes it, and locks it; any number may read its database.

    `now` is in seconds since 1970-01-01 UTC. Every method may raise OccultaError: DISK_FULL or
    OUTPUT_UNWRITABLE; what it was about is then done by the next `scan`.
    """

    def __init__(
        self, folder: Path, trust: Trust, now: float,
        checkpoint: Callable[[str], object] = _nothing,
    ) -> None:
        """Open it, made if it is missing. `checkpoint` is told each step that was done.

        Raises OUTPUT_UNWRITABLE, and changes nothing, while another process has it open.
        """
        self.inbox = folder / INBOX
        """Where CFDP puts what it receives, below a folder for each source."""
        self.notices: list[str] = []
        """What an operator should be told; the caller takes them away."""
        self.counters: Counter[str] = Counter({each.value: 0 for each in Disposition})
        self.rejections: Counter[str] = Counter({each.value: 0 for each in Rejection})
        self._folder = folder
        self._checkpoint = checkpoint
        with ExitStack() as stack:
            stack.callback(os.close, lock(folder, "ground node"))
            with _reaching(folder):
                for name in (INBOX, PRODUCTS, ITEMS, REMOVED):
                    (folder / name).mkdir(0o700, exist_ok=True)
                self._sweep()
                self._rejected = RejectedFolder(folder / REJECTED)
            self._database = self._open_database()
            stack.callback(self._database.close)
            rows.restart(self._database)
            self._rename_shares()
            self.set_trust(trust)
            self._adopt(now)
            self._held = stack.pop_all()

    def close(self) -> None:
        """It is no longer needed."""
        self._held.close()

    # --- in

    def offer(self, path: Path, now: float) -> Offer | None:
        """A file was delivered below the inbox: archive its product, or None if it is incomplete.

        Reads the whole file, for its digest. Raises ValueError for a path elsewhere.
        """
        entry = entry_of(self.inbox, path)
        with _reaching(entry):
            try:
                return self._judge(entry, now) if os.path.lexists(entry) else None
            except Rejected as error:
                return self._reject(entry, error, now)

    def scan(self, now: float) -> list[Offer]:
        """Archive everything complete in the inbox, and make good what was interrupted."""
        self._adopt(now)
        with _reaching(self.inbox):
            found = list(entries(self.inbox))
        offers = []
        for entry in found:
            try:
                offers.append(self.offer(entry, now))
            except OccultaError as error:  # the others may have more luck
                self.notices.append(f"{entry.name} waits: {error}")
        return [offer for offer in offers if offer]

    def _judge(self, entry: Path, now: float) -> Offer | None:
        if not is_complete(entry):
            return self._judge_half(entry)
        pair = read_pair(entry, self._trust.keys)
        check_size(entry / DATA, pair.data.size)
        check_digest(entry / DATA, pair.data.sha256)
        known = self.product(pair.manifest.product_id)
        if known is None:
            return self._archive(entry, pair, now)
        if pair.signer == known.signer or not pair.is_authentic:
            return self._drop(entry, pair, known)
        return self._contest(entry, pair, known, now)

    def _archive(self, entry: Path, pair: Pair, now: float) -> Offer:
        place = product_folder(self._folder, entry.name)
        entry.rename(place)
        self._checkpoint("moved")
        files.sync_folder(entry.parent)
        product = self._record(place, pair, now)
        self.counters[Disposition.ARCHIVED.value] += 1
        return Offer(Disposition.ARCHIVED, entry.name, product)

    def _record(self, place: Path, pair: Pair, received_at: float) -> Product:
        """Name the data for what it is, make the renames durable, then commit the row."""
        data, name = _data_in(place, pair.manifest.scheme), received_name(pair.manifest.scheme)
        if data.name != name:
            data.rename(place / name)
            self._checkpoint("named")
        for folder in (place, place.parent):
            files.sync_folder(folder)
        self._checkpoint("synced")
        satellite = self._trust.name(pair.signer) if pair.is_authentic else None
        revoked = pair.manifest.created_at >= self._trust.revoked_since(pair.signer)
        rows.insert(self._database, pair, satellite, revoked, received_at)
        self._checkpoint("recorded")
        return self._known(pair.manifest.product_id)

    def _judge_half(self, entry: Path) -> Offer | None:
        """After a crash CFDP may deliver one file again; its product is archived already."""
        known = self.product(bytes.fromhex(entry.name))
        if known is not None and self._is_same(entry, known):
            return self._discard(entry, known)
        if entry.parent == self.inbox:  # of a version that did not part the inbox by source
            raise Rejected(Rejection.STRAY, "half of a product, and nobody knows whose")
        return None

    def _is_same(self, entry: Path, known: Product) -> bool:
        place = product_folder(self._folder, entry.name)
        names = {DATA: received_name(known.scheme), MANIFEST: MANIFEST}
        pairs = [(path, place / names[path.name]) for path in entry.iterdir()]
        return all(old.is_file() and filecmp.cmp(new, old, shallow=False) for new, old in pairs)

    def _drop(self, entry: Path, pair: Pair, known: Product) -> Offer:
        if pair.data.sha256 != known.sha256:
            raise Rejected(Rejection.CONFLICT, "the product is archived with other data")
        return self._discard(entry, known)

    def _contest(self, entry: Path, pair: Pair, known: Product, now: float) -> Offer | None:
        """A known satellite's product has an id under which another signer's is archived.

        Whoever got hold of an id must not keep its satellite's product out: what is authentic
        takes the place of what is not.
        """
        revoked = pair.manifest.created_at >= self._trust.revoked_since(pair.signer)
        if known.authentic or revoked:
            raise Rejected(Rejection.CONFLICT, "another signer's product is archived by this id")
        if known.state is State.RECOVERING:
            return None  # its outcome would be taken for the other's: a later scan goes on
        rows.forget(self._database, known.id)
        self._checkpoint("forgotten")
        usurper = Rejected(Rejection.CONFLICT, "a known satellite's product bears this id")
        self._reject(product_folder(self._folder, entry.name), usurper, now)
        return self._archive(entry, pair, now)

    def _discard(self, entry: Path, known: Product) -> Offer:
        entry.rename(self._folder / REMOVED / entry.name)
        self._checkpoint("dropped")
        self._sweep()
        self.counters[Disposition.DUPLICATE.value] += 1
        return Offer(Disposition.DUPLICATE, entry.name, known)

    def _reject(self, entry: Path, error: Rejected, now: float) -> Offer:
        place = self._rejected.take(entry, error, now)
        self.counters[Disposition.REJECTED.value] += 1
        self.rejections[error.rejection.value] += 1
        self.notices.append(f"rejected {entry.name!a}: {error.detail}; kept in {place.name}")
        return Offer(
            Disposition.REJECTED, entry.name, rejection=error.rejection, detail=error.detail
        )

    def _sweep(self) -> None:
        for path in (self._folder / REMOVED).iterdir():
            shutil.rmtree(path)

    # --- what a crash or a damaged disk left

    def _open_database(self) -> Database:
        database, notice = open_database(self._folder / ARCHIVE_DATABASE, rows.SCHEMA)
        if notice:
            self.notices.append(f"{notice}; made again from the products' folders")
        items, notice = open_database(self._folder / ITEMS_DATABASE, ITEMS_SCHEMA)
        items.close()
        if notice:
            again = rows.recover_items_again(database)
            self.notices.append(f"{notice}; {again} products are recovered again")
        return database

    def _adopt(self, now: float) -> None:
        """Give a row to each folder that has none."""
        known = rows.ids(self._database)
        folder = self._folder / PRODUCTS
        with _reaching(folder):
            names = sorted(path.name for path in folder.iterdir() if is_product_name(path.name))
        adopted = 0
        for name in names:
            if bytes.fromhex(name) not in known:
                try:
                    adopted += self._adopt_one(folder / name, now)
                except OSError as error:  # of a bad disk, say: the others are to be had still
                    self.notices.append(f"product {name} cannot be reached: {error.strerror}")
        if adopted:
            self.notices.append(f"{adopted} products had no row")

    def _adopt_one(self, place: Path, now: float) -> bool:
        try:
            pair = read_pair(place, self._trust.keys)
            data = _data_in(place, pair.manifest.scheme)
            check_size(data, pair.data.size)
        except (Rejected, FileNotFoundError, NotADirectoryError) as error:
            self._reject(place, Rejected(Rejection.DAMAGED, str(error)), now)
            return False
        product = self._record(place, pair, (place / MANIFEST).stat().st_mtime)
        if data.name in (DATA, received_name(product.scheme)):  # else a report knew no such scheme
            self._settle_by_report(product.id, place)
        return True

    def _settle_by_report(self, product_id: bytes, place: Path) -> None:
        outcome = outcome_of(read_report(place))
        if outcome is not None and outcome.product == place.name and outcome.state in SETTLED:
            self._settle(product_id, outcome)

    def _rename_shares(self) -> None:
        """Shares that a version archived which did not know them get their name and their turn."""
        name, *older = received_names(SHARES)
        for product_id in rows.ids_of_scheme(self._database, SHARES):
            place = product_folder(self._folder, product_id.hex())
            try:
                found = _data_in(place, SHARES)
                if found.name in older:
                    rows.set_state(self._database, product_id, State.ARCHIVED)
                    found.rename(place / name)
                    files.sync_folder(place)
            except OSError as error:  # of a bad disk, say: the others are to be had still
                self.notices.append(f"product {place.name} cannot be reached: {error.strerror}")

    # --- recovery

    def next_to_recover(self, scheme: str | None = None) -> Product | None:
        """The oldest product whose recovery has not begun, of a scheme if one is named."""
        return rows.next_archived(self._database, scheme)

    def begin_recovery(self, product_id: bytes) -> Job:
        """What the worker is to do; raises ValueError for an unknown product."""
        product = self._known(product_id)
        rows.set_state(self._database, product_id, State.RECOVERING)
        key = self._trust.keys[product.signer].raw if product.authentic else None
        return Job(
            product=product_id.hex(), key=key, revoked=product.revoked,
            received_at=product.received_at,
        )

    def end_recovery(self, outcome: Outcome) -> Product:
        """What the worker said; raises ValueError for an unknown product.

        What failed for want of room alone is to be recovered again, and ARCHIVED.
        """
        if outcome.error is not None and outcome.error.number == Reason.DISK_FULL.value:
            product_id = bytes.fromhex(outcome.product)
            rows.set_state(self._database, product_id, State.ARCHIVED)
            return self._known(product_id)
        return self._settle(self._known(bytes.fromhex(outcome.product)).id, outcome)

    def set_recipients(self, fingerprints: Collection[bytes]) -> int:
        """The recipients' keys at hand; returns how many products a new one may open."""
        return rows.set_recipients(self._database, fingerprints)

    def _settle(self, product_id: bytes, outcome: Outcome) -> Product:
        rows.settle(self._database, product_id, outcome)
        correct_reports(self._database, self._folder)
        return self._known(product_id)

    # --- whose signatures count

    def set_trust(self, trust: Trust) -> None:
        """Known satellites and revocations, for what is archived too.

        A report that claims too much is corrected at once; where a signature counts that did not,
        the product is recovered again.
        """
        self._trust = trust
        apply_trust(self._database, self._folder, trust)
        correct_reports(self._database, self._folder)

    # --- out

    def product(self, product_id: bytes) -> Product | None:
        """One product."""
        return rows.product(self._database, product_id)

    def counts(self) -> dict[State, tuple[int, int]]:
        """Products and bytes received, for each state."""
        return rows.counts(self._database)

    def _known(self, product_id: bytes) -> Product:
        found = self.product(product_id)
        if found is None:
            raise ValueError(f"no product {product_id.hex()}")
        return found


def _data_in(place: Path, scheme: str) -> Path:
    """A product's data in its folder, by whichever name."""
    names = (DATA, *received_names(scheme))
    return next((place / name for name in names if (place / name).exists()), place / DATA)


@contextmanager
def _reaching(name: Path) -> Iterator[None]:
    """OSError becomes OccultaError: DISK_FULL or OUTPUT_UNWRITABLE."""
    try:
        yield
    except OSError as error:
        raise files.write_failure(error, name) from None

"""What is archived, when it changes whose signatures count."""

from __future__ import annotations

from pathlib import Path

from ground import rows
from ground.database import Database
from ground.inbox import Rejected, read_pair
from ground.outcome import distrust
from ground.product import State, product_folder
from ground.trust import Trust


def apply_trust(database: Database, archive: Path, trust: Trust) -> None:
    """Make every row say what is known of its signer now; raises OccultaError."""
    for signer, satellite in rows.signers(database):
        name = trust.name(signer)
        if satellite is None and name is not None:
            _verify_again(database, archive, trust, signer)
        elif satellite != name:
            rows.rename_satellite(database, signer, name)
        rows.set_revoked(database, signer, trust.revoked_since(signer))


def correct_reports(database: Database, archive: Path) -> None:
    """Reports that say something else than their rows; raises OccultaError.

    One that claims too much is corrected; where a signature counts that did not, or there is no
    report to correct, the product is recovered again.
    """
    for product in rows.misreported(database):
        folder = product_folder(archive, product.id.hex())
        said = None if product.authentic else distrust(folder, product.revoked)
        if said is None:
            rows.set_state(database, product.id, State.ARCHIVED)
        else:
            rows.restate(database, product.id, said)


def _verify_again(database: Database, archive: Path, trust: Trust, signer: bytes) -> None:
    """Products of a key that was not known when they came."""
    for product_id in rows.signed_by_unknown(database, signer):
        try:
            pair = read_pair(product_folder(archive, product_id.hex()), trust.keys)
        except (Rejected, OSError):
            continue  # as little authentic as before
        if pair.is_authentic:
            rows.set_satellite(database, product_id, trust.name(signer))

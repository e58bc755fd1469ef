"""How a recovery ended: the fields of report.json that the archive goes by, and its verdict.

`authentic` is true only where the manifest's signer was known and not revoked, and its signature
inside the seal verified too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ground.product import REPORT, State
from occulta.program import files

MAX_REPORT = 1 << 24
"""Bytes of a report that is read back."""
LACKS_KEY = "no_key"


class Failure(msgspec.Struct, frozen=True):
    """A numbered reason, as in occulta.errors."""

    number: int
    detail: str
    hint: str


class ItemEntry(msgspec.Struct, frozen=True):
    """One item of private data."""

    state: str


class ShareEntry(msgspec.Struct, frozen=True):
    """Which share of a frame it is, from 1, and how many restore the frame."""

    number: int
    holders: int
    threshold: int


class Outcome(msgspec.Struct, frozen=True):
    """How a recovery ended. The report holds more."""

    product: str
    state: State
    authentic: bool
    revoked: bool
    verdict: str
    error: Failure | None = None
    items: tuple[ItemEntry, ...] = ()
    share: ShareEntry | None = None

    @property
    def lacks_key(self) -> bool:
        """Whether another recipient key might open more."""
        return self.state is State.NO_KEY or any(item.state == LACKS_KEY for item in self.items)


def read_report(folder: Path) -> dict[str, Any] | None:
    """A product's report, None if there is none that can be read."""
    try:
        with open(folder / REPORT, "rb") as stream:
            found = json.loads(stream.read(MAX_REPORT))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def outcome_of(report: Mapping[str, Any] | None) -> Outcome | None:
    """What a report says of the recovery's end, None where it says nothing."""
    try:
        return msgspec.convert(report, Outcome)
    except msgspec.ValidationError:
        return None


def distrust(folder: Path, revoked: bool) -> str | None:
    """Take back a report's claim that the product is authentic; its new verdict.

    Raises OccultaError: DISK_FULL or OUTPUT_UNWRITABLE.
    """
    report = read_report(folder)
    if report is None or outcome_of(report) is None:
        return None
    entries = [item | {"authentic": False} for item in report.get("items", ())]
    report |= {"authentic": False, "revoked": revoked, "items": entries}
    report["verdict"] = verdict(report)
    with files.output(folder / REPORT, 0o600, replace=True) as new:
        new.write(encode_report(report))
        new.publish()
    return str(report["verdict"])


def encode_report(report: Mapping[str, Any]) -> bytes:
    """The content of report.json."""
    return (json.dumps(report, indent=2) + "\n").encode()


def verdict(report: Mapping[str, Any]) -> str:
    """One line."""
    if report.get("error"):
        return f"not verified: {report['error']['detail']}"
    share = report.get("share")
    words = [f"share {share['number']} of {share['holders']}, needs {share['threshold']}"
             if share else "intact"]
    if report["authentic"]:
        words.append("authentic")
    elif report["revoked"]:
        words.append("revoked signer")
    else:
        words.append("signature not checked" if report.get("signed") else "unsigned")
    if report.get("altered"):
        words.append("marked file altered")
    return ", ".join(words)

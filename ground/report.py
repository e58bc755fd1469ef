"""The report of a recovery: what was verified, in words with fixed meanings.

`intact`: the restored bytes match the sealed digest, whatever else was refused; what counts is the
verdict. `authentic`: the known satellite's signature inside the seal verifies. `altered`: the
marked file is not what marking the original gives.
"""

from __future__ import annotations

from dataclasses import dataclass

from occulta.errors import OccultaError
from occulta.schemes.reversible.recover import Recovered


@dataclass
class Report:
    """Filled in as a recovery goes on; nothing is true that was not checked."""

    intact: bool = False
    authentic: bool = False
    altered: bool | None = None
    signed: bool | None = None
    profile: str | None = None
    product_id: str | None = None
    private_bytes: int | None = None
    private_sha256: str | None = None
    carrier_bytes: int | None = None
    carrier_sha256: str | None = None
    error: OccultaError | None = None

    def enter(self, found: Recovered) -> None:
        """What the opened hidden stream says."""
        self.signed = bool(found.conclusion.signature)
        self.product_id = found.opened.unsealer.context.product_id.hex()
        self.private_bytes = found.opened.private_bytes
        self.private_sha256 = found.opened.unsealer.private_digest.hex()

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        said: dict[str, object] = {"scheme": "reversible"}
        said |= {name: value for name, value in vars(self).items() if name != "error"}
        if self.error is not None:
            said["error"] = self.error.as_dict()
        said["verdict"] = verdict(self)
        return said


def verdict(report: Report) -> str:
    """One line."""
    if report.error is not None:
        return f"not verified: {report.error.detail}"
    words = ["intact"]
    if report.authentic:
        words.append("authentic")
    elif report.signed:
        words.append("signature not checked")
    else:
        words.append("unsigned")
    if report.altered:
        words.append("marked file altered")
    return f"{', '.join(words)}: {report.private_bytes} private bytes, {report.profile}"

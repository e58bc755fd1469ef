"""The demonstration: protect a picture on board, recover it on the ground, measure both.

Every step is the real program in a process of its own; what came back is compared byte by byte
here, whatever the recovery says of itself.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from sim.command import Ran, must, run
from sim.files import same_bytes, workspace
from sim.pixels import decoded, psnr
from sim.private import customer_file
from sim.report import Page, render
from sim.results import Measured, Outcome, Refused, all_restored, table

PROFILES = ("exact", "paper")
FILLING = 0.6
"""Share of the smaller capacity that the default private file takes."""

LARGEST_PRIVATE = 64 * 1024
REFUSALS = (3, 4)
"""Exit statuses that mean "not this input" and "does not fit"."""


@dataclass(frozen=True)
class Options:
    """What the caller chose."""

    image: Path | None
    private: Path | None
    folder: Path
    seed: int


def demonstrate(options: Options) -> int:
    """Run everything, print the table, write the report; 0 only if all came back bit for bit."""
    folder = workspace(options.folder, keep=(options.image, options.private))
    _say("taking the picture")
    _take_picture(options, folder)
    _say("making keys")
    must("ground", "keygen", "recipient", cwd=folder)
    must("onboard", "keygen", "satellite", cwd=folder)
    private = _private_file(options, folder)
    outcomes: list[Outcome] = []
    commands: list[Ran] = []
    for profile in PROFILES:
        _say(f"protecting and recovering, profile {profile}")
        outcomes.append(_round_trip(folder, profile, private, commands))
    ours = options.image is None and options.private is None
    status = _status(outcomes, refusals_allowed=not ours)
    shown = [command.shown for command in commands]
    page = Page(outcomes, folder / "picture.jpg", _marked(folder), shown, status == 0)
    (folder / "report.html").write_text(render(page), encoding="utf-8")
    print(table(outcomes))
    print(f"report: {folder / 'report.html'}")
    return status


def _take_picture(options: Options, folder: Path) -> None:
    if options.image is not None:
        shutil.copyfile(options.image, folder / "picture.jpg")
    else:
        must("sim", "camera", "--seed", str(options.seed), "-o", "picture.jpg", cwd=folder)


def _private_file(options: Options, folder: Path) -> Path:
    """The caller's file where it lies, or a synthetic one that every willing profile can hold."""
    if options.private is not None:
        return options.private.resolve()
    found = [_capacity(folder, profile) for profile in PROFILES]
    room = min((bytes_ for bytes_ in found if bytes_ is not None), default=0)
    size = min(int(room * FILLING), LARGEST_PRIVATE)
    (folder / "customers.jsonl").write_bytes(customer_file(options.seed, size))
    return Path("customers.jsonl")


def _capacity(folder: Path, profile: str) -> int | None:
    """Private bytes the picture can carry; None where the profile refuses it."""
    ran = run("onboard", "capacity", "picture.jpg", "--profile", profile, "--json", cwd=folder)
    return int(json.loads(ran.output)["private_bytes"]) if ran.ok else None


def _round_trip(folder: Path, profile: str, private: Path, commands: list[Ran]) -> Outcome:
    """Protect, recover, compare; both commands are added to `commands`."""
    marked, out = f"marked-{profile}.jpg", f"recovered-{profile}"
    protect = ("protect", "picture.jpg", "--private", str(private), "--profile", profile)
    keys = ("--to", "recipient/recipient.pub", "--sign", "satellite/satellite.key")
    protected = run("onboard", *protect, *keys, "-o", marked, cwd=folder)
    commands.append(protected)
    if not protected.ok:
        failed = protected.status not in REFUSALS
        return Refused(profile, protected.message, failed)
    keys = ("--key", "recipient/recipient.key", "--satellite", "satellite/satellite.pub")
    recovered = run("ground", "recover", marked, *keys, "-o", out, cwd=folder)
    commands.append(recovered)
    return _compare(folder, profile, folder / private, (protected, recovered))


def _compare(folder: Path, profile: str, private: Path, runs: tuple[Ran, Ran]) -> Measured:
    """Measure what protecting did and what recovery brought back."""
    original, marked = folder / "picture.jpg", folder / f"marked-{profile}.jpg"
    out = folder / f"recovered-{profile}"
    return Measured(
        profile=profile,
        hidden=private.stat().st_size,
        before=original.stat().st_size,
        after=marked.stat().st_size,
        psnr=_psnr(original, marked),
        restored=same_bytes(original, out / "carrier.jpg"),
        private_same=same_bytes(private, out / "private.bin"),
        authentic=_reported(out / "report.json").get("authentic") is True,
        seconds=(runs[0].seconds, runs[1].seconds),
        peak_mib=(runs[0].peak_mib, runs[1].peak_mib),
        note="" if runs[1].ok else runs[1].message,
    )


def _psnr(original: Path, marked: Path) -> float | None:
    """dB between the two as decoded; None where that cannot be said."""
    one, other = decoded(original), decoded(marked)
    if one is None or other is None or one.shape != other.shape:
        return None
    return psnr(one, other)


def _reported(path: Path) -> dict[str, object]:
    """The recovery's report, or nothing where it wrote none."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _marked(folder: Path) -> dict[str, Path]:
    """The marked pictures that exist, by profile."""
    found = {profile: folder / f"marked-{profile}.jpg" for profile in PROFILES}
    return {profile: path for profile, path in found.items() if path.is_file()}


def _status(outcomes: list[Outcome], refusals_allowed: bool) -> int:
    """0 when all came back, 3 when every profile refused, else 5."""
    if all_restored(outcomes, refusals_allowed):
        return 0
    return 3 if all(isinstance(o, Refused) and not o.failed for o in outcomes) else 5


def _say(step: str) -> None:
    """Progress goes to standard error; the table alone is the output."""
    print(f"{step} ...", file=sys.stderr, flush=True)

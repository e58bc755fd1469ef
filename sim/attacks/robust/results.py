"""What an evaluation found: the failures one by one, what could not be measured, values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, NamedTuple

from sim.attacks.robust.study import ATTACKS, BEYOND, Marked, Refused, Result, Trial


class Skipped(NamedTuple):
    """A file that is no picture."""

    name: str
    why: str


@dataclass(frozen=True)
class Evaluation:
    """Everything that was measured."""

    folder: str
    schemes: tuple[str, ...]
    profiles: tuple[str, ...]
    """Those of the schemes that are profiles as they are."""
    seeds: int
    results: tuple[Result, ...]
    skipped: tuple[Skipped, ...]

    @property
    def marked(self) -> list[Marked]:
        """Without refusals."""
        return [each for each in self.results if isinstance(each, Marked)]

    @property
    def pictures(self) -> list[str]:
        """Names in the order of the folder."""
        return list(dict.fromkeys(each.picture for each in self.results))

    @property
    def checked(self) -> int:
        """Messages of profiles that a receiver was asked for: one for each attack on a picture."""
        return len(_own(self))

    def of(self, scheme: str, picture: str | None = None) -> list[Marked]:
        """Of one scheme, of one picture or of all."""
        return [
            each for each in self.marked
            if each.scheme == scheme and picture in (None, each.picture)
        ]


def trials(marked: Iterable[Marked], attack: str) -> list[Trial]:
    """All trials of one attack."""
    return [trial for each in marked for trial in each.trials if trial.attack == attack]


def rate(found: Sequence[Trial]) -> float:
    """Share of recovered messages."""
    return fmean(trial.recovered for trial in found)


def failures(found: Evaluation) -> list[str]:
    """A line for every profile, attack and picture where messages were lost."""
    lines = []
    for profile in found.profiles:
        for attack in (*ATTACKS, *BEYOND):
            for picture in found.pictures:
                tried = trials(found.of(profile, picture), attack)
                lost = [trial for trial in tried if _is_lost(trial)]
                if lost:
                    lines.append(f"{profile}, {attack}, {picture}: {_loss(lost, len(tried))}")
    return lines


def lost_ones(found: Evaluation) -> int:
    """Messages of profiles that were reported as lost."""
    return sum(map(_is_lost, _own(found)))


def false_ones(found: Evaluation) -> list[str]:
    """A line for every message that a profile's receiver gave out and that was never sent."""
    return [
        f"{each.scheme}, {trial.attack}, {each.picture}, seed {each.seed}: came back WRONG"
        for each in found.marked for trial in each.trials if trial.false
    ]


def verdict(found: Evaluation) -> str:
    """What the profiles' receivers gave, in numbers."""
    false = len(false_ones(found))
    if not found.checked:
        return "Nothing was measured."
    if false:
        return f"{false} of {found.checked} messages CAME BACK WRONG."
    lost = lost_ones(found)
    return (
        f"{lost or 'None'} of {found.checked} messages {'was' if lost == 1 else 'were'} lost. "
        f"None of {found.checked} came back wrong."
    )


def _own(found: Evaluation) -> list[Trial]:
    """All trials of profiles; rivals are told the message."""
    return [trial for name in found.profiles for each in found.of(name) for trial in each.trials]


def _is_lost(trial: Trial) -> bool:
    return not trial.recovered and not trial.false


def _loss(lost: Sequence[Trial], count: int) -> str:
    margins = sorted(-math.inf if t.margin is None else t.margin for t in lost)
    ends = dict.fromkeys(map(_decibels, (margins[0], margins[-1])))
    return f"{len(lost)} of {count} lost, margin {' to '.join(ends)}"


def _decibels(margin: float) -> str:
    return "nothing" if margin == -math.inf else f"{margin:.2f} dB"


def refusals(found: Evaluation) -> list[str]:
    """A line for every picture that a scheme could not be measured on, and every other file."""
    lines = dict.fromkeys(
        f"{each.scheme}, {each.picture}: refused, {each.why}"
        for each in found.results if isinstance(each, Refused)
    )
    return [*lines, *map(skipping, found.skipped)]


def skipping(file: Skipped) -> str:
    """A line for a file that is no picture."""
    return f"{file.name}: skipped, {file.why}"


def values(found: Evaluation) -> dict[str, Any]:
    """Everything as JSON takes it."""
    return {
        "folder": found.folder, "schemes": [*found.schemes], "profiles": [*found.profiles],
        "seeds": found.seeds, "pictures": found.pictures,
        "skipped": [each._asdict() for each in found.skipped],
        "marked": [asdict(each) | {"bpp": each.bpp} for each in found.marked],
        "refused": [asdict(each) for each in found.results if isinstance(each, Refused)],
        "summary": {scheme: _summary(found.of(scheme)) for scheme in found.schemes},
        "checked": found.checked, "lost": lost_ones(found), "wrong": false_ones(found),
        "failures": failures(found),
    }


def _summary(marked: list[Marked]) -> dict[str, Any]:
    if not marked:
        return {}
    shares = {attack: trials(marked, attack) for attack in (*ATTACKS, *BEYOND)}
    return {
        "psnr": fmean(each.psnr for each in marked), "ssim": fmean(each.ssim for each in marked),
        "bpp": fmean(each.bpp for each in marked),
        "recovery_rate": {attack: rate(tried) for attack, tried in shares.items() if tried},
    }

"""What an attack's name and parameters look like, and reading them from text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from numpy.random import Generator

from occulta.errors import OccultaError, Reason
from sim.attacks.picture import Picture

_NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,9})?")
_MOST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number: its name and its range, both ends included."""

    name: str
    least: float
    most: float
    whole: bool = False
    odd: bool = False

    def read(self, text: str) -> float:
        """Raises ValueError that says what is wanted."""
        value = float(text) if _NUMBER.fullmatch(text) else math.nan
        fits = self.least <= value <= self.most
        if not fits or (self.whole and value % 1) or (self.odd and value % 2 != 1):
            raise ValueError(f"{self.name} is {self._wanted()}, not {text[:_MOST_SHOWN]!r}")
        return value

    def _wanted(self) -> str:
        kind = "an odd number" if self.odd else "a whole number" if self.whole else "a number"
        return f"{kind} from {self.least:.9g} to {self.most:.9g}"


class Arguments(NamedTuple):
    """What an attack was given."""

    numbers: tuple[float, ...]
    words: frozenset[str] = frozenset()
    text: str = ""
    """The attack as it was written."""


@dataclass(frozen=True, slots=True)
class Kind:
    """An attack: how it is written and the function that does it."""

    written: str
    """As in the help: `packets:RATE[,SIZE]`."""
    help: str
    apply: Callable[[Picture, Arguments, Generator], Picture]
    forms: tuple[tuple[Parameter, ...], ...]
    """Lists of parameters that it may be given, of different lengths."""
    words: tuple[str, ...] = ()
    """What may follow the numbers, each once."""

    @property
    def name(self) -> str:
        """What it is called."""
        return re.split(r"[:\[]", self.written)[0]

    def read(self, text: str) -> Arguments:
        """Of an attack as it is written; raises ValueError."""
        _, colon, rest = text.partition(":")
        parts = rest.split(",") if colon else []
        words = [part for part in parts if part in self.words]
        numbers = [part for part in parts if part not in self.words]
        if len(set(words)) < len(words) or parts != numbers + words:
            raise ValueError("words come behind the numbers, each once")
        return Arguments(self._numbers(numbers), frozenset(words), text)

    def _numbers(self, texts: Sequence[str]) -> tuple[float, ...]:
        for form in self.forms:
            if len(form) == len(texts):
                return tuple(p.read(text) for p, text in zip(form, texts, strict=True))
        wanted = " or ".join(str(len(form)) for form in self.forms)
        words = f", then perhaps {' or '.join(self.words)}" if self.words else ""
        raise ValueError(f"{len(texts)} numbers are given, {wanted} wanted{words}")


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack with its parameters."""

    kind: Kind
    arguments: Arguments


def read(text: str, known: Mapping[str, Kind]) -> Attack:
    """An attack as the command line names it; raises OccultaError(USAGE)."""
    name = text.partition(":")[0]
    kind = known.get(name)
    if kind is None:
        hint = f"the attacks are {', '.join(known)}"
        raise OccultaError(Reason.USAGE, f"there is no attack {name[:_MOST_SHOWN]!r}", hint)
    try:
        return Attack(kind, kind.read(text))
    except ValueError as error:
        hint = f"it is written {kind.written}: {kind.help}"
        raise OccultaError(Reason.USAGE, f"attack {name}: {error}", hint) from None

"""What becomes of frames that their rule's scheme could not take, once they are offered again."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from occulta.errors import ExitCode, Reason
from onboard.config import Rule

_REMEMBERED = 256
"""Frames of one camera; the oldest are forgotten, and refused once more when they come again."""


class Way(Enum):
    """How a frame is to be taken in."""

    AS_RULED = auto()
    WITHOUT_PRIVATE = auto()
    """By its rule's scheme, which takes no private data along."""
    FALLBACK = auto()
    """Protected without a look into it, where its rule has such a fallback."""


class Attempt(NamedTuple):
    """The way that a frame goes this time, and why the one before was not possible."""

    way: Way = Way.AS_RULED
    why: str = ""
    rule: Rule | None = None
    """By which it was refused; None where it was not."""

    def under(self, rule: Rule) -> Attempt:
        """Itself where the same rule holds still; another rule begins anew with the frame."""
        return self if self.rule == rule else Attempt()


class Attempts:
    """Frames that were refused and may come again, in memory: a restart begins anew with them."""

    def __init__(self) -> None:
        self._cameras: dict[str, dict[str, Attempt]] = {}

    def next(self, camera: str, frame_id: str) -> Attempt:
        """The attempt that is to be made of a frame."""
        return self._cameras.get(camera, {}).get(frame_id, Attempt())

    def remember(self, camera: str, frame_id: str, attempt: Attempt) -> None:
        """The frame was refused, and goes this way when it comes again."""
        frames = self._cameras.setdefault(camera, {})
        frames.pop(frame_id, None)
        frames[frame_id] = attempt
        if len(frames) > _REMEMBERED:
            del frames[next(iter(frames))]

    def forget(self, camera: str, frame_id: str) -> None:
        """The frame is stored."""
        self._cameras.get(camera, {}).pop(frame_id, None)


def blames_frame(reason: Reason) -> bool:
    """True if the same bytes would be refused again, however often they came."""
    if reason.exit_code is ExitCode.REFUSED:
        return reason is not Reason.BAD_INTAKE
    return reason.exit_code is ExitCode.DOES_NOT_FIT and reason is not Reason.SPOOL_FULL


def other_way(reason: Reason, has_private: bool, has_fallback: bool) -> Way | None:
    """The way that is left to a frame that was refused for what it is; None if there is none."""
    if not blames_frame(reason):
        return None
    if has_private and reason.exit_code is ExitCode.DOES_NOT_FIT:
        return Way.WITHOUT_PRIVATE
    if has_fallback and reason is not Reason.EMPTY_INPUT:  # nothing is lost of an empty one
        return Way.FALLBACK
    return None

"""The frames of a scenario and the private files that go with them, as files of the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from occulta.errors import OccultaError, Reason
from occulta.program.files import read_failure
from sim.camera import encoded, scene
from sim.private import customer_file
from sim.scenario.config import MAX_FRAMES, Scenario, Synthetic
from sim.scene.frame import frame_of

_SUFFIXES = (".jpg", ".jpeg")
_LARGEST_STEP = 64
"""Rows between the beginnings of two frames: what a scene costs grows with its rows."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as it was taken, and what goes with it."""

    name: str
    """Its id on board and on the ground."""
    picture: Path
    private: Path | None
    """A private file that the frame, or those after it, take along."""
    item: str
    """The private file's id."""
    is_sensitive: bool
    size: int
    """Bytes of the picture."""


def take_frames(scenario: Scenario, pictures: Sequence[Path], folder: Path) -> list[Frame]:
    """All frames, with pictures of the caller's own if there are any; `folder` is a new one.

    Raises OSError.
    """
    folder.mkdir(parents=True)
    found = list(pictures) or list(_photograph(scenario.frames, folder))
    return [_frame(number, path, scenario, folder) for number, path in enumerate(found, 1)]


def pictures_in(folder: Path) -> list[Path]:
    """The JPEG files of a folder by name; raises OccultaError: USAGE for none, or too many."""
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    except OSError as error:
        raise read_failure(error, folder) from None
    if not 1 <= len(found) <= MAX_FRAMES:
        what = f"{folder} holds {len(found)} JPEG files: 1 to {MAX_FRAMES} are needed"
        raise OccultaError(Reason.USAGE, what, "their names end in .jpg or .jpeg")
    return found


def _photograph(wanted: Synthetic, folder: Path) -> Iterator[Path]:
    """Frames of one pass: windows that move down one scene, which is what takes the time."""
    frame = frame_of(wanted.megapixels)
    step = max(1, min(_LARGEST_STEP, frame.height // 4 // wanted.count))
    strip = scene(wanted.seed, frame.grown(0, step * (wanted.count - 1)))
    for number in range(wanted.count):
        top = step * number
        picture = strip.crop((0, top, frame.width, top + frame.height))
        path = folder / f"frame-{number + 1}.jpg"
        path.write_bytes(encoded(picture, wanted.quality))
        yield path


def _frame(number: int, picture: Path, scenario: Scenario, folder: Path) -> Frame:
    size, is_sensitive = picture.stat().st_size, number in scenario.sensitive
    private = None
    if scenario.private_share and not is_sensitive:
        private = folder / f"private-{number}.jsonl"
        content = customer_file(scenario.frames.seed + number, int(scenario.private_share * size))
        private.write_bytes(content)
    return Frame(f"frame-{number}", picture, private, f"private-{number}", is_sensitive, size)

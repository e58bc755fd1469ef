"""`occulta-sim attack`: a picture file under attacks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from occulta.errors import OccultaError, Reason
from occulta.program import files
from sim.attacks import catalogue, picture
from sim.attacks.picture import Picture


def run(image: str, texts: Sequence[str], output: Path, seed: int) -> int:
    """Attack one picture and write what is left of it; the exit status. Raises OccultaError.

    A JPEG or WebP file that the last attack left is written as it is, if `output` asks for one.
    """
    attacks = [catalogue.parse(text) for text in texts]
    wanted = picture.format_of(output.name)
    with files.output(output) as file:
        try:
            attacked = catalogue.apply(read(image), attacks, seed)
            written = attacked.encoded(wanted)
        except OccultaError as error:
            raise OccultaError(error.reason, f"{image}: {error.detail}", error.hint) from None
        file.write(written)
        file.publish()
    return 0


def read(name: str) -> Picture:
    """A picture file, or standard input for `-`; raises OccultaError."""
    with files.open_input(name) as stream:
        data = files.read_some(stream, picture.MAX_FILE + 1, name)
    if len(data) > picture.MAX_FILE:
        hint = f"at most {picture.MAX_FILE} bytes are taken"
        raise OccultaError(Reason.BAD_RASTER, "too long a file", hint)
    if not data:
        raise OccultaError(Reason.EMPTY_INPUT, "the input is empty")
    return Picture(data)

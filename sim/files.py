"""Folders that the simulator fills, and comparing files in them."""

from __future__ import annotations

import filecmp
import shutil
from pathlib import Path

OURS = ".occulta-demo"
"""Marks a folder as written by a run of the simulator, which the next may therefore replace."""


def workspace(wanted: Path, keep: tuple[Path | None, ...] = ()) -> Path:
    """An empty folder: `wanted`, emptied when it is ours, else the next free number after it.

    A folder that holds one of `keep`, the caller's own files, is not emptied.
    """
    kept = [path.resolve() for path in keep if path is not None]
    number, folder = 1, wanted
    while _taken(folder, kept):
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / OURS).write_text("Replaced by the next run.\n", encoding="ascii")
    return folder


def _taken(folder: Path, kept: list[Path]) -> bool:
    """False where nothing stands, or a real folder that carries our mark or holds nothing."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        return True
    if not folder.exists():
        return False
    ours = (folder / OURS).is_file() or not any(folder.iterdir())
    return not ours or any(folder.resolve() in path.parents for path in kept)


def same_bytes(one: Path, other: Path) -> bool:
    """True where both exist and hold the same bytes."""
    return other.is_file() and filecmp.cmp(one, other, shallow=False)

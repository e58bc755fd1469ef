"""Shares where they lie: files, folders of them, product folders of an archive, whole archives."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ground.product import PRODUCTS, SHARES, received_names
from occulta.errors import OccultaError, Reason
from occulta.program import files
from occulta.program.rasters import MAGIC_SIZE, PARAMETERS, kind_of
from occulta.schemes.shares.header import FIXED_SIZE, MAGIC, MAX_HEADER_SIZE, Clear, parse_clear

RECEIVED = received_names(SHARES)
"""The archive's names for a share."""
WRITTEN, IMAGES = "share-*.occ", "share-*"
"""The names that `protect` gives."""
NO_SHARE = f"name share files, or a folder that holds {WRITTEN}, share images or an archive"


class ShareFile:
    """A share in a regular file, which is opened where more than its header is read."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        """`stack` closes it in the end. Raises OccultaError(INPUT_UNREADABLE)."""
        with files.open_regular(str(path)) as stream:
            self._size = os.fstat(stream.fileno()).st_size
            self._head = files.read_some(stream, MAX_HEADER_SIZE, str(path))
        self._path = path
        self._stack = stack
        self._stream: BinaryIO | None = None
        self.is_share = self._head.startswith(MAGIC)
        """Whether it begins like a share."""
        self.clear = clear_of(self._head)
        """What it says of itself, which is anybody's to write; None where it makes no sense."""

    @property
    def name(self) -> str:
        """Its path."""
        return str(self._path)

    @property
    def size(self) -> int:
        """Bytes."""
        return self._size

    def read(self, at: int, size: int) -> bytes:
        """Bytes from `at` on, fewer at the end; raises OccultaError(INPUT_UNREADABLE)."""
        size = max(0, min(size, self._size - at))
        if at + size <= len(self._head):
            return self._head[at : at + size]
        if self._stream is None:
            self._stream = self._stack.enter_context(files.open_regular(self.name))
        try:
            self._stream.seek(at)
            return self._stream.read(size)
        except OSError as error:
            raise files.read_failure(error, self._path) from None


class Folder(NamedTuple):
    """Files in a folder of shares, or in an archive."""

    path: Path
    shares: list[Path]
    is_archive: bool


class Named(NamedTuple):
    """What the names on a command line stand for."""

    files: list[Path]
    products: list[Path]
    folders: list[Folder]
    empty: list[Path]
    """Folders without any share."""


def sort_names(names: list[str]) -> Named:
    """Raises OccultaError: USAGE, INPUT_UNREADABLE."""
    if files.STANDARD in names:
        raise OccultaError(Reason.USAGE, "shares are read here and there: name files")
    named = Named([], [], [], [])
    for name in names:
        path = Path(name)
        if not os.path.isdir(path):
            named.files.append(path)
        elif received := received_in(path):
            named.products.append(received)
        elif os.path.isdir(path / PRODUCTS):
            found = [received_in(each) for each in _matching(path / PRODUCTS, "*")]
            shares = [share for share in found if share is not None]
            named.folders.append(Folder(path, shares, is_archive=True))
        elif written := _matching(path, WRITTEN):
            named.folders.append(Folder(path, written, is_archive=False))
        else:
            named.empty.append(path)
    return named


def received_in(product: Path) -> Path | None:
    """The share in a product's folder, by the name that any version gave it."""
    return next((product / name for name in RECEIVED if os.path.lexists(product / name)), None)


def _matching(folder: Path, pattern: str) -> list[Path]:
    """Files of a folder in order; raises OccultaError(INPUT_UNREADABLE)."""
    try:
        return sorted(folder.glob(pattern))
    except OSError as error:
        raise files.read_failure(error, folder) from None


def clear_of(head: bytes) -> Clear | None:
    """The clear fields of what may be a share, None where they make no sense."""
    try:
        return parse_clear(head[:FIXED_SIZE])
    except OccultaError:
        return None


def is_share(name: str) -> bool:
    """Whether an input is a share, or a folder that may hold some."""
    return os.path.isdir(name) or files.head_of(name, len(MAGIC)) == MAGIC


def are_images(names: list[str]) -> bool:
    """Whether what is named are shares of the `paper` profile: images, or folders of them alone.

    Raises OccultaError(INPUT_UNREADABLE).
    """
    if any(kind_of(files.head_of(name, MAGIC_SIZE)) for name in names):
        return True
    others = any(_holds_shares(name) for name in names)
    return not others and any(map(images_in, names))


def _holds_shares(name: str) -> bool:
    """Whether a file or folder is of the other profile."""
    folder = Path(name)
    if not os.path.isdir(folder):
        return files.head_of(name, len(MAGIC)) == MAGIC
    is_archived = os.path.isdir(folder / PRODUCTS) or received_in(folder) is not None
    return is_archived or bool(_matching(folder, WRITTEN))


def images_in(name: str) -> list[str]:
    """What the `paper` profile wrote into a folder that holds no other shares.

    Share images in order, then their parameters. Raises OccultaError(INPUT_UNREADABLE).
    """
    folder = Path(name)
    if not os.path.isdir(folder) or _holds_shares(name):
        return []
    written = map(str, _matching(folder, IMAGES))
    images = [path for path in written if kind_of(files.head_of(path, MAGIC_SIZE))]
    return images + [str(path) for path in _matching(folder, PARAMETERS)]

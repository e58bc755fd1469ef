"""Shares where they lie: files, folders of them, product folders of an archive, whole archives."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
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


_PIECE = 1 << 12
"""Bytes that are read at a time where a disk has failed, up to the first that cannot be."""


class ShareFile:
    """A share in a regular file, which is opened where more than its header is read.

    Bytes behind its header that cannot be read, and all behind them, count as zeros: the share is
    as good as cut there.
    """

    def __init__(self, path: Path, stack: ExitStack) -> None:
        """`stack` closes it in the end. Raises OccultaError(INPUT_UNREADABLE)."""
        with files.open_regular(str(path)) as stream:
            self._size = os.fstat(stream.fileno()).st_size
            self._head = files.read_some(stream, MAX_HEADER_SIZE, str(path))
        self._path = path
        self._stack = stack
        self._stream: BinaryIO | None = None
        self._end = self._size
        """Where it ends, or cannot be read any more."""
        self.failure: str | None = None
        """From where on it cannot be read, and why."""
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
        """Bytes from `at` on, fewer at the end."""
        size = max(0, min(size, self._size - at))
        if at + size <= len(self._head):
            return self._head[at : at + size]
        return self._readable(at, min(size, self._end - at)).ljust(size, b"\0")

    def _readable(self, at: int, size: int) -> bytes:
        if size <= 0:
            return b""
        try:
            return self._read(at, size)
        except (OSError, OccultaError):
            return self._front(at, size)

    def _front(self, at: int, size: int) -> bytes:
        """What can be read of bytes that cannot all be read; nothing is read behind it again."""
        found = bytearray()
        while len(found) < size:
            place = at + len(found)
            try:
                piece = self._read(place, min(_PIECE, size - len(found)))
            except (OSError, OccultaError) as error:
                said = error.strerror if isinstance(error, OSError) else error.detail
                self.failure = f"{self._path} cannot be read from byte {place} on: {said}"
                self._end = place
                break
            if not piece:
                break
            found += piece
        return bytes(found)

    def _read(self, at: int, size: int) -> bytes:
        """Raises OSError, and OccultaError(INPUT_UNREADABLE) where it cannot be opened again."""
        if self._stream is None:
            self._stream = self._stack.enter_context(files.open_regular(self.name))
        self._stream.seek(at)
        return self._stream.read(size)


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
    unreadable: dict[Path, OccultaError]
    """Folders without any share, and those that cannot be read."""


def sort_names(names: list[str]) -> Named:
    """Raises OccultaError(USAGE)."""
    if files.STANDARD in names:
        raise OccultaError(Reason.USAGE, "shares are read here and there: name files")
    named = Named([], [], [], {})
    for name in names:
        path = Path(name)
        try:
            _sort_into(named, path)
        except OccultaError as error:
            named.unreadable[path] = error
    return named


def _sort_into(named: Named, path: Path) -> None:
    """Raises OccultaError(INPUT_UNREADABLE) for a folder."""
    if not os.path.isdir(path):
        named.files.append(path)
    elif received := received_in(path):
        named.products.append(received)
    elif os.path.isdir(path / PRODUCTS):
        named.folders.append(Folder(path, _archived(path), is_archive=True))
    elif written := _matching(path, WRITTEN):
        named.folders.append(Folder(path, written, is_archive=False))
    else:
        raise OccultaError(Reason.INPUT_UNREADABLE, f"{path} holds no share", NO_SHARE)


def _archived(archive: Path) -> list[Path]:
    """The shares of an archive's products; raises OccultaError(INPUT_UNREADABLE)."""
    found = (received_in(each) for each in _matching(archive / PRODUCTS, "*"))
    return [share for share in found if share is not None]


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
    return os.path.isdir(name) or _is_headed(Path(name))


def are_images(names: list[str]) -> bool:
    """Whether what is named are shares of the `paper` profile: images, or folders of them.

    One share of the other profile among them says no: beside it an image is no share at all.
    """
    is_image = any(_is_image(name) or images_in(name).used for name in names)
    return is_image and not any(map(_holds_share, names))


def _is_image(name: str) -> bool:
    return kind_of(files.head_of(name, MAGIC_SIZE)) is not None


def _holds_share(name: str) -> bool:
    """Whether a file, or one of a folder, begins like a share of the profile `jpeg`."""
    folder = Path(name)
    if not os.path.isdir(folder):
        return _is_headed(folder)
    with suppress(OccultaError):  # what cannot be read says nothing
        received = received_in(folder)
        held = [received] if received else [*_archived(folder), *_matching(folder, WRITTEN)]
        return any(map(_is_headed, held))
    return False


def _is_headed(path: Path) -> bool:
    return files.head_of(str(path), len(MAGIC)) == MAGIC


class Images(NamedTuple):
    """What a folder holds of the `paper` profile."""

    used: list[str]
    """Share images in order, then their parameters."""
    broken: list[str]
    """Files named like share images which are none."""


def images_in(name: str) -> Images:
    """Nothing for what is no folder, or cannot be read."""
    folder, found = Path(name), Images([], [])
    with suppress(OccultaError):
        for path in map(str, _matching(folder, IMAGES) if os.path.isdir(folder) else []):
            (found.used if _is_image(path) else found.broken).append(path)
        found.used.extend(map(str, _matching(folder, PARAMETERS)))
    return found

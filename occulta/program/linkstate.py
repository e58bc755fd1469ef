"""The security state of a link on disk: one file per end and direction, replaced as a whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from occulta.errors import OccultaError, Reason
from occulta.link import security
from occulta.program import files

_SENDER, _RECEIVER = "sender", "receiver"
_MAX_STATE = 1 << 20
_GROWTH = 1 << 12
"""Bytes, a block of most disks, by which the next state may be longer on a full disk."""
LATEST_CLOCK = 4_102_444_800.0
"""The year 2100, in seconds since 1970. A clock that has failed may say anything, all ones for one:
the last epoch number, after which there is none.
"""


class LinkState:
    """The files `<name>.sender` and `<name>.receiver` of one remote."""

    def __init__(self, folder: Path, name: str) -> None:
        """Raises OccultaError(OUTPUT_UNWRITABLE)."""
        files.make_folder(folder, 0o700)
        self._paths = {kind: folder / f"{name}.{kind}" for kind in (_SENDER, _RECEIVER)}

    def initialise(
        self, keys: Sequence[security.LinkKey], sending: security.Direction, newer_than: int
    ) -> None:
        """Make first states where there are none, the first key selected; raises OccultaError.

        `newer_than` is as of `security.initialise_receiver`.
        """
        receiving = security.Direction(1 - sending)
        made = {
            _SENDER: security.initialise_sender(keys, sending, keys[0].key_id),
            _RECEIVER: security.initialise_receiver(keys, receiving, newer_than),
        }
        for kind, state in made.items():
            if not self._paths[kind].exists():
                self.save(kind, state)

    def open(
        self, sending: security.Direction, margin: int, *, clock: float,
        random: Callable[[int], bytes],
    ) -> tuple[security.Sender, security.Receiver]:
        """Both ends as they were saved; raises OccultaError(LINK_STATE).

        A clock from LATEST_CLOCK on is not believed: the epoch number follows the saved one.
        """
        clock = clock if clock < LATEST_CLOCK else 0.0
        try:
            sender = security.Sender(self._read(_SENDER), sending, clock=clock, random=random)
            receiving = security.Direction(1 - sending)
            receiver = security.Receiver(self._read(_RECEIVER), receiving, margin)
        except security.StateUnusable as error:
            raise OccultaError(Reason.LINK_STATE, str(error)) from None
        return sender, receiver

    def save(self, kind: str, state: bytes) -> None:
        """Make a state durable in the place of the last one; raises OccultaError.

        It is written over a spare file, and takes its place: a disk that others have filled does
        not stop the link, nor the telecommands that could make room.
        """
        path = self._paths[kind]
        spare = path.with_name(f".{path.name}.spare")
        try:
            _overwrite(spare, state)
            os.replace(spare, path)
            files.sync_folder(path.parent)
        except OSError as error:
            raise files.write_failure(error, path) from None
        with suppress(OSError):  # the next save then needs some room
            _overwrite(spare, bytes(len(state) + _GROWTH))

    def _read(self, kind: str) -> bytes | None:
        path = self._paths[kind]
        try:
            with path.open("rb") as stream:
                return stream.read(_MAX_STATE + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise files.read_failure(error, path) from None


def _overwrite(path: Path, data: bytes) -> None:
    """These bytes and no others, durable, on the blocks that the file has; raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        view = memoryview(data)
        while view:  # a disk nearly full takes a part, then nothing
            view = view[os.write(descriptor, view) :]
        os.ftruncate(descriptor, len(data))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

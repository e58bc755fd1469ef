"""Which of the shares that were named are tried together.

What a holder puts into its folder or archive has no say over what lies elsewhere: of each of them a
bounded number of shares is taken, and what names and clear fields leave out at first is tried
before shares are refused.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

from ground.sharefiles import NO_SHARE, Folder, ShareFile, clear_of, sort_names
from occulta.codec.crypto import PrivateKey
from occulta.errors import OccultaError, Reason
from occulta.program import files
from occulta.schemes.shares.header import FIXED_SIZE, MAX_HEADER_SIZE, Clear, open_header

MOST_FOUND = 64
"""Shares that are used of all that one folder or archive holds; a frame has 16 at most."""
Place = tuple[bytes, int]
"""Set and index."""


class _Found(NamedTuple):
    """A file that was looked into; `clear` is None where it is no share, or its header is bad."""

    path: Path
    clear: Clear | None

    @property
    def place(self) -> Place | None:
        """What it claims to be."""
        return None if self.clear is None else (self.clear.set_id, self.clear.index)


class _Chosen:
    """Files that are taken, copies of one share once."""

    def __init__(self) -> None:
        self.found: list[_Found] = []
        self.places: dict[Place, list[Path]] = {}
        self._digests: dict[Path, bytes] = {}

    def add(self, found: _Found) -> None:
        """Take a file whatever it is."""
        self.found.append(found)
        if found.place is not None:
            self.places.setdefault(found.place, []).append(found.path)

    def add_new(self, found: _Found) -> bool:
        """Take a file unless a copy of it was taken; whether it was."""
        beside = self.places.get(found.place, []) if found.place is not None else []
        is_new = not any(self._digest(path) == self._digest(found.path) for path in beside)
        if is_new:
            self.add(found)
        return is_new

    def _digest(self, path: Path) -> bytes:
        """Each file is read once, however many claim to be the same share."""
        if path not in self._digests:
            try:
                self._digests[path] = _digest(path)
            except OccultaError:  # like no other: what can be read of it may still be needed
                self._digests[path] = bytes(path)
        return self._digests[path]


class Selection(NamedTuple):
    """Shares to try together, with those `named` among them.

    `left_out` says what else there was; `reason` why they are tried, where that is to be said.
    """

    shares: list[ShareFile]
    named: list[ShareFile]
    left_out: list[str]
    reason: str | None


class Choice:
    """The shares that are named: files, folders of `share-*.occ`, product folders, archives.

    Files and product folders all count. Of other folders and archives those do that belong to the
    shares named otherwise, and are not named themselves. Copies of one share that are alike are
    taken once, unless they were named as files. Only what is read stays open.
    """

    def __init__(self, names: list[str], key: PrivateKey, stack: ExitStack) -> None:
        """`key` tells whose headers are right. Raises OccultaError: INPUT_UNREADABLE, USAGE."""
        named = sort_names(names)
        self._stack = stack
        self._unreadable = named.unreadable
        self._named = _Chosen()
        for path in named.files:
            self._named.add(_looked_into(path))
        for found in self._readable(named.products):
            self._named.add_new(found)
        self._folders = [(each, list(self._readable(each.shares))) for each in named.folders]
        self._sets = _sets_opened(self._named.found, key)
        """The frames that the named shares are of, if their headers are right."""
        self._promising = _promising(found for _, held in self._folders for found in held)
        self._first, self._left_out = self._select(self._sets, is_wide=False)
        if not self._first:
            refusal = OccultaError(
                Reason.INPUT_UNREADABLE, f"{', '.join(names)}: no share", NO_SHARE
            )
            raise next(iter(self._unreadable.values()), refusal)

    def attempts(self) -> Iterator[Selection]:
        """What to try, one after the other, until shares restore a frame.

        The second time nobody's clear fields keep a share out that others hold, and folders of
        shares count with all they hold, as files do; of archives the shares that were named still
        choose the frame. The third time they do not.
        """
        yield self._opened(self._first, self._left_out, None)
        tried = {found.path for found in self._first}
        reason = "taken from elsewhere: of the shares named no frame is whole"
        for sets, why in ((self._sets, None), (set[bytes](), reason)):
            wide, left_out = self._select(sets, is_wide=True)
            if paths := {found.path for found in wide} - tried:
                tried |= paths
                yield self._opened(wide, left_out, why)

    def explained(self, refusal: OccultaError) -> OccultaError:
        """What is said where no attempt succeeded, and the first one with `refusal`."""
        if refusal.reason is Reason.WRONG_KEY:
            return refusal
        sets = {found.place[0] for _, held in self._folders for found in held if found.place}
        if self._left_out and not self._sets and len(sets) > 1:
            hint = "name a share of the frame that is wanted"
            detail = f"shares of {len(sets)} frames"
            return OccultaError(Reason.SHARES_OF_DIFFERENT_SETS, detail, hint)
        if refusal.reason is Reason.TOO_FEW_SHARES and self._unreadable:
            return next(iter(self._unreadable.values()))
        return refusal

    def _readable(self, paths: Iterable[Path]) -> Iterator[_Found]:
        """A file that cannot be read keeps nobody from the others."""
        for path in paths:
            try:
                yield _looked_into(path)
            except OccultaError as error:
                self._unreadable[path] = error

    def _select(self, sets: set[bytes], is_wide: bool) -> tuple[list[_Found], list[str]]:
        """Of archives those of `sets` alone, unless there are none."""
        fitting = _Chosen()
        for named in self._named.found:
            fitting.add(named)
        left_out = []
        for folder, held in self._folders:
            found = [each for each in held if self._fits(each, folder, sets, is_wide)]
            more = self._take(found, fitting)
            if more:
                left_out.append(f"{more} more in {folder.path}")
        return fitting.found, left_out

    def _fits(self, found: _Found, folder: Folder, sets: set[bytes], is_wide: bool) -> bool:
        if found.place is None:
            # In a folder of its own it is no stranger's: let it be told what is wrong with it.
            return not sets and not folder.is_archive
        if is_wide and not folder.is_archive:
            return True
        is_open = is_wide or found.place not in self._named.places
        return is_open and (not sets or found.place[0] in sets)

    def _take(self, found: list[_Found], fitting: _Chosen) -> int:
        """Take at most MOST_FOUND; returns how many there are more."""
        taken = 0
        for at, each in enumerate(self._by_promise(found)):
            if taken == MOST_FOUND:
                return len(found) - at
            taken += fitting.add_new(each)
        return 0

    def _by_promise(self, found: list[_Found]) -> list[_Found]:
        """Where there are too many: of frames that may be whole first, of each share one first."""
        if len(found) <= MOST_FOUND:
            return found
        seen: Counter[Place | None] = Counter()
        ranked = []
        for each in found:
            place = each.place or (b"", 0)
            ranked.append((place[0] not in self._promising, seen[each.place], place))
            seen[each.place] += 1
        order = sorted(range(len(found)), key=ranked.__getitem__)
        return [found[at] for at in order]

    def _opened(self, found: list[_Found], left_out: list[str], reason: str | None) -> Selection:
        shares, named = [], []
        for at, each in enumerate(found):
            try:
                share = ShareFile(each.path, self._stack)
            except OccultaError as error:  # it could be read a moment ago
                self._unreadable[each.path] = error
                continue
            shares.append(share)
            if at < len(self._named.found):
                named.append(share)
        unreadable = [str(path) for path in self._unreadable]
        return Selection(shares, named, [*unreadable, *left_out], reason)


def _looked_into(path: Path) -> _Found:
    with files.open_regular(str(path)) as stream:
        return _Found(path, clear_of(files.read_some(stream, FIXED_SIZE, str(path))))


def _digest(path: Path) -> bytes:
    """Raises OccultaError(INPUT_UNREADABLE)."""
    with files.open_regular(str(path)) as stream:
        digest = hashlib.sha256()
        for chunk in files.chunks_of(stream, str(path)):
            digest.update(chunk)
    return digest.digest()


def _sets_opened(named: Iterable[_Found], key: PrivateKey) -> set[bytes]:
    """The sets of those whose header opens, which says that its clear fields are right."""
    sets = set()
    for each in named:
        if each.clear is not None:
            with suppress(OccultaError):
                head = files.head_of(str(each.path), MAX_HEADER_SIZE)
                open_header(head, each.clear, key)
                sets.add(each.clear.set_id)
    return sets


def _promising(found: Iterable[_Found]) -> set[bytes]:
    """Sets of which enough different shares are there, as far as they say."""
    sets: dict[bytes, list[Clear]] = {}
    for each in found:
        if each.clear is not None:
            sets.setdefault(each.clear.set_id, []).append(each.clear)
    return {
        set_id for set_id, claims in sets.items()
        if len({clear.index for clear in claims}) >= min(clear.threshold for clear in claims)
    }

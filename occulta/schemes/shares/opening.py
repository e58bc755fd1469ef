"""Which shares belong together: headers read, opened with a recipient's key, and compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from occulta.codec.crypto import PrivateKey
from occulta.errors import OccultaError, Reason
from occulta.schemes.shares.header import (
    JPEG,
    MAX_HEADER_SIZE,
    Clear,
    Form,
    Secrets,
    header_size,
    open_header,
    parse_clear,
    share_name,
)
from occulta.schemes.shares.keys import join
from occulta.schemes.shares.locate import Source
from occulta.schemes.shares.segments import ShareMac

_MOST_NAMED = 8
_SET_ASIDE = (Reason.NOT_A_SHARE, Reason.SHARE_VERSION, Reason.SHARE_ALTERED)
"""Refusals of one share that others can make good."""


@dataclass(frozen=True, slots=True)
class OpenShare:
    """A share whose header verified; its body starts at byte `start`."""

    source: Source
    clear: Clear
    secrets: Secrets
    mac: ShareMac
    start: int


@dataclass(slots=True)
class OpenSet:
    """The shares of one frame that can be used together.

    `frame_key` is None where share A is the key stream itself. `set_aside` names the inputs that
    are not needed and were no good.
    """

    shares: list[OpenShare]
    frame_key: bytes | None
    set_aside: list[str] = field(default_factory=list)

    @property
    def clear(self) -> Clear:
        """The fields that all of them have in common (those of the first)."""
        return self.shares[0].clear

    @property
    def ciphers(self) -> list[OpenShare]:
        """The shares that hold the ciphertext."""
        return [s for s in self.shares if s.clear.form in (Form.CIPHER, Form.THRESHOLD)]

    @property
    def stream(self) -> OpenShare | None:
        """The share that holds the key stream."""
        return next((s for s in self.shares if s.clear.form is Form.STREAM), None)


def open_shares(
    sources: Sequence[Source], key: PrivateKey, named: Sequence[Source] = ()
) -> OpenSet:
    """Read the headers and say what fits together; k good shares are enough whatever else is there.

    What is in the clear is anybody's to write, and whoever has a recipient's public key can seal
    headers: shares count together only if all that their headers seal for the set agrees. One
    whole set among them is used, the rest set aside; of several the only one that has a share
    among `named`, those sources that somebody chose. The clear fields of what does not open only
    help to say why there is none. Raises OccultaError: NOT_A_SHARE, SHARE_VERSION, SHARE_ALTERED,
    WRONG_KEY, SHARE_TWICE, SHARES_OF_DIFFERENT_SETS, SHARES_MIXED, TOO_FEW_SHARES.
    """
    headers = _Headers(sources, key)
    if not headers.opened and headers.closed:
        raise OccultaError(Reason.WRONG_KEY, "the key does not open these shares")
    for source, clear in headers.closed:
        detail = f"the header of {clear.name} was altered ({source.name})"
        headers.refuse(source, OccultaError(Reason.SHARE_ALTERED, detail))
    if not headers.opened:
        raise headers.refused[0][1]
    groups = _groups(headers.opened)
    whole = [group for group in groups if group.is_whole]
    if len(whole) > 1:
        whole = [group for group in whole if group.holds_any(named)] or whole
    if len(whole) != 1:
        raise _refusal(headers, whole or groups)
    shares = whole[0].chosen()
    used = [share.source for share in shares]
    aside = [source.name for source in sources if not any(source is each for each in used)]
    return OpenSet(shares, _frame_key(shares), aside)


def whole_sets(sources: Sequence[Source], key: PrivateKey) -> list[list[Source]]:
    """The sources of each whole set among them; raises OccultaError(INPUT_UNREADABLE)."""
    groups = _groups(_Headers(sources, key).opened)
    return [[share.source for share in group.shares] for group in groups if group.is_whole]


class _Group:
    """Shares whose headers agree in everything that a set has in common."""

    def __init__(self, shares: list[OpenShare]) -> None:
        self.shares = shares
        self.clear = shares[0].clear

    @property
    def is_whole(self) -> bool:
        """Whether enough different shares of the profile are there."""
        different = {share.clear.index for share in self.shares}
        return self.clear.profile == JPEG and len(different) >= self.clear.threshold

    def holds_any(self, sources: Sequence[Source]) -> bool:
        """Whether one of them is among its shares."""
        return any(share.source is source for share in self.shares for source in sources)

    def chosen(self) -> list[OpenShare]:
        """The shares to use, in order; raises OccultaError(SHARE_TWICE).

        Of k-of-n the first copy of each share counts; of two, of which each is needed, nobody
        could say which copy is the right one.
        """
        if self.clear.form is not Form.THRESHOLD and (twice := self.twice()) is not None:
            raise twice
        first = {share.clear.index: share for share in reversed(self.shares)}
        return [first[index] for index in sorted(first)]

    def twice(self) -> OccultaError | None:
        """The refusal of a share that is there twice."""
        index, count = Counter(s.clear.index for s in self.shares).most_common(1)[0]
        if count == 1:
            return None
        names = [share.source.name for share in self.shares if share.clear.index == index]
        detail = f"{share_name(index)} is given twice: {_some(names, ', ')}"
        return OccultaError(Reason.SHARE_TWICE, detail)

    def __str__(self) -> str:
        names = _some([f"{s.source.name} ({s.clear.name})" for s in self.shares], ", ")
        return f"{names} of set {self.clear.set_id.hex()}"


def _some(words: list[str], separator: str) -> str:
    """As many as a message holds: who puts thousands into a folder does not hide the rest."""
    shown = separator.join(words[:_MOST_NAMED])
    return shown if len(words) <= _MOST_NAMED else f"{shown} and {len(words) - _MOST_NAMED} more"


def _groups(opened: list[OpenShare]) -> list[_Group]:
    by_kind: dict[tuple[object, ...], list[OpenShare]] = {}
    for share in opened:
        by_kind.setdefault(_kind(share), []).append(share)
    return [_Group(shares) for shares in by_kind.values()]


class _Headers:
    """The headers sorted into those that open, do not, and are none."""

    def __init__(self, sources: Sequence[Source], key: PrivateKey) -> None:
        self.opened: list[OpenShare] = []
        self.closed: list[tuple[Source, Clear]] = []
        self.refused: list[tuple[Source, OccultaError]] = []
        for source in sources:
            try:
                self._read(source, key)
            except OccultaError as error:
                self.refuse(source, error)

    def refuse(self, source: Source, error: OccultaError) -> None:
        """Set an input aside, if its refusal is of that kind."""
        if error.reason not in _SET_ASIDE:
            raise error
        named = error.detail if source.name in error.detail else f"{source.name}: {error.detail}"
        self.refused.append((source, OccultaError(error.reason, named, error.hint)))

    def _read(self, source: Source, key: PrivateKey) -> None:
        data = source.read(0, MAX_HEADER_SIZE)
        clear = parse_clear(data)
        try:
            secrets = open_header(data, clear, key)
        except OccultaError as error:
            if error.reason is not Reason.WRONG_KEY:
                raise
            self.closed.append((source, clear))
            return
        size = header_size(clear)
        mac = ShareMac(secrets.mac_key, data[:size])
        self.opened.append(OpenShare(source, clear, secrets, mac, size))


def _refusal(headers: _Headers, groups: list[_Group]) -> OccultaError:
    """Why there is not one whole set; `groups` are all whole ones, or all there are."""
    for group in groups:
        twice = group.twice()
        if twice is not None and not group.is_whole:
            return twice
    listed = _some(list(map(str, groups)), "; ")
    if len({group.clear.set_id for group in groups}) > 1:
        detail = f"the shares are of different frames: {listed}"
        return OccultaError(Reason.SHARES_OF_DIFFERENT_SETS, detail)
    if len(groups) > 1:
        detail = f"the shares are of different forms or keys: {listed}"
        hint = "name a share file of the frame that is wanted" if groups[0].is_whole else None
        return OccultaError(Reason.SHARES_MIXED, detail, hint)
    if groups[0].clear.profile != JPEG:
        detail = f"these are not shares of the profile jpeg: {listed}"
        return OccultaError(Reason.SHARES_MIXED, detail)
    return _too_few(headers, groups[0])


def _kind(share: OpenShare) -> tuple[object, ...]:
    clear, secrets = share.clear, share.secrets
    whole = clear.form is Form.THRESHOLD
    set_wide = (clear.set_id, clear.profile, clear.threshold, clear.holders, clear.recipients)
    return (*set_wide, whole, secrets.set_key, secrets.regions)


def _too_few(headers: _Headers, group: _Group) -> OccultaError:
    """Closed headers claim a set: it helps to say what is wrong, and decides nothing."""
    strangers = [(s, c) for s, c in headers.closed if c.set_id != group.clear.set_id]
    if strangers:
        lines = [f"{s.name} ({c.name}) of set {c.set_id.hex()}" for s, c in strangers]
        named = _some(lines, "; ")
        detail = f"the shares are of different frames: {group}; {named}"
        return OccultaError(Reason.SHARES_OF_DIFFERENT_SETS, detail)
    if headers.refused:
        return headers.refused[0][1]
    given = ", ".join(share.clear.name for share in group.shares)
    clear = group.clear
    return OccultaError(
        Reason.TOO_FEW_SHARES,
        f"{clear.threshold} of {clear.holders} shares are needed, and {len(group.shares)} given: "
        f"{given}",
    )


def _frame_key(shares: list[OpenShare]) -> bytes | None:
    first = shares[0]
    if first.clear.form is Form.THRESHOLD:
        chosen = shares[: first.clear.threshold]
        return join({share.clear.index: share.secrets.part for share in chosen})
    return first.secrets.part if first.clear.form is Form.SEED else None

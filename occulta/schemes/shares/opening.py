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


def open_shares(sources: Sequence[Source], key: PrivateKey) -> OpenSet:
    """Read the headers and say what fits together; k good shares are enough whatever else is there.

    Raises OccultaError: NOT_A_SHARE, SHARE_VERSION, SHARE_ALTERED, WRONG_KEY, SHARE_TWICE,
    SHARES_OF_DIFFERENT_SETS, SHARES_MIXED, TOO_FEW_SHARES.
    """
    headers = _Headers(sources, key)
    _refuse_strangers(headers.clears)
    if not headers.opened and headers.closed:
        raise OccultaError(Reason.WRONG_KEY, "the key does not open these shares")
    for source, clear in headers.closed:
        detail = f"the header of {clear.name} was altered ({source.name})"
        headers.refuse(source, OccultaError(Reason.SHARE_ALTERED, detail))
    if not headers.opened:
        raise headers.refused[0][1]
    _refuse_mixtures(headers.opened)
    needed = headers.opened[0].clear.threshold
    if len(headers.opened) < needed:
        raise _too_few(headers, needed)
    shares = sorted(headers.opened, key=lambda share: share.clear.index)
    return OpenSet(shares, _frame_key(shares), [source.name for source, _ in headers.refused])


class _Headers:
    """The headers sorted into those that open, do not, and are none."""

    def __init__(self, sources: Sequence[Source], key: PrivateKey) -> None:
        self.clears: list[tuple[Source, Clear]] = []
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
        self.refused.append((source, OccultaError(error.reason, named)))

    def _read(self, source: Source, key: PrivateKey) -> None:
        data = source.read(0, MAX_HEADER_SIZE)
        clear = parse_clear(data)
        try:
            secrets = open_header(data, clear, key)
        except OccultaError as error:
            if error.reason is not Reason.WRONG_KEY:
                raise
            self.clears.append((source, clear))
            self.closed.append((source, clear))
            return
        self.clears.append((source, clear))
        size = header_size(clear)
        mac = ShareMac(secrets.mac_key, data[:size])
        self.opened.append(OpenShare(source, clear, secrets, mac, size))


def _refuse_strangers(clears: list[tuple[Source, Clear]]) -> None:
    if len({clear.set_id for _, clear in clears}) > 1:
        named = ", ".join(f"{source.name} {clear.set_id.hex()}" for source, clear in clears)
        raise OccultaError(
            Reason.SHARES_OF_DIFFERENT_SETS, f"the shares are of different frames: {named}"
        )


def _refuse_mixtures(opened: list[OpenShare]) -> None:
    index, count = Counter(share.clear.index for share in opened).most_common(1)[0]
    if count > 1:
        names = ", ".join(s.source.name for s in opened if s.clear.index == index)
        raise OccultaError(Reason.SHARE_TWICE, f"{share_name(index)} is given twice: {names}")
    kinds = {_kind(share) for share in opened}
    if len(kinds) > 1:
        raise OccultaError(Reason.SHARES_MIXED, "the shares are of different forms or keys")
    if opened[0].clear.profile != JPEG:
        raise OccultaError(Reason.SHARES_MIXED, "these are not shares of the profile jpeg")


def _kind(share: OpenShare) -> tuple[object, ...]:
    clear, secrets = share.clear, share.secrets
    whole = clear.form is Form.THRESHOLD
    set_wide = (clear.profile, clear.threshold, clear.holders, clear.recipients)
    return (*set_wide, whole, secrets.set_key, secrets.regions)


def _too_few(headers: _Headers, needed: int) -> OccultaError:
    if headers.refused:
        return headers.refused[0][1]
    given = ", ".join(share.clear.name for share in headers.opened)
    holders = headers.opened[0].clear.holders
    return OccultaError(
        Reason.TOO_FEW_SHARES,
        f"{needed} of {holders} shares are needed, and {len(headers.opened)} given: {given}",
    )


def _frame_key(shares: list[OpenShare]) -> bytes | None:
    first = shares[0]
    if first.clear.form is Form.THRESHOLD:
        chosen = shares[: first.clear.threshold]
        return join({share.clear.index: share.secrets.part for share in chosen})
    return first.secrets.part if first.clear.form is Form.SEED else None

"""No input but the shares of one whole set has a say: nobody can veto what k holders restore."""

from __future__ import annotations

from dataclasses import replace

import pytest

from occulta.errors import OccultaError, Reason
from occulta.schemes.shares.header import PAPER, Clear
from occulta.schemes.shares.keys import ShareSet
from tests import jpegs
from tests.shares_support import SET_ID, Shares, flipped, gather, make, sealed, split
from tests.support import KEY, OTHER_KEY

PICTURE = jpegs.encode(1, 64, 48)
OTHER_SET = b"another set, too"


def threshold() -> tuple[ShareSet, Shares]:
    made = make("threshold", holders=(2, 4))
    return made, split(PICTURE, made)


def refused(*inputs: bytes) -> OccultaError:
    with pytest.raises(OccultaError) as caught:
        gather(inputs)
    return caught.value


def sealed_anew(made: ShareSet, share: bytes, at: int, /, **changes: object) -> bytes:
    """A share under a header that its holder sealed."""
    clear: Clear = replace(made.shares[at].clear, **changes)
    return sealed(clear) + share[len(made.shares[at].header) :]


CHANGES: dict[str, dict[str, object]] = {
    "the same fields": {}, "another index": {"index": 0}, "another set": {"set_id": OTHER_SET},
    "another threshold": {"threshold": 3}, "fewer holders": {"threshold": 2, "index": 1,
                                                             "holders": 2},
    "another profile": {"profile": PAPER},
}


@pytest.mark.arm64
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("place", [0, 3])
def test_a_holder_who_seals_a_header_is_set_aside(change: str, place: int) -> None:
    made, shares = threshold()
    forged = sealed_anew(made, shares[3], 3, **CHANGES[change])
    given = [*shares[:place], forged, *shares[place:3]]
    found, restored = gather(given)
    assert (restored, found.is_intact) == (PICTURE, True)
    assert found.damage.headers == [f"input {place}"]
    assert [share.clear.index for share in found.opened.shares] == [0, 1, 2]


@pytest.mark.parametrize("at", [4, 5, 6, 7, 8, 10, 25])
def test_a_holder_who_alters_clear_fields_is_set_aside(at: int) -> None:
    _, shares = threshold()
    found, restored = gather([*shares[:3], flipped(flipped(shares[3], at), 30)])
    assert (restored, found.is_intact) == (PICTURE, True)
    assert found.damage.headers == ["input 3"]


def test_a_share_for_somebody_else_is_set_aside() -> None:
    for form in ("seed", "threshold"):
        shares = split(PICTURE, make(form))
        other = split(PICTURE, make(form, set_id=OTHER_SET, recipients=[OTHER_KEY]))
        found, restored = gather([other[0], *shares])
        assert (restored, found.is_intact) == (PICTURE, True)
        assert found.damage.headers == ["input 0"]


def test_two_whole_sets_are_listed() -> None:
    shares, others = (split(PICTURE, make(set_id=name)) for name in (SET_ID, OTHER_SET))
    error = refused(*shares, *others)
    assert error.reason is Reason.SHARES_OF_DIFFERENT_SETS
    assert error.detail == (
        "the shares are of different frames: input 0 (share a), input 1 (share b) of set "
        f"{SET_ID.hex()}; input 2 (share a), input 3 (share b) of set {OTHER_SET.hex()}"
    )
    again = split(PICTURE, make(seed=2))
    error = refused(*shares, *again)
    assert error.reason is Reason.SHARES_MIXED
    assert "input 0 (share a), input 1 (share b)" in error.detail
    assert "input 2 (share a), input 3 (share b)" in error.detail


def test_what_is_mixed_up_is_named() -> None:
    a, _ = split(PICTURE, make())
    for other in (split(PICTURE, make("threshold", holders=(2, 2)))[1],
                  split(PICTURE, make(seed=2))[1]):
        error = refused(a, other)
        assert error.reason is Reason.SHARES_MIXED
        assert "input 0 (share a)" in error.detail
        assert "input 1 (share b)" in error.detail
    paper = [sealed(replace(share.clear, profile=PAPER)) for share in make().shares]
    error = refused(*paper)
    assert error.reason is Reason.SHARES_MIXED
    assert "profile jpeg: input 0 (share a), input 1 (share b)" in error.detail


def test_of_two_a_header_sealed_anew_is_refused() -> None:
    made = make()
    a, b = split(PICTURE, made)
    error = refused(a, sealed_anew(made, b, 1))
    assert error.reason is Reason.SHARES_MIXED
    assert "input 1 (share b)" in error.detail


def test_every_key_of_a_header_has_32_bytes() -> None:
    sizes = {count: len(make(recipients=[KEY] * count).shares[0].header) for count in (1, 9)}
    assert sizes == {1: 269 + 80, 9: 269 + 9 * 80}
    assert sizes[9] < 1024

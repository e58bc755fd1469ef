"""Records of private items."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occulta.errors import OccultaError, Reason
from occulta.schemes.records import MAX_ITEM, OVERHEAD, Record, decode_records, encode_records

pytestmark = pytest.mark.arm64

records = st.builds(
    lambda item, offset, data, more: Record(item, offset, offset + len(data) + more, data),
    st.from_regex(r"\A[A-Za-z0-9_-]{1,64}\Z"), st.integers(0, MAX_ITEM - 2000),
    st.binary(max_size=200), st.integers(0, 1000),
)


@given(st.lists(records, max_size=5))
def test_round_trip(found: list[Record]) -> None:
    payload = encode_records(found)
    assert list(decode_records(payload)) == found
    assert len(payload) <= sum(OVERHEAD + len(record.data) for record in found)


@given(st.lists(records, min_size=1, max_size=3), st.data())
def test_a_payload_cut_short_is_refused(found: list[Record], data: st.DataObject) -> None:
    whole = encode_records(found)
    edges = {len(encode_records(found[:n])) for n in range(len(found) + 1)}
    size = data.draw(st.integers(0, len(whole)).filter(lambda n: n not in edges))
    with pytest.raises(OccultaError) as caught:
        list(decode_records(whole[:size]))
    assert caught.value.reason is Reason.BAD_HIDDEN_DATA


@given(st.binary(max_size=100))
def test_random_bytes_raise_nothing_else(payload: bytes) -> None:
    try:
        list(decode_records(payload))
    except OccultaError as error:
        assert error.reason is Reason.BAD_HIDDEN_DATA


def test_a_piece_beyond_the_end() -> None:
    with pytest.raises(ValueError, match="beyond"):
        Record("x", 5, 6, b"ab")
    payload = bytes.fromhex("00000008") + bytes.fromhex("94a1780506c4026162")
    with pytest.raises(OccultaError):
        list(decode_records(payload))

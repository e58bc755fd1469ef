"""Robust hiding's profile `paper`: the cases of papers/002, and what its ranking costs."""

import io
import math
from array import array
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from occulta.codec import crypto, dct
from occulta.codec.fec.message import TurboCode
from occulta.codec.fec.turbo import Rate
from occulta.codec.jpeg.coefficients import CoefficientReader
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS, Limits
from occulta.schemes.robust import paper, paper_extract
from occulta.schemes.robust.paper import Luminance
from tests import jpegs
from tests.encoder import Picture, random_blocks, wide_tables
from tests.ranked_pictures import spread

KEY = crypto.PrivateKey(bytes(range(32)))
SIDE = 256
PRIVATE = b"a private note of thirty bytes"


@cache
def cover(quality: int = 75, mode: str = "L") -> bytes:
    """Gradients, waves and noise."""
    return jpegs.encode(4, SIDE, SIDE, mode, noise=9.0, quality=quality)


@cache
def marked(rate: Rate = Rate.HALF, alpha: float = 0.5) -> bytes:
    return paper.mark(cover(), KEY.public, PRIVATE, alpha, rate)


@cache
def oracle() -> array:
    return paper.rank(paper_extract.from_jpeg(cover()))


def bits(count: int, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).integers(0, 2, count, dtype=np.uint8).tobytes()


def planes(jpeg: bytes) -> list[np.ndarray]:
    """Of each component its blocks, padding included."""
    reader = CoefficientReader(DEFAULT_LIMITS)
    rows = [*reader.feed(jpeg), *reader.finish()]
    count = len(rows[0].planes)
    return [np.concatenate([row.planes[at] for row in rows]).reshape(-1, 64) for at in range(count)]


def decoded(jpeg: bytes) -> bytes:
    return Image.open(io.BytesIO(jpeg)).convert("L").tobytes()


def refused(reason: Reason, call, *given, **named) -> None:
    with pytest.raises(OccultaError) as caught:
        call(*given, **named)
    assert caught.value.reason is reason


# --- matrix embedding

CASES = {
    (False, False, False): None,  # case 1
    (True, False, False): 1,
    (False, True, False): 2,
    (True, True, False): 3,
    (False, False, True): 4,
    (True, False, True): 5,
    (False, True, True): 6,
    (True, True, True): 7,  # case 8
}
"""Which of d1, d2, d3 differ from P1, P2, P3, and the coefficient that is modified."""


def parities(c) -> tuple[int, int, int]:
    """What cases 2 to 8 leave of equations 11 to 13; `c` from C1 on."""
    c1, c2, c3, c4, c5, c6, c7 = (int(value) % 2 for value in c)
    return (c1 ^ c3 ^ c5 ^ c7, c2 ^ c3 ^ c6 ^ c7, c4 ^ c5 ^ c6 ^ c7)


@pytest.mark.parametrize("mismatch", sorted(CASES))
@given(group=st.lists(st.integers(-1022, 1022), min_size=7, max_size=7))
@settings(max_examples=30, deadline=None)
def test_each_case_modifies_its_coefficient_by_one(mismatch, group) -> None:
    data = bytes(p ^ m for p, m in zip(parities(group), mismatch, strict=True))
    expected = list(group)
    if CASES[mismatch] is not None:
        expected[CASES[mismatch] - 1] += 1
    after = array("h", group)
    paper.embed(after, data)
    assert list(after) == expected
    assert bytes(parities(after)) == data


@pytest.mark.parametrize("mismatch", [case for case in sorted(CASES) if CASES[case]])
@pytest.mark.parametrize(("value", "expected"), [(1023, 1022), (-1023, -1022), (1022, 1023)])
def test_the_largest_magnitude_falls_by_one(mismatch, value, expected) -> None:
    group = array("h", [value] * 7)
    data = bytes(p ^ m for p, m in zip(parities(group), mismatch, strict=True))
    paper.embed(group, data)
    changed = CASES[mismatch] - 1
    assert list(group) == [expected if at == changed else value for at in range(7)]
    assert bytes(parities(group)) == data


# --- marking


@pytest.mark.parametrize("rate", Rate)
def test_a_message_comes_back_when_the_ranking_is_told(rate) -> None:
    alpha = 0.5 if rate is Rate.HALF else 1.0
    received = paper_extract.from_jpeg(marked(rate, alpha))
    found = paper_extract.recover(received, KEY, alpha, rate, oracle())
    assert found.opened.private == PRIVATE
    assert found.message_bits == 704
    assert (found.corrected, found.compared) == (0, rate.value * 704 + 12)
    assert found.margin == pytest.approx(10 * math.log10(found.compared / 704))
    assert found.profile.name == "paper"


@pytest.mark.slow
def test_a_signature_comes_with_it() -> None:
    signer = crypto.SigningKey(bytes(32))
    file = paper.mark(cover(), KEY.public, b"signed", 1.0, Rate.HALF, signing_key=signer)
    received = paper_extract.from_jpeg(file)
    found = paper_extract.recover(received, KEY, 1.0, Rate.HALF, oracle())
    assert found.opened.is_authentic(signer.public, KEY.public)


@pytest.mark.parametrize(("mode", "width", "height"), [("L", 253, 131), ("RGB", 203, 171)])
def test_one_coefficient_of_a_carrying_block_changes_and_nothing_else(mode, width, height) -> None:
    jpeg = jpegs.encode(7, width, height, mode, subsampling="4:2:0")
    before = paper_extract.from_jpeg(jpeg)
    assert before.blocks == (width // 8) * (height // 8)
    carrying = int(0.25 * before.blocks)
    file = paper.mark_coded(jpeg, bits(3 * carrying - 1), 0.25)
    after = paper_extract.from_jpeg(file)
    assert after.table == before.table
    change = np.subtract(after.coefficients, before.coefficients).reshape(-1, 64)
    assert set(np.flatnonzero(change.any(axis=1))) <= set(paper.rank(before)[:carrying])
    assert np.abs(change).sum(axis=1).max() == 1
    assert not change[:, 0].any()
    assert not change[:, 8:].any()
    assert np.mean(change.any(axis=1)[list(paper.rank(before)[:carrying])]) > 0.75
    old, new = planes(jpeg), planes(file)
    assert np.abs(new[0] - old[0]).sum() == np.abs(change).sum()
    assert all(np.array_equal(a, b) for a, b in zip(old[1:], new[1:], strict=True))


def test_the_file_does_not_depend_on_the_cuts() -> None:
    coded = bits(300)
    marker = paper.CodedMarker(lambda width, height: coded)
    assert not any(marker.feed(cover()[at : at + 997]) for at in range(0, len(cover()), 997))
    assert marker.finish() == paper.mark_coded(cover(), coded)


def test_the_marker_says_how_large_its_message_is() -> None:
    marker = paper.Marker(KEY.public, PRIVATE, None, 0.5, Rate.HALF)
    marker.feed(cover())
    assert marker.message_bits == 0
    assert marker.finish()
    assert marker.message_bits == 704


def test_plain_and_compiled_kernels_give_the_same_file() -> None:
    jpeg, coded = jpegs.encode(3, 64, 64, "L"), bits(90)
    assert paper.mark_coded(jpeg, coded, kernel="plain") == paper.mark_coded(jpeg, coded)


@pytest.mark.parametrize(
    ("width", "height", "alpha", "rate", "expected"),
    [
        (512, 512, 0.5, Rate.THIRD, 1920), (512, 512, 0.5, Rate.HALF, 2816),
        (512, 512, 0.25, Rate.THIRD, 960), (511, 519, 1.0, Rate.THIRD, 3840),
        (256, 256, 0.5, Rate.THIRD, 0), (7, 512, 1.0, Rate.HALF, 0),
    ],
)
def test_capacity(width, height, alpha, rate, expected) -> None:
    assert paper.most_bits(width, height, alpha, rate) == expected


def test_what_does_not_fit_is_refused() -> None:
    room = 704 // 8 - 55
    assert paper.mark(cover(), KEY.public, bytes(room), 0.5, Rate.HALF)
    refused(Reason.DOES_NOT_FIT, paper.mark, cover(), KEY.public, bytes(room + 1), 0.5, Rate.HALF)
    refused(Reason.DOES_NOT_FIT, paper.mark_coded, cover(), bits(1537))
    refused(Reason.DOES_NOT_FIT, paper.mark, jpegs.encode(1, 7, 7, "L"), KEY.public, b"")


@pytest.mark.parametrize("alpha", [0.0, -0.5, 1.01, math.nan])
def test_a_share_that_is_none_is_misuse(alpha) -> None:
    with pytest.raises(ValueError, match="share"):
        paper.mark(cover(), KEY.public, b"", alpha)
    with pytest.raises(ValueError, match="share"):
        paper_extract.recover(paper_extract.from_jpeg(cover()), KEY, alpha)


def test_bits_are_bits() -> None:
    with pytest.raises(ValueError, match="bit"):
        paper.mark_coded(cover(), b"\x02")


# --- ranking


def test_the_ranking_is_that_of_rank_one_residuals() -> None:
    luminance = paper_extract.from_jpeg(cover())
    dequantised = dct.dequantise(luminance.coefficients, luminance.table)
    natural = np.zeros((luminance.blocks, 64))
    natural[:, dct.ZIGZAG] = np.reshape(dequantised, (-1, 64))
    u, k = np.mgrid[:8, :8]
    basis = np.sqrt(2 / 8) * np.cos((2 * k + 1) * u * np.pi / 16)
    basis[0] /= np.sqrt(2)
    spatial = basis.T @ natural.reshape(-1, 8, 8) @ basis
    residual = np.sqrt((np.linalg.svd(spatial, compute_uv=False)[:, 1:] ** 2).sum(axis=1))
    ranked = residual[list(oracle())]
    assert sorted(oracle()) == list(range(luminance.blocks))
    assert ranked[0] > 1.5 * ranked[-1]
    # Where two singular values are close, eight power iterations fall short of the first one.
    rising = ranked[1:] / ranked[:-1]
    assert np.mean(rising < 1.01) > 0.98
    assert rising.max() < 1.25


def test_equal_blocks_are_ranked_in_raster_order() -> None:
    assert list(paper.rank(Luminance(array("h", bytes(128 * 5)), (1,) * 64))) == [0, 1, 2, 3, 4]


def test_where_ranks_lie_far_apart_the_receiver_needs_no_oracle() -> None:
    """Also the order of bits: d1 of the roughest block first."""
    order = [int(n) for n in 1 + np.random.default_rng(2).permutation(26 * 26)]
    file = paper.mark(spread(order), KEY.public, PRIVATE, 1.0, Rate.HALF)
    received = paper_extract.from_jpeg(file)
    found = paper_extract.recover(received, KEY, 1.0, Rate.HALF)
    assert (found.opened.private, found.corrected) == (PRIVATE, 0)
    blocks = np.reshape(received.coefficients, (-1, 64))
    ranked = sorted(range(len(order)), key=lambda block: -order[block])
    naive = bytes(bit for block in ranked for bit in parities(blocks[block, 1:8]))
    assert paper_extract.read_bits(received, 1.0) == naive


def test_on_a_texture_blind_ranking_loses_the_message_without_any_attack() -> None:
    """The paper's weakness, on a picture whose blocks are about equally rough."""
    code = TurboCode(704, Rate.HALF)
    coded = code.encode(bits(704))
    received = paper_extract.from_jpeg(paper.mark_coded(cover(), coded))
    assert paper_extract.channel_errors(received, coded, oracle_ranking=oracle()) == (0, 1420)
    wrong, compared = paper_extract.channel_errors(received, coded)
    assert compared == 1420
    assert wrong / compared > 0.1
    received = paper_extract.from_jpeg(marked())
    refused(Reason.NOT_RECOVERED, paper_extract.recover, received, KEY, 0.5, Rate.HALF)


def test_an_oracle_must_rank_the_blocks_that_came() -> None:
    with pytest.raises(ValueError, match="1023 blocks for 1024"):
        paper_extract.read_bits(paper_extract.from_jpeg(cover()), oracle_ranking=oracle()[1:])


# --- receiving


def test_pixels_are_quantised_again() -> None:
    from_file = paper_extract.from_jpeg(marked())
    from_pixels = paper_extract.from_pixels(decoded(marked()), SIDE, from_file.table)
    assert from_pixels == from_file


def test_of_pixels_only_whole_blocks_count() -> None:
    table = (1,) * 64
    assert paper_extract.from_pixels(bytes(23 * 15), 23, table).blocks == 2
    assert paper_extract.from_pixels(b"", 23, table).blocks == 0
    with pytest.raises(ValueError, match="lines of 24"):
        paper_extract.from_pixels(bytes(23), 24, table)


def test_a_file_with_another_table_is_quantised_again() -> None:
    table = paper_extract.from_jpeg(marked()).table
    out = io.BytesIO()
    Image.open(io.BytesIO(marked())).save(out, "JPEG", quality=95)
    received = paper_extract.from_jpeg(out.getvalue(), table)
    assert received.table == table
    found = paper_extract.recover(received, KEY, 0.5, Rate.HALF, oracle())
    assert found.opened.private == PRIVATE
    literally = paper_extract.from_jpeg(out.getvalue())
    assert literally.table != table
    with pytest.raises(OccultaError):
        paper_extract.recover(literally, KEY, 0.5, Rate.HALF, oracle())


def test_errors_within_the_code_are_corrected_and_counted() -> None:
    received = paper_extract.from_jpeg(marked())
    for block in oracle()[: 3 * 40 : 3]:
        received.coefficients[64 * block + 4] += 1  # C4 stands in P3 alone
    found = paper_extract.recover(received, KEY, 0.5, Rate.HALF, oracle())
    assert found.opened.private == PRIVATE
    assert (found.corrected, found.compared) == (40, 1420)
    p = 40 / 1420
    entropy = -p * math.log2(p) - (1 - p) * math.log2(1 - p)
    assert found.margin == pytest.approx(10 * math.log10(1420 * (1 - entropy) / 704))


def test_the_decoder_is_sova(monkeypatch) -> None:
    asked, decode = [], TurboCode.decode

    def listened(code, llrs, algorithm="maxlog"):
        asked.append((set(llrs), algorithm))
        return decode(code, llrs, algorithm)

    monkeypatch.setattr(TurboCode, "decode", listened)
    paper_extract.recover(paper_extract.from_jpeg(marked()), KEY, 0.5, Rate.HALF, oracle())
    assert asked[-1] == ({-16, 16}, "sova")


def test_another_key_finds_nothing() -> None:
    received = paper_extract.from_jpeg(marked())
    other = crypto.PrivateKey(bytes(32))
    refused(
        Reason.NOT_RECOVERED, paper_extract.recover, received, other, 0.5, Rate.HALF, oracle()
    )


# --- bounds, and what is not to be trusted


def test_more_blocks_than_the_limit_are_refused() -> None:
    tight = Limits(max_blocks=1023)
    refused(Reason.LIMIT_BLOCKS, paper.mark, cover(), KEY.public, b"", limits=tight)
    refused(Reason.LIMIT_BLOCKS, paper_extract.from_jpeg, cover(), limits=tight)
    pixels, table = bytes(SIDE * SIDE), (1,) * 64
    refused(Reason.LIMIT_BLOCKS, paper_extract.from_pixels, pixels, SIDE, table, limits=tight)
    exact = Limits(max_blocks=1024)
    assert paper_extract.from_pixels(pixels, SIDE, table, limits=exact).blocks == 1024
    assert paper.mark(cover(), KEY.public, b"", 0.5, Rate.HALF, limits=exact)


def test_a_picture_beyond_the_limit_is_refused_before_it_is_held() -> None:
    head = cover()[: jpegs.find(cover(), 0xDA)[1]]
    start, _ = jpegs.find(head, 0xC0)
    large = head[: start + 5] + b"\xff\xf0\xff\xf0" + head[start + 9 :]
    refused(Reason.LIMIT_BLOCKS, paper.mark, large, KEY.public, b"")
    refused(Reason.LIMIT_BLOCKS, paper_extract.from_jpeg, large)


def test_pictures_without_luminance_are_refused() -> None:
    cmyk = jpegs.encode(1, 32, 32, "CMYK")
    refused(Reason.NO_LUMINANCE, paper.mark, cmyk, KEY.public, b"")
    refused(Reason.NO_LUMINANCE, paper_extract.from_jpeg, cmyk)


def test_values_beyond_baseline_are_clipped() -> None:
    blocks = random_blocks(1, 16, last=50, spread=2000)
    jpeg = Picture([blocks], 4, tables=wide_tables()).to_jpeg()
    assert np.abs(planes(jpeg)[0][:, 1:]).max() > 1023
    after = planes(paper.mark_coded(jpeg, bits(24)))[0]
    assert np.abs(after[:, 1:]).max() == 1023


@pytest.mark.parametrize("kind", sorted({**jpegs.PLAIN, **jpegs.UNREADABLE, **jpegs.PROGRESSIVE}))
def test_any_kind_of_file_is_marked_or_refused(kind) -> None:
    make = {**jpegs.PLAIN, **jpegs.UNREADABLE, **jpegs.PROGRESSIVE}[kind]
    jpeg, coded = make(3, 96, 64), bits(30)
    try:
        file = paper.mark_coded(jpeg, coded)
    except OccultaError:
        return
    told = paper.rank(paper_extract.from_jpeg(jpeg))
    received = paper_extract.from_jpeg(file)
    assert paper_extract.channel_errors(received, coded, oracle_ranking=told) == (0, 30)


@given(
    damage=st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 255)), min_size=1, max_size=8),
    end=st.integers(0, 1500),
)
@settings(max_examples=30, deadline=None)
def test_damaged_files_raise_numbered_errors_only(damage, end) -> None:
    whole = bytearray(jpegs.encode(2, 48, 40, "L"))
    for at, value in damage:
        whole[at % len(whole)] = value
    data = bytes(whole[: end + 1] if end % 2 else whole)
    few = Limits(max_blocks=200)  # a damaged height may be a large one
    for act in (
        lambda: paper.mark_coded(data, bits(24), limits=few),
        lambda: paper.mark(data, KEY.public, b"", limits=few),
        lambda: paper_extract.recover(paper_extract.from_jpeg(data, limits=few), KEY),
        lambda: paper_extract.read_bits(paper_extract.from_jpeg(data, (255,) * 64, few)),
    ):
        try:
            act()
        except OccultaError as error:
            assert error.reason in Reason

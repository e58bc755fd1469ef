"""The report of an analysis: one HTML file that needs nothing else, plots included."""

from __future__ import annotations

from collections.abc import Sequence

from sim import page, pixels
from sim.analysis import plots, results
from sim.analysis.measures import Pixels
from sim.analysis.noise import LIMIT
from sim.analysis.paper_study import Decryption
from sim.analysis.paper_tables import TABLE_3, TABLE_4
from sim.analysis.results import Analysis, coefficient

_SHOWN_PX = 512
_NOTE = (
    "Entropy in bits per pixel (profile jpeg: per byte). Correlation of adjacent pixels (bytes) "
    "over all pairs. NPCR and UACI compare the shares of a key with those of the key whose last "
    "bit is changed. Figures of the profile paper are means over the keys; of the paper's own "
    "correlations the mean of their sizes stands, each of 16,384 pairs."
)
_CHANGE_HEADINGS = ("image", "UACI %", "NPCR %", "deviation of UACI", "deviation of NPCR")
_SIDE_HEADINGS = ("image", "share", "horizontal", "vertical", "diagonal")
_DECRYPTION_HEADINGS = (
    "wrong by a bit", "pixels right", "correlation in the regions", "beside them", "the recovery"
)
_DECRYPTION_NOTE = (
    "What both shares give when they are decrypted without any verification, compared with the "
    "picture pixel by pixel. Each key guards one plane: key a the upper half of each pixel's bits, "
    "key b the lower. While one of them is right, one pixel of 16 comes out right by chance, and "
    "beside the regions, where nothing is substituted, the upper plane alone shows the picture. "
    "With both wrong nothing of it is left."
)
_PICTURES = {
    "": "Right keys", "a": "Key a wrong", "b": "Key b wrong", "ab": "Both keys wrong",
}


def render(found: Analysis, command: str) -> str:
    """The whole report as HTML."""
    return page.document("Occulta: analysis of shares", [
        _headline(found),
        _table("Measured", results.HEADINGS, results.rows(found), _NOTE),
        _pictures(found),
        _histograms(found),
        _neighbours(found),
        _changes(found),
        _correlations(found),
        _decryptions(found.paper.decryptions),
        page.section("Equation 9", page.paragraph(_sentence(results.collapse_line(found)))),
        _jpeg(found),
        page.section("Command", page.listing([command])),
    ])


def _headline(found: Analysis) -> str:
    raster = found.picture.raster
    lead = (
        f"{found.picture.name}, {raster.width} x {raster.height} pixels, under "
        f"{results.counted(found.keys)}. Every figure of every share was compared with what noise "
        f"of its size gives, within {LIMIT:g} standard deviations."
    )
    verdict = "The shares are noise" if found.is_noise else "Not every share is noise"
    return page.headline("Occulta: analysis of shares", verdict, found.is_noise, lead)


def _table(
    title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], note: str
) -> str:
    return page.section(title, page.table(headings, [page.row(headings, r) for r in rows], note))


def _pictures(found: Analysis) -> str:
    a, b = found.paper.share_pixels
    text = "The picture and the two shares of the profile paper; of large shares the middle."
    return page.section("Shares", page.paragraph(text), page.gallery([
        page.figure("The picture", pixels.shrunk(found.paper.pixels, 2 * _SHOWN_PX)),
        page.figure("Share a", pixels.detail(a, _SHOWN_PX)),
        page.figure("Share b", pixels.detail(b, _SHOWN_PX)),
    ]))


def _histograms(found: Analysis) -> str:
    names = ("The picture", "Share a", "Share b")
    each = (found.paper.original, *found.paper.shares)
    text = "As in figure 7 of the paper. The broken line is where an even spread would stand."
    return page.section("Histograms", page.paragraph(text), page.gallery([
        plots.histogram(name, one.histogram) for name, one in zip(names, each, strict=True)
    ]))


def _neighbours(found: Analysis) -> str:
    a, b = found.paper.share_pixels
    each = {"The picture": found.paper.pixels, "Share a": a, "Share b": b}
    text = (
        "How often two values stand beside each other: to the right the value of a pixel, upwards "
        "that of its neighbour, the brighter the more often (logarithmic). All pairs."
    )
    return page.section("Adjacent pixels", page.paragraph(text), page.gallery(
        [figure for name, one in each.items() for figure in _density_figures(name, one)]
    ))


def _density_figures(name: str, image: Pixels) -> list[str]:
    return [page.figure(f"{name}, {side}", d) for side, d in plots.densities(image).items()]


def _changes(found: Analysis) -> str:
    """Beside table 3 of the paper, which gives one figure for both shares."""
    rows = []
    for name, keys in zip("ab", zip(*found.paper.keys, strict=True), strict=True):
        uaci, npcr = (
            results.spread(figures)
            for figures in ([each.uaci for each in keys], [each.npcr for each in keys])
        )
        rows.append((
            f"share {name}", f"{uaci['mean']:.4f}", f"{npcr['mean']:.4f}",
            f"{uaci['deviation']:.4f}", f"{npcr['deviation']:.4f}",
        ))
    rows += [
        (f"papers/003, {name}", f"{uaci:.2f}", f"{npcr:.2f}", results.NONE, results.NONE)
        for name, (uaci, npcr) in TABLE_3.items()
    ]
    means = f"Means over {results.counted(found.keys)}"
    note = f"{means}, beside table 3 of the paper. Noise: 33.4635 and 99.6094."
    return _table("The key's last bit changed", _CHANGE_HEADINGS, rows, note)


def _correlations(found: Analysis) -> str:
    """Beside table 4 of the paper."""
    rows = [
        (found.picture.name, f"share {name}", *map(coefficient, each.correlation))
        for name, each in zip("ab", found.paper.shares, strict=True)
    ]
    rows += [
        (f"papers/003, {image}", f"share {name}", *map(coefficient, share))
        for image, pair in TABLE_4.items()
        for name, share in zip("ab", pair, strict=True)
    ]
    most = results.greatest([share for pair in found.paper.keys for share in pair])
    note = (
        "Of the first key's shares, beside table 4 of the paper. The greatest of all "
        f"{2 * found.keys} shares and directions is {coefficient(most)}."
    )
    return _table("Correlation of adjacent pixels", _SIDE_HEADINGS, rows, note)


def _decryptions(tried: Sequence[Decryption]) -> str:
    rows = [
        (
            _PICTURES[each.wrong], f"{each.right:.2f} %", coefficient(each.inside),
            coefficient(each.outside),
            "intact" if each.refusal is None else f"refused with {int(each.refusal)}",
        )
        for each in tried
    ]
    marked = [page.row(_DECRYPTION_HEADINGS, cells) for cells in rows]
    figures = [
        page.figure(_PICTURES[each.wrong], pixels.detail(each.pixels, _SHOWN_PX)) for each in tried
    ]
    return page.section(
        "A wrong key", page.table(_DECRYPTION_HEADINGS, marked, _DECRYPTION_NOTE),
        page.gallery(figures),
    )


def _jpeg(found: Analysis) -> str:
    jpeg = found.jpeg
    text = (
        "Share b is measured behind its header, whose fields stand in the clear. Share a is the "
        "sealed key."
    )
    figures = [
        plots.histogram("Bytes of the file", jpeg.original.histogram),
        plots.histogram("Bytes of share b", jpeg.share_b.histogram),
        page.figure("The file, adjacent bytes", plots.densities(jpeg.file)["horizontal"]),
        page.figure("Share b, adjacent bytes", plots.densities(jpeg.body)["horizontal"]),
    ]
    return page.section(
        "Profile jpeg", page.paragraph(text), page.listing(results.size_lines(found)),
        page.gallery(figures),
    )


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
